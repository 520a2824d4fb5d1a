"""The inverse of a large displacement: from coarse to fine, and Newton's method for the voxels that are left."""

from __future__ import annotations

import torch
from torch import Tensor

from mmreg.errors import InputError

from ._checks import Padding, check_field, check_padding, coordinate_dtype
from .compose import compose
from .grid import identity_grid
from .invert import Residual
from .resample import resize_field
from .warp import sample

#: Iterations of the damped fixed point on a coarse grid and on the finest one, and its damping.
COARSE, FINE, DAMPING = 10, 8, 0.7
#: A Newton step is at most so many voxels long; a voxel whose step had to be halved this often gives up.
LONGEST, HALVINGS = 2.0, 7


@torch.no_grad()
def invert_multilevel(
    displacement: Tensor, iterations: int = 40, tolerance: float = 1e-2, padding: Padding = 'border', levels: int = 3
) -> tuple[Tensor, Residual]:
    """Invert a displacement whose neighbouring vectors may differ by more than a voxel.

    :func:`mmreg.spatial.invert` converges where the map stretches by less than a factor of two. Here a damped fixed
    point runs on grids 8, 4, 2 and 1 times coarser, each starting where the last ended; voxels that are not yet exact
    are then solved one by one by Newton's method with step halving. No gradient.

    Args:
        displacement: ``(N, ndim, *spatial)`` voxels.
        iterations: of Newton's method, at most.
        tolerance: length of the residual in voxels below which a voxel is done.
        padding: the displacement outside the volume: 'border' or 'zeros'.
        levels: how many coarser grids precede the full one.

    Returns:
        The inverse, ``(N, ndim, *spatial)`` voxels, and its :class:`Residual`, which stays large where space folds.

    Raises:
        InputError: not a field, a negative number of levels or unknown padding.

    Example:
        >>> inverse, residual = invert_multilevel(torch.ones(1, 2, 16, 16))
        >>> inverse[0, :, 8, 8].round(decimals=3).tolist()
        [-1.0, -1.0]
    """
    check_field(displacement)
    check_padding(padding)
    if levels < 0 or iterations < 0:
        raise InputError(f'levels is {levels} and iterations {iterations}, expected 0 or more.')
    field = displacement.detach().to(coordinate_dtype(displacement))
    inverse = _coarse_to_fine(field, padding, levels)
    error = compose(field, inverse, padding)
    done = 0
    for n in range(len(field)):
        done = max(
            done, _newton(field[n : n + 1], inverse[n : n + 1], error[n : n + 1], iterations, tolerance, padding)
        )
    length = compose(field, inverse, padding).square().sum(1).sqrt_().flatten(1)
    return inverse, Residual(length.amax(1), length.mean(1), done)


def _coarse_to_fine(field: Tensor, padding: Padding, levels: int) -> Tensor:
    size = list(field.shape[2:])
    inverse: Tensor | None = None
    for level in range(levels, -1, -1):
        grid = [max(min(n, 2), (n - 1) // 2**level + 1) for n in size]
        coarse = resize_field(field, size=grid, values='aligned')
        inverse = -coarse if inverse is None else resize_field(inverse, size=grid, values='aligned')
        for _ in range(COARSE if level else FINE):
            inverse = inverse.sub(compose(coarse, inverse, padding), alpha=DAMPING)
    assert inverse is not None
    return inverse


def _newton(field: Tensor, inverse: Tensor, error: Tensor, iterations: int, tolerance: float, padding: Padding) -> int:
    """Correct ``inverse`` ``(1, ndim, *S)`` in place where ``error`` is too long; returns the iterations done."""
    flat = inverse.flatten(2)
    active = (error.square().sum(1).flatten() > tolerance**2).nonzero()[:, 0]
    places = identity_grid(field.shape[2:], device=field.device, dtype=field.dtype).flatten(1)
    damping = torch.ones(len(active), device=field.device, dtype=field.dtype)
    e = error.flatten(2)[0, :, active].T
    done = 0
    while len(active) and done < iterations:
        done += 1
        x, w = places[:, active].T, flat[0, :, active].T
        step = _solve(_derivative(field, x + w, padding), e)
        tried = w - damping[:, None] * step
        after = tried + sample(field, (x + tried)[None], padding)[0].T
        better = after.square().sum(1) < e.square().sum(1)
        w, e = torch.where(better[:, None], tried, w), torch.where(better[:, None], after, e)
        damping = torch.where(better, (2 * damping).clamp(max=1), damping / 2)
        flat[0, :, active] = w.T
        going = (e.square().sum(1) > tolerance**2) & (damping > 0.5**HALVINGS)
        active, e, damping = active[going], e[going], damping[going]
    return done


def _derivative(field: Tensor, points: Tensor, padding: Padding) -> Tensor:
    """``I + Du`` of the interpolated field at points ``(P, ndim)``: ``(P, ndim, ndim)``."""
    with torch.enable_grad():
        at = points.detach().requires_grad_()
        values = at.T + sample(field, at[None], padding)[0]
        rows = [torch.autograd.grad(value.sum(), at, retain_graph=True)[0] for value in values]
    return torch.stack(rows, dim=1)


def _solve(matrix: Tensor, error: Tensor) -> Tensor:
    """``matrix^-1 error`` per voxel, not longer than :data:`LONGEST`; the error itself where space is folded."""
    ndim = matrix.shape[-1]
    folded = torch.linalg.det(matrix) < 1e-3
    matrix = torch.where(folded[:, None, None], torch.eye(ndim, dtype=matrix.dtype, device=matrix.device), matrix)
    step = torch.linalg.solve(matrix, error.unsqueeze(-1)).squeeze(-1)
    length = step.norm(dim=1, keepdim=True)
    return step * (LONGEST / length.clamp(min=LONGEST))
