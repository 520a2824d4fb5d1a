"""Two displacements in a row as one."""

from __future__ import annotations

from torch import Tensor

from mmreg.spatial._checks import Padding, coordinate_dtype
from mmreg.spatial.warp import warp


def compose(outer: Tensor, inner: Tensor, padding: Padding = 'zeros') -> Tensor:
    """The displacement of the map ``id + outer`` after ``id + inner``: ``inner(x) + outer(x + inner(x))``.

    An image warped by ``outer`` and then by ``inner`` is the image warped once by the result.

    Args:
        outer: ``(N, ndim, *spatial)`` voxels; applied second to a point, first to an image.
        inner: ``(N, ndim, *spatial)`` voxels, on the same grid.
        padding: ``outer`` outside the volume: 'zeros' or 'border'.

    Returns:
        ``(N, ndim, *spatial)`` voxels, float32 or float64.

    Raises:
        InputError: shapes do not match or unknown padding.

    Source: golden eoir/ops ``compose``.
    """
    dtype = coordinate_dtype(outer, inner)
    inner = inner.to(dtype)
    return warp(outer.to(dtype), inner, 'linear', padding).add_(inner)
