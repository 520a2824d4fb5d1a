"""Displacements of a group as arrays: composed, inverted, averaged, mirrored. ``(ndim, *S)`` voxels of one grid."""

from __future__ import annotations

import numpy as np


def composed(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The displacement of first ``inner``, then ``outer``; both continue at the border."""
    import torch

    from mmreg.spatial import compose

    first, second = (torch.from_numpy(np.ascontiguousarray(one, dtype=np.float32))[None] for one in (outer, inner))
    return compose(first, second, padding='border')[0].numpy()


def inverted(displacement: np.ndarray) -> np.ndarray:
    """The displacement that undoes it."""
    import torch

    from mmreg.spatial import invert_multilevel

    field = torch.from_numpy(np.ascontiguousarray(displacement, dtype=np.float32))[None]
    return invert_multilevel(field, padding='border')[0][0].numpy()


def mirrored(displacement: np.ndarray) -> np.ndarray:
    """The displacement seen in a mirror across the middle of the first array axis."""
    flipped = displacement[:, ::-1].copy()
    flipped[0] *= -1
    return flipped


class RunningField:
    """The weighted mean of displacements that are never together in memory."""

    def __init__(self) -> None:
        self._sum: np.ndarray | None = None
        self._weight = 0.0

    def add(self, displacement: np.ndarray, weight: float) -> None:
        """Count one more."""
        if self._sum is None:
            self._sum = np.zeros(displacement.shape, np.float64)
        self._sum += weight * displacement
        self._weight += weight

    def mean(self) -> np.ndarray:
        """``(ndim, *S)`` float32."""
        assert self._sum is not None
        return (self._sum / self._weight).astype(np.float32)
