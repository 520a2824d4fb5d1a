"""Whether an affine that was searched for leaves two whole images less alike than their headers do."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mmreg.evaluation.functional.similarity import both_similarities
from mmreg.io import Geometry, Volume, affine_transform, resample_to

#: Voxels of the grid on which the images are compared.
_VOXELS = 100_000
#: Both similarities have to fall by more than this.
_FALL = 0.002


def less_alike(fixed: Volume, moving: Volume, matrix: np.ndarray) -> bool:
    """Whether both the local correlation and the mutual information of the whole images are lower with the affine.

    A search looks at what both images show, and may lead to a place where that is little and looks alike by chance.

    Args:
        fixed: One channel.
        moving: One channel.
        matrix: ``(ndim+1, ndim+1)`` fixed world -> moving world, RAS mm.
    """
    grid = _coarse(fixed.geometry)
    target = _on(fixed, grid, None)
    (local, mutual), (local_after, mutual_after) = (
        both_similarities(target, _on(moving, grid, affine), spacing=grid.spacing) for affine in (None, matrix)
    )
    return local_after < local - _FALL and mutual_after < mutual - _FALL


def _coarse(geometry: Geometry) -> Geometry:
    """The field of view in about :data:`_VOXELS` voxels; axes with larger voxels keep them."""
    extent = np.asarray(geometry.shape) * geometry.spacing
    step = (float(np.prod(extent)) / _VOXELS) ** (1 / geometry.ndim)
    return geometry.resampled(tuple(max(step, s) for s in geometry.spacing))


def _on(volume: Volume, grid: Geometry, matrix: np.ndarray | None) -> np.ndarray:
    steps = min(grid.spacing) / np.asarray(volume.geometry.spacing)
    sigma = [max(0.0, (step - 1) / 2) for step in steps]
    array = volume.channel_first()[0].astype(np.float32, copy=False)
    smooth = Volume(
        ndimage.gaussian_filter(array, sigma, mode='nearest') if max(sigma) > 0.1 else array, volume.geometry
    )
    transform = None if matrix is None else affine_transform(matrix)
    return resample_to(smooth, grid, transform=transform, fill=float(array.min())).array
