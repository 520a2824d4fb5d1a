"""Mean and median images of a group, with memory that does not grow with it."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from mmreg.errors import ConfigError
from mmreg.populations.contrast import in_hounsfield_units
from mmreg.utils.choices import AVERAGES
from mmreg.utils.leftovers import temporary_folder

#: Voxels of all scans that are looked at together for a median.
_SLAB = 1 << 24


def intensity_scale(array: np.ndarray) -> float:
    """The median of an image's foreground, by which it is divided before scans are averaged.

    The foreground is what is brighter than the mean of the image. Hounsfield units mean the same in every scan: 1.

    Example:
        >>> intensity_scale(np.array([0.0, 0, 0, 100, 120, 140]))
        120.0
    """
    known = array[np.isfinite(array)]
    if not known.size or in_hounsfield_units(array):
        return 1.0
    front = known[known > known.mean()]
    scale = float(np.median(front)) if front.size else 0.0
    return scale if scale > 0 else 1.0


class ImageAverage:
    """The average of images on one grid, each added once; a context manager, since a median keeps them on disk.

    Args:
        kind: ``'mean'`` or ``'median'`` (without weights).
        folder: Where a median keeps what it has seen until the end; that of the system by default.

    Raises:
        ConfigError: another kind.
    """

    def __init__(self, kind: str = 'mean', folder: str | Path | None = None):
        if kind not in AVERAGES:
            raise ConfigError(f'average is {kind!r}, expected one of {", ".join(AVERAGES)}.')
        self.kind = kind
        self._sum: np.ndarray | None = None
        self._weight: np.ndarray | None = None
        self._parent = Path(folder or tempfile.gettempdir())
        self._folder: Path | None = None
        self._opened = ExitStack()
        self._count = 0

    def __enter__(self) -> ImageAverage:
        if self.kind == 'median':
            self._folder = self._opened.enter_context(temporary_folder(self._parent, 'average'))
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._opened.close()

    def add(self, image: np.ndarray, covered: np.ndarray, weight: float = 1.0) -> None:
        """Count one more image.

        Args:
            image: ``S``, on the common grid.
            covered: ``S``, bool: where it has voxels.
            weight: How much it counts in a mean.
        """
        assert self.kind == 'mean' or self._folder is not None, 'a median needs its block'
        covered = covered & np.isfinite(image)
        values = np.where(covered, image, 0.0)
        if self._sum is None or self._weight is None:
            self._sum, self._weight = np.zeros(image.shape, np.float64), np.zeros(image.shape, np.float64)
        self._sum += weight * values
        self._weight += weight * covered
        if self._folder is not None:
            kept = np.where(covered, image, np.nan).astype(np.float32)
            np.save(self._folder / f'{self._count}.npy', kept)
        self._count += 1

    def result(self) -> np.ndarray:
        """``S`` float32; 0 where no image has voxels."""
        assert self._sum is not None and self._weight is not None
        seen = self._weight > 0
        if self._folder is None:
            return (self._sum / np.where(seen, self._weight, 1.0)).astype(np.float32)
        files = [self._folder / f'{n}.npy' for n in range(self._count)]
        images = [np.load(file, mmap_mode='r').reshape(-1) for file in files]
        found = np.zeros(self._sum.size, np.float32)
        step, where = max(1, _SLAB // self._count), seen.reshape(-1)
        for start in range(0, found.size, step):
            part = slice(start, start + step)
            if where[part].any():
                stack = np.stack([image[part] for image in images])[:, where[part]]
                found[part][where[part]] = np.nanmedian(stack, axis=0)
        return found.reshape(self._sum.shape)


def sharpened(image: np.ndarray, amount: float) -> np.ndarray:
    """Unsharp masking: details finer than a voxel or two are raised by ``amount`` (0: none), within the range.

    Example:
        >>> bool(np.ptp(sharpened(np.eye(9), 0.5)) <= np.ptp(np.eye(9)))
        True
    """
    from scipy.ndimage import gaussian_filter

    if amount == 0:
        return image
    found = image + amount * (image - gaussian_filter(image, 1.0))
    return np.clip(found, image.min(), image.max()).astype(image.dtype)
