"""How far a map is from rigid at every voxel: its gradient, and what two conditions on it cost."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .gradient import spatial_gradient

#: Rows ``i`` and columns ``j`` of ``du_i / dx_j``, each ``(N, *spatial)``.
Rows = Sequence[Sequence[Tensor]]


def displacement_gradient(
    field: Tensor, value: Sequence[float], step: Sequence[float], scheme: str = 'central'
) -> list[list[Tensor]]:
    """``du_i / dx_j`` of a displacement: rows are components, columns axes, each ``(N, *spatial')``.

    Args:
        field: ``(N, ndim, *spatial)``, voxels.
        value: Length of one voxel of the displacement along every axis.
        step: Length of one voxel of the grid along every axis; the same as ``value`` in any true unit.
        scheme: Finite differences of :func:`spatial_gradient`; some lose voxels at the border.

    Example:
        >>> import torch
        >>> rows = displacement_gradient(torch.zeros(1, 2, 4, 4), [1.0, 1.0], [1.0, 1.0])
        >>> len(rows), len(rows[0]), tuple(rows[0][0].shape)
        (2, 2, (1, 4, 4))
    """
    gradient = spatial_gradient(field, scheme)
    return [
        [x if v == s else x * (v / s) for x, s in zip(row.unbind(1), step)] for row, v in zip(gradient.unbind(1), value)
    ]


def orthonormality(gradient: Rows) -> Tensor:
    """``||F^T F - I||_F^2`` per voxel, ``(N, *spatial)``, for ``F = I + du/dx``: 0 where the map turns and shifts only.

    Args:
        gradient: As :func:`displacement_gradient` returns it.

    Source: Staring et al., Med. Phys. 2007.

    Example:
        >>> import torch
        >>> still = [[torch.zeros(1, 2), torch.zeros(1, 2)] for _ in range(2)]
        >>> orthonormality(still).tolist()
        [[0.0, 0.0]]
    """
    total = gradient[0][0].new_zeros(gradient[0][0].shape)
    for i in range(len(gradient)):
        for j in range(i, len(gradient)):  # F^T F - I is symmetric
            excess = gradient[i][j] + gradient[j][i] + sum(row[i] * row[j] for row in gradient)
            total = total + excess.square() * (1 if i == j else 2)
    return total


def properness(gradient: Rows) -> Tensor:
    """``(det F - 1)^2`` per voxel, ``(N, *spatial)``, for ``F = I + du/dx``: 0 where the map keeps volumes.

    Args:
        gradient: As :func:`displacement_gradient` returns it.

    Source: Staring et al., Med. Phys. 2007.

    Example:
        >>> import torch
        >>> double = [[torch.ones(1), torch.zeros(1)], [torch.zeros(1), torch.ones(1)]]  # F = 2 I
        >>> properness(double).item()
        9.0
    """
    rows = [[x + (i == j) for j, x in enumerate(row)] for i, row in enumerate(gradient)]
    return (determinant(rows) - 1).square()


def determinant(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """Determinant of a 2x2 or 3x3 matrix of tensors ``(N, *S)``, entry by entry.

    Example:
        >>> import torch
        >>> determinant([[torch.tensor(2.0), torch.tensor(1.0)], [torch.tensor(0.0), torch.tensor(3.0)]]).item()
        6.0
    """
    if len(rows) == 2:
        return rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]
    (a, b, c), (d, e, f), (g, h, i) = rows
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
