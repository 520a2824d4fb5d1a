"""The simplices that forward and backward differences span around a voxel, and how a field turns them inside out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

from torch import Tensor

from mmreg.errors import InputError

from ._checks import check_field
from .jacobian import jacobian_determinant

#: Edges of the two tetrahedra in the middle of the cell before and the cell after a voxel, which no corner spans.
INNER = {
    'Jstar_1': ((-1, -1, 0), (-1, 0, -1), (0, -1, -1)),
    'Jstar_2': ((1, 1, 0), (0, 1, 1), (1, 0, 1)),
}
Determinant = Callable[[Tensor], Tensor]


def simplex_determinants(ndim: int) -> dict[str, Determinant]:
    """The simplices around a voxel: ten tetrahedra in 3-D, four triangles in 2-D.

    Together they cut every cell of the grid into simplices in both symmetric ways; on each of them the linearly
    interpolated map is affine, so a cell is free of folds if and only if all determinants are positive.

    Returns:
        Name -> function from a displacement ``(N, ndim, *spatial)`` in voxels to the determinant of the simplex's
        edges, ``(N, *(spatial - 2))``: its signed volume times ``ndim!``. Names: ``'+x-y+z'`` ... for the corner
        simplices, signs in order (+ first), then ``'Jstar_1'`` and ``'Jstar_2'`` for the inner two of the 3-D case.

    Source: Liu et al., IJCV 2024; golden pyramid_designs/diffeomorphism_metrics.

    Example:
        >>> sorted(simplex_determinants(2))
        ['+x+y', '+x-y', '-x+y', '-x-y']
    """
    found: dict[str, Determinant] = {}
    for signs in product('+-', repeat=ndim):
        name = ''.join(sign + axis for sign, axis in zip(signs, 'xyz'))
        found[name] = partial(jacobian_determinant, scheme=''.join(signs))
    if ndim == 3:
        found |= {name: partial(_inner_determinant, edges=edges) for name, edges in INNER.items()}
    return found


def simplex_share(ndim: int) -> float:
    """Factor from the sum of all determinants around a voxel to volumes, each way of cutting weighing the same.

    Ten tetrahedra of 1/6 voxel cover each voxel twice: 1/12 each. Four triangles of 1/2 pixel cover it twice: 1/4.

    Example:
        >>> simplex_share(2), round(simplex_share(3), 4)
        (0.25, 0.0833)
    """
    return 1 / 12 if ndim == 3 else 1 / 4


def _inner_determinant(displacement: Tensor, edges: tuple[tuple[int, int, int], ...]) -> Tensor:
    """Triple product of three edges ``phi(x + o) - phi(x)`` at the inner voxels, ``phi = id + displacement``."""
    if check_field(displacement) != 3:
        raise InputError(f'displacement has shape {tuple(displacement.shape)}, expected (N, 3, D, H, W).')
    here = _shifted(displacement, (0, 0, 0))
    a, b, c = (
        (_shifted(displacement, o) - here + displacement.new_tensor(o).view(1, 3, 1, 1, 1)).unbind(1) for o in edges
    )
    return a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])


def _shifted(x: Tensor, offset: tuple[int, ...]) -> Tensor:
    """The inner voxels of ``x`` (N, C, *S), read ``offset`` voxels further."""
    for axis, step in enumerate(offset):
        x = x.narrow(axis + 2, 1 + step, x.shape[axis + 2] - 2)
    return x
