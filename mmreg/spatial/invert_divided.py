"""The inverse of a displacement on a grid finer than its own, and how far it is off there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ._checks import check_field, coordinate_dtype
from .compiled import inverting
from .compose import compose
from .invert_multilevel import invert_multilevel
from .resample import resize_field

#: Voxels that are solved at once.
_AT_ONCE = 1 << 19


@torch.no_grad()
def invert_divided(
    displacement: Tensor, factors: Sequence[int], iterations: int = 40, tolerance: float = 1e-3
) -> Iterator[tuple[Tensor, int]]:
    """Invert a displacement at the nodes of a grid that divides its voxels; outside the nearest vector goes on.

    Linear interpolation on the divided grid is that on the original one. The kernels solve every voxel by Newton's
    method from where its neighbours ended, some slices after the others; without them it is
    :func:`mmreg.spatial.invert_multilevel` of the field on the finer grid, all slices at once. No gradient.

    Args:
        displacement: ``(1, ndim, *S)`` voxels of its own grid.
        factors: voxels of the finer grid per voxel, per axis; corners are aligned.
        iterations: of Newton's method, at most.
        tolerance: length of the residual in voxels of the finer grid below which a voxel is done.

    Yields:
        Slabs of the inverse ``(1, ndim, slices, ...)`` in voxels of the finer grid ``(S - 1) * factors + 1``, in order
        along the first axis, and the iterations of the voxel that took the most.

    Raises:
        InputError: not a field.

    Example:
        >>> slabs = [slab for slab, _ in invert_divided(torch.full((1, 3, 4, 4, 4), 0.5), (2, 2, 2))]
        >>> inverse = torch.cat(slabs, dim=2)
        >>> inverse.shape[2:], inverse[0, :, 3, 3, 3].tolist()
        (torch.Size([7, 7, 7]), [-1.0, -1.0, -1.0])
    """
    check_field(displacement)
    field, factors = displacement.detach().to(coordinate_dtype(displacement)), _divisible(displacement, factors)
    if inverting.serves_inverse(field, factors):
        yield from inverting.invert_slabs(field, factors, iterations, tolerance, _AT_ONCE)
        return
    fine = resize_field(field, size=inverting.divided(field.shape[2:], factors), values='aligned')
    inverse, found = invert_multilevel(fine, iterations=iterations, tolerance=tolerance)
    yield inverse, int(found.iterations)


@torch.no_grad()
def there_and_back(
    displacement: Tensor,
    inverse: Tensor,
    factors: Sequence[int],
    kept: Sequence[int],
    matrix: Tensor,
    every: int = 1,
) -> tuple[float, float]:
    """Mean and largest distance of a point from where an inverse and the displacement together bring it.

    Args:
        displacement: ``(1, ndim, *S)`` voxels.
        inverse: ``(1, ndim, *T)`` voxels of the grid that divides those of the displacement by ``kept``.
        factors: looked at are the nodes of the grid divided by so much.
        kept: see there.
        matrix: ``(ndim, ndim)``, voxels of the displacement -> mm.
        every: look at every so-many-th slice along the first axis.

    Returns:
        Both in mm.

    Example:
        >>> shift = torch.ones(1, 3, 4, 4, 4)
        >>> there_and_back(shift, -2 * torch.ones(1, 3, 7, 7, 7), (2, 2, 2), (2, 2, 2), torch.eye(3))
        (0.0, 0.0)
    """
    check_field(displacement)
    field, back = displacement.to(coordinate_dtype(displacement)), inverse.to(coordinate_dtype(inverse))
    factors, kept = _divisible(displacement, factors), _divisible(displacement, kept)
    if inverting.serves_inverse(field, factors) and inverting.serves_inverse(back, (1, 1, 1)):
        return inverting.there_and_back(field, back, factors, kept, matrix, every)
    size = inverting.divided(field.shape[2:], factors)
    fine, back = (resize_field(one, size=size, values='aligned') for one in (field, back))
    left = compose(fine, back, 'border')[0][:, ::every]
    to_mm = matrix.to(left) / left.new_tensor(list(factors))
    length = torch.einsum('ab,b...->a...', to_mm, left).norm(dim=0)
    return float(length.mean()), float(length.max())


def _divisible(field: Tensor, factors: Sequence[int]) -> list[int]:
    """The factors; an axis of one voxel has no steps that could be made smaller."""
    return [factor if n > 1 else 1 for factor, n in zip(factors, field.shape[2:])]
