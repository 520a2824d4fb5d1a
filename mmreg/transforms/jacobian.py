"""How a transform changes volumes: the determinant of its Jacobian as a map and in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmreg.errors import DataError
from mmreg.io import Geometry, Volume
from mmreg.registration.types import ImageLike

from .files import TransformLike, load_chain
from .reference import reference_grid

#: Determinants at or below zero have no logarithm; they are raised to this first.
LOG_FLOOR = 1e-3


@dataclass(frozen=True)
class JacobianMap:
    """Volume change of a transform.

    Attributes:
        volume: determinant (or its logarithm) per voxel of the reference grid, float32.
        minimum: Smallest determinant.
        maximum: Largest.
        mean: Mean.
        folds_percent: Voxels with a determinant of zero or below, percent.
        sdlogj: Standard deviation of the logarithm of the determinant (clipped to 1e-9 .. 1e9).
    """

    volume: Volume
    minimum: float
    maximum: float
    mean: float
    folds_percent: float
    sdlogj: float


def jacobian_map(
    transform: TransformLike | Sequence[TransformLike],
    reference: ImageLike | Geometry | None = None,
    *,
    log: bool = False,
    mask: np.ndarray | None = None,
) -> JacobianMap:
    """Determinant of the Jacobian of the whole map, affine included: d moving mm / d fixed mm.

    Central differences over the voxels of the reference grid, one-sided at its border; 1 for the identity, above 1
    where tissue of the fixed image is larger in the moving image. Orientation and spacing cancel out.

    Args:
        transform: fixed world -> moving world, one or a sequence.
        reference: image or grid; by default that of the displacement.
        log: the map holds the natural logarithm, of at least :data:`LOG_FLOOR` (where space folds there is none).
        mask: ``(*S)`` on the reference grid; the numbers count only voxels where it is not zero.

    Raises:
        DataError: unreadable, no reference where one is needed, or a mask on another grid or without voxels.

    Example:
        >>> image = np.zeros((4, 3), np.float32), np.eye(3)
        >>> round(jacobian_map(np.diag([2.0, 2.0, 1.0]), image).mean, 6)
        4.0
    """
    import torch

    from mmreg.evaluation.functional import jacobian

    chain = load_chain(transform)
    grid = reference_grid(chain, reference)
    if min(grid.shape) < 2:
        raise DataError(f'reference: found a grid of shape {grid.shape}, expected at least two voxels along each axis')
    determinant = jacobian.determinant_map(torch.from_numpy(chain.displacement_on(grid, np.float64)), crop=0)
    counted = determinant if mask is None else determinant[torch.from_numpy(_checked_mask(mask, grid))]
    shown = determinant.clamp(min=LOG_FLOOR).log() if log else determinant
    return JacobianMap(
        Volume(shown.numpy().astype(np.float32), grid),
        float(counted.min()),
        float(counted.max()),
        float(counted.mean()),
        jacobian.fold_percent(counted),
        jacobian.sd_log_jacobian(counted),
    )


def _checked_mask(mask: np.ndarray, grid: Geometry) -> np.ndarray:
    inside = np.asarray(mask) != 0
    if inside.shape != grid.shape or not inside.any():
        raise DataError(
            f'mask: found shape {inside.shape} with {int(inside.sum())} voxels inside, expected some on the reference '
            f'grid of shape {grid.shape}'
        )
    return inside
