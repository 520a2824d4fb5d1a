"""A warp that hands out its own derivative, and can therefore be differentiated twice."""

from __future__ import annotations

import torch
from torch import Tensor

from mmreg.errors import InputError

from ._checks import check_field, coordinate_dtype
from .grid import axis_index
from .precision import without_autocast

#: Flat index of a corner per axis (below, above) and the weight of the one above.
_Axis = tuple[Tensor, Tensor, Tensor]


def warp_with_gradient(image: Tensor, displacement: Tensor) -> tuple[Tensor, Tensor]:
    """Linear warp with border replication and its derivative by the displacement, ``p = x + displacement(x)``.

    The derivative of a multilinear interpolant along axis i is itself an interpolation, ``M(p_i := floor(p_i) + 1) -
    M(p_i := floor(p_i))``; it is the difference to the right at an integer position and 0 outside the grid. Both
    results are made of elementary operations on the same corner values, so that losses of the gradient can be trained
    with (``grid_sample`` has no second derivative).

    Args:
        image: ``(N, C, *spatial)`` floating point.
        displacement: ``(N, ndim, *spatial)`` voxels of the same grid, component order = axis order.

    Returns:
        warped ``(N, C, *spatial)`` and gradient ``(N, C, ndim, *spatial)`` per voxel, float32 (float64 if either is).

    Raises:
        InputError: image and displacement do not share a grid.

    Source: golden gradirn/ops ``warp_border_exact``, ``ssd_exact_grad``.

    Example:
        >>> image = torch.arange(6.0).view(1, 1, 2, 3)
        >>> warped, gradient = warp_with_gradient(image, torch.full((1, 2, 2, 3), 0.25))
        >>> warped[0, 0, 0, 0].item(), gradient.shape
        (1.0, torch.Size([1, 1, 2, 2, 3]))
    """
    check_field(displacement)
    if image.shape[2:] != displacement.shape[2:] or image.shape[0] != displacement.shape[0]:
        raise InputError(
            f'displacement has the shape {tuple(displacement.shape)}, expected the batch and grid of the image '
            f'{tuple(image.shape)}.'
        )
    dtype = coordinate_dtype(image, displacement)
    with without_autocast(image):
        source = image.to(dtype).flatten(2)
        axes = _corners(displacement.to(dtype))
        value, slopes = _contract(source, axes, None)
    shape = (*image.shape[:2], *image.shape[2:])
    return value.view(shape), torch.stack([s.view(shape) for s in slopes], dim=2)


def _corners(displacement: Tensor) -> list[_Axis]:
    size = displacement.shape[2:]
    axes = []
    for i, n in enumerate(size):
        index = axis_index(size, i, device=displacement.device, dtype=displacement.dtype)
        position = (index + displacement[:, i]).flatten(1)
        floor = position.detach().floor()
        stride = 1
        for m in size[i + 1 :]:
            stride *= m
        below = floor.nan_to_num(nan=0.0)
        low, high = (corner.clamp(0, n - 1).long() * stride for corner in (below, below + 1))
        axes.append((low, high, (position - floor).unsqueeze(1)))
    return axes


def _contract(source: Tensor, axes: list[_Axis], index: Tensor | None) -> tuple[Tensor, list[Tensor]]:
    """Value at the positions and its slope along every axis in ``axes``; ``index`` is that of the axes before."""
    if not axes:
        assert index is not None
        return source.gather(2, index.unsqueeze(1).expand(-1, source.shape[1], -1)), []
    (low, high, weight), rest = axes[0], axes[1:]
    below, below_slopes = _contract(source, rest, low if index is None else index + low)
    above, above_slopes = _contract(source, rest, high if index is None else index + high)
    difference = above - below
    slopes = [torch.lerp(b, a, weight.expand_as(a)) for b, a in zip(below_slopes, above_slopes)]
    return torch.addcmul(below, difference, weight), [difference, *slopes]
