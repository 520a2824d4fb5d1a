"""Segmentations that are there already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError, DataError
from mmreg.io import Volume, read_volume
from mmreg.registry import SEGMENTERS

from .base import Segmenter


@SEGMENTERS.register_module()
class FileSegmenter(Segmenter):
    """One label file per image.

    Args:
        path: Where it is: ``{id}`` stands for what the data set calls the image, ``{stem}`` for its file name without
            ending, ``{folder}`` for its folder, as in ``'{folder}/../segTs/{stem}.nii.gz'``.
        grid: ``'world'``: the file's header says where it lies; ``'voxel'``: it has the image's voxels, whatever its
            header says (for images without geometry, such as pickles).
        kwargs: See :class:`Segmenter`.
    """

    def __init__(self, path: str, grid: str = 'world', **kwargs: Any):
        super().__init__(**kwargs)
        if grid not in ('world', 'voxel'):
            raise ConfigError(f"grid={grid!r} of FileSegmenter, expected 'world' or 'voxel'.")
        self.path, self.grid = path, grid

    def segment(self, image: Volume, path: str, name: str) -> Volume:
        """Read the label map that lies ready for this image."""
        if not name:
            raise DataError('FileSegmenter got an image without a name, expected one to find its segmentation by.')
        stem = Path(path).name.split('.')[0]
        file = Path(self.path.format(id=name, stem=stem, folder=Path(path).parent))
        if not file.is_file():
            raise DataError(f'{file}: there is no such segmentation, expected the label map of {path or name}.')
        found = read_volume(file, 'labels', check=False)
        if self.grid == 'world':
            return found
        if found.geometry.shape != image.geometry.shape:
            raise DataError(
                f'{file}: found the shape {found.geometry.shape}, expected {image.geometry.shape} as {path or name}.'
            )
        return Volume(found.array, image.geometry)
