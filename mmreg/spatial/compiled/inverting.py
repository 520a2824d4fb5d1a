"""The inverse of a displacement on a grid that divides its voxels, by the kernels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .library import MOST_ELEMENTS, call, has, serves


def serves_inverse(field: Tensor, factors: Sequence[int]) -> bool:
    """Whether :func:`invert_slabs` and :func:`there_and_back` can do it: one field in 3-D, divided by so much."""
    return (
        field.dim() == 5
        and len(field) == 1
        and serves(field)
        and has('mmreg_invert_slices', 'mmreg_there_and_back')
        and 4 * math.prod(divided(field.shape[2:], factors)) <= MOST_ELEMENTS
    )


def divided(size: Sequence[int], factors: Sequence[int]) -> list[int]:
    """Voxels per axis of the grid from the same first to the same last voxel with steps that many times smaller."""
    return [(n - 1) * f + 1 for n, f in zip(size, factors)]


def invert_slabs(
    field: Tensor, factors: Sequence[int], iterations: int, tolerance: float, voxels: int
) -> Iterator[tuple[Tensor, int]]:
    """The inverse at the nodes of a finer grid, in its voxels, some slices after the others.

    Args:
        field: ``(1, 3, *S)`` voxels of its own grid; outside the nearest vector goes on.
        factors: The finer grid's voxels per voxel.
        iterations: Of Newton's method, at most, per voxel.
        tolerance: Length of what is left in voxels of the finer grid.
        voxels: About so many at once.

    Yields:
        ``(1, 3, slices, ...)``, and Newton's steps of the voxel that took the most.
    """
    size, inside = divided(field.shape[2:], factors), _inside(field)
    count = max(1, voxels // (size[1] * size[2]))
    for first in range(0, size[0], count):
        slices = min(count, size[0] - first)
        out, steps = torch.empty(1, 3, slices, *size[1:]), torch.zeros(slices, dtype=torch.int32)
        call(
            'mmreg_invert_slices', inside, out, steps, list(field.shape[2:]), list(factors), first, slices, tolerance,
            iterations,
        )  # fmt: skip
        yield out, int(steps.max())


def there_and_back(
    field: Tensor, kept: Tensor, factors: Sequence[int], kept_factors: Sequence[int], matrix: Tensor, every: int = 1
) -> tuple[float, float]:
    """Mean and largest length of what is left of the nodes of a divided grid after an inverse and the field.

    Args:
        field: ``(1, 3, *S)`` voxels.
        kept: ``(1, 3, *T)`` voxels of the grid that divides those of the field by ``kept_factors``.
        factors: The nodes are those of the grid divided by so much.
        kept_factors: See there.
        matrix: ``(3, 3)``, the field's voxels -> mm.
        every: Look at every so-many-th slice.
    """
    nodes = divided(field.shape[2:], factors)
    slices = -(-nodes[0] // every)
    results = torch.empty(slices, 2, dtype=torch.float64)
    call(
        'mmreg_there_and_back', _inside(field), _inside(kept), results, list(field.shape[2:]), list(kept.shape[2:]),
        list(factors), list(kept_factors), matrix.float().contiguous(), every,
    )  # fmt: skip
    return float(results[:, 0].sum()) / (slices * nodes[1] * nodes[2]), float(results[:, 1].max())


def _inside(field: Tensor) -> Tensor:
    """``(*S, 4)`` of ``(1, 3, *S)``: the components of a voxel side by side, and a number that does not count."""
    return torch.nn.functional.pad(field[0].movedim(0, -1), (0, 1)).contiguous()
