"""The inverse of a displacement, with the distance it is off in millimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmreg.io import Geometry


@dataclass(frozen=True)
class InverseResidual:
    """Distance in mm between a point of the fixed grid and where inverse and displacement together bring it."""

    mean: float
    max: float
    iterations: int


def inverse_of(displacement: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, InverseResidual]:
    """Inverse on the fixed grid, (ndim, *S) voxels, and its residual in mm."""
    import torch

    from mmreg.spatial import compose, invert_multilevel

    field = torch.from_numpy(displacement)[None]
    inverse, found = invert_multilevel(field, iterations=100, tolerance=1e-3)
    error = compose(field, inverse, 'border')[0].numpy()
    length = np.linalg.norm(np.einsum('ab,b...->a...', geometry.matrix, error), axis=0)
    residual = InverseResidual(float(length.mean()), float(length.max()), int(found.iterations))
    return inverse[0].numpy(), residual
