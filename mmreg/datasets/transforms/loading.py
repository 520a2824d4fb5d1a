"""Files of one image to arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmreg.errors import DataError
from mmreg.io import (
    Geometry,
    Volume,
    as_labels,
    as_mask,
    check_image,
    read_landmarks,
    read_npz,
    read_volume,
    restricted_load,
)
from mmreg.registry import TRANSFORMS

#: Names an array may have inside an .npz file.
_NPZ_NAMES = {
    'image': ('image', 'img', 'arr_0'),
    'labels': ('labels', 'label', 'lbl', 'seg', 'arr_0'),
    'mask': ('mask', 'arr_0'),
    'prompt': ('prompt', 'labels', 'arr_0'),
}


@TRANSFORMS.register_module()
class LoadVolumes:
    """Reads the files of one image: NIfTI, NRRD, MHA, a DICOM folder, ``.npz``, or a pickle of arrays.

    In: a source dict with paths under ``image`` and, where there are, ``labels``, ``mask``, ``prompt``, ``landmarks``.
    Out: ``image`` ``(C, *spatial)`` float32; ``labels`` and ``prompt`` ``(1, *spatial)`` integer; ``mask``
    ``(1, *spatial)`` uint8; ``landmarks`` ``(P, ndim)`` float32 voxels; ``label_values`` of ``labels``; ``affine``,
    voxel -> RAS+ mm; ``path``.

    A pickle holds a tuple of arrays and is read by a restricted unpickler; the source's ``members`` says which array
    is the image and which the label map, its ``unlabelled`` how many arrays a pickle without label maps has.

    Args:
        channels: Admit images with several channels.
        orientation: Permute and flip the axes to these codes, such as 'RAS'; None keeps the file's order.
        spacing: Voxel size in mm that files without geometry (pickles, .npz) have.

    Raises:
        DataError: by path, whatever is wrong with a file, or a label map on another grid than its image.
    """

    def __init__(self, channels: bool = False, orientation: str | None = None, spacing: float = 1.0):
        self.channels = channels
        self.orientation = orientation
        self.spacing = spacing

    def __call__(self, source: dict[str, Any]) -> dict[str, Any]:
        subject: dict[str, Any] = {key: source[key] for key in ('id',) if key in source} | {'path': source['image']}
        stored = self._read(source, 'image')
        image = self._oriented(stored)
        subject['image'] = np.ascontiguousarray(image.channel_first(), dtype=np.float32)
        subject['affine'] = np.array(image.geometry.affine)
        for key in ('labels', 'mask', 'prompt'):
            if source.get(key) and not (key == 'labels' and _is_unlabelled(source)):
                subject[key] = self._on_grid(source, key, stored)
        if 'labels' in subject:
            subject['label_values'] = label_values(subject['labels'])
        if source.get('landmarks'):
            points = read_landmarks(source['landmarks'])
            world = points.in_world(stored.geometry) if self.orientation else None
            voxels = points.in_voxels(stored.geometry) if world is None else image.geometry.world_to_voxel(world)
            subject['landmarks'] = voxels.astype(np.float32)
        return subject

    def _on_grid(self, source: dict[str, Any], key: str, image: Volume) -> np.ndarray:
        volume = self._read(source, key)
        if volume.geometry.shape != image.geometry.shape:
            raise DataError(
                f'{source[key]}: found {key} of shape {volume.geometry.shape}, expected {image.geometry.shape} as '
                f'{source["image"]}'
            )
        return self._oriented(volume).channel_first()

    def _oriented(self, volume: Volume) -> Volume:
        return volume.reoriented(self.orientation) if self.orientation else volume

    def _read(self, source: dict[str, Any], key: str) -> Volume:
        path = str(source[key])
        if path.endswith('.pkl'):
            return self._plain(_member(restricted_load(path), source, key, path), key, path)
        if path.endswith('.npz'):
            return self._plain(_npz_array(path, key), key, path)
        if key == 'prompt':  # a predicted map may be empty
            return read_volume(path, 'labels', check=False)
        return read_volume(path, key, channels=self.channels and key == 'image')

    def _plain(self, array: np.ndarray, key: str, path: str) -> Volume:
        """An array without geometry: as if scanned at ``spacing`` along the world's axes."""
        if array.ndim == 4 and array.shape[0] == 1:
            array = array[0]
        if array.ndim not in (2, 3):
            raise DataError(f'{path}: found {key} of shape {array.shape}, expected 2 or 3 axes')
        if key == 'image':
            array = np.asarray(array, dtype=np.float32)
            check_image(array, path)
        else:
            array = as_mask(array, path) if key == 'mask' else as_labels(array, path, allow_empty=key == 'prompt')
        return Volume(array, Geometry.from_parts(array.shape, spacing=[self.spacing] * array.ndim))


def label_values(labels: np.ndarray) -> np.ndarray:
    """Sorted values of a non-negative label map, without sorting its voxels."""
    top = int(labels.max())
    if top < 1 << 16:
        return np.flatnonzero(np.bincount(labels.ravel(), minlength=1))
    return np.unique(labels)


def _is_unlabelled(source: dict[str, Any]) -> bool:
    """Whether a pickle that may come without label maps does: too short, or None in their place."""
    if 'unlabelled' not in source or not str(source['labels']).endswith('.pkl'):
        return False
    content = restricted_load(str(source['labels']))
    if not isinstance(content, tuple | list):
        return False
    position = source['members']['labels']
    return len(content) == source['unlabelled'] or (position < len(content) and content[position] is None)


def _member(content: Any, source: dict[str, Any], key: str, path: str) -> np.ndarray:
    """The array of a pickled tuple that ``source['members']`` names."""
    position = source['members'][key]
    count = len(content) if isinstance(content, (tuple, list)) else 0
    if position >= count or not isinstance(content[position], np.ndarray):
        raise DataError(
            f'{path}: found {f"a tuple of {count}" if count else type(content).__name__}, expected a tuple of arrays '
            f'with the {key} at position {position}'
        )
    return content[position]


def _npz_array(path: str, key: str) -> np.ndarray:
    stored = read_npz(path)
    for name in _NPZ_NAMES[key]:
        if name in stored:
            return stored[name]
    raise DataError(f'{path}: found the arrays {sorted(stored)}, expected one of {list(_NPZ_NAMES[key])}')
