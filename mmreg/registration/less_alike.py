"""Whether an affine that was searched for leaves two whole images less alike than their headers do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from mmreg.evaluation.functional.similarity import both_similarities
from mmreg.io import Geometry, Volume, affine_transform, resample_to

#: Voxels of the grid on which the images are compared.
_VOXELS = 100_000
#: Similarities that fall by no more than this have not fallen.
_FALL = 0.002


def both_fell(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether the local correlation and the mutual information are both lower than before: one alone says little."""
    return all(new < old - _FALL for old, new in zip(before, after, strict=True))


def less_alike(fixed: Volume, moving: Volume, matrix: np.ndarray) -> bool:
    """Whether both the local correlation and the mutual information of the whole images are lower with the affine.

    A search looks at what both images show, and may lead to a place where that is little and looks alike by chance.

    Args:
        fixed: One channel.
        moving: One channel.
        matrix: ``(ndim+1, ndim+1)`` fixed world -> moving world, RAS mm.
    """
    if np.array_equal(matrix, np.eye(len(matrix))):
        return False
    grid = _coarse(fixed.geometry)
    target, source = (_smooth(volume, grid) for volume in (fixed, moving))
    whole = resample_to(target, grid, fill=float(fixed.array.min())).array
    lowest = float(moving.array.min())
    others = (resample_to(source, grid, transform=t, fill=lowest).array for t in (None, affine_transform(matrix)))
    return both_fell(*(both_similarities(whole, other, spacing=grid.spacing) for other in others))


def _coarse(geometry: Geometry) -> Geometry:
    """The field of view in about :data:`_VOXELS` voxels; axes with larger voxels keep them."""
    extent = np.asarray(geometry.shape) * geometry.spacing
    step = (float(np.prod(extent)) / _VOXELS) ** (1 / geometry.ndim)
    return geometry.resampled(tuple(max(step, s) for s in geometry.spacing))


def _smooth(volume: Volume, grid: Geometry) -> Volume:
    """One channel without what the grid cannot show."""
    steps = min(grid.spacing) / np.asarray(volume.geometry.spacing)
    sigma = [max(0.0, (step - 1) / 2) for step in steps]
    array = volume.channel_first()[0].astype(np.float32, copy=False)
    return Volume(ndimage.gaussian_filter(array, sigma, mode='nearest') if max(sigma) > 0.1 else array, volume.geometry)
