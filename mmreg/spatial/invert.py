"""The inverse of a displacement, with the error it was found to have."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mmreg.errors import InputError
from mmreg.spatial._checks import Padding, check_field, check_padding, coordinate_dtype
from mmreg.spatial.anderson import Anderson
from mmreg.spatial.compose import compose
from mmreg.spatial.warp import warp


class Residual(NamedTuple):
    """Length, in voxels, of ``displacement`` after ``inverse`` (zero for an exact inverse), per sample."""

    max: Tensor
    mean: Tensor
    iterations: int


def invert(
    displacement: Tensor,
    iterations: int = 50,
    tolerance: float = 1e-3,
    padding: Padding = 'border',
    memory: int = 1,
) -> tuple[Tensor, Residual]:
    """Invert a displacement by fixed-point iteration: ``w <- -u(x + w)``.

    Converges where neighbouring displacements differ by less than the distance of the voxels; elsewhere (at folds)
    the residual says so. For the integral of a velocity ``v`` use the integral of ``-v`` instead.

    Args:
        displacement: ``(N, ndim, *spatial)`` voxels.
        iterations: at most so many.
        tolerance: stop when the largest residual of the batch is below it, in voxels.
        padding: the displacement outside the volume: 'border' or 'zeros'.
        memory: steps that Anderson acceleration learns from; 1 is the plain iteration. It needs far fewer iterations
            where neighbouring displacements differ by nearly the distance of the voxels, and ``2 memory`` fields.

    Returns:
        The inverse, ``(N, ndim, *spatial)`` voxels, and its :class:`Residual`. If the displacement requires a gradient
        the inverse carries the exact one of the implicit equation, at the memory of one warp.

    Raises:
        InputError: not a field, fewer than one iteration or step of memory, or unknown padding.

    Source: Chen et al., Med. Phys. 35(1), 2008 (fixed-point inversion); implicit function theorem for the gradient.
    """
    check_field(displacement)
    check_padding(padding)
    if iterations < 1:
        raise InputError(f'iterations is {iterations}, expected at least 1.')
    if memory < 1:
        raise InputError(f'memory is {memory}, expected at least 1.')
    field = displacement.to(coordinate_dtype(displacement))
    inverse, residual = _fixed_point(field.detach(), iterations, tolerance, padding, memory)
    if torch.is_grad_enabled() and field.requires_grad:
        inverse = _attach_gradient(field, inverse, padding)
    return inverse, residual


@torch.no_grad()
def _fixed_point(
    field: Tensor, iterations: int, tolerance: float, padding: Padding, memory: int
) -> tuple[Tensor, Residual]:
    inverse = -field
    following = Anderson(memory)
    error = compose(field, inverse, padding)
    length = error.square().sum(1).sqrt_().flatten(1)
    done = 1
    while done < iterations and float(length.max()) > tolerance:
        inverse = following(inverse, error)
        error = compose(field, inverse, padding)
        length = error.square().sum(1).sqrt_().flatten(1)
        done += 1
    return inverse, Residual(length.amax(1), length.mean(1), done)


def _attach_gradient(field: Tensor, inverse: Tensor, padding: Padding) -> Tensor:
    """Same values; gradient ``-(I + Du)^-1 du`` at ``x + inverse(x)``."""
    matrix = _derivative_at(field.detach(), inverse, padding)
    moved = warp(field, inverse, 'linear', padding)
    change = (moved - moved.detach()).movedim(1, -1).unsqueeze(-1)
    step = torch.linalg.solve(matrix, change).squeeze(-1).movedim(-1, 1)
    return inverse - step


def _derivative_at(field: Tensor, inverse: Tensor, padding: Padding) -> Tensor:
    """``I + Du`` at ``x + inverse(x)``, ``(N, *spatial, ndim, ndim)``; the identity where space is folded."""
    ndim = field.shape[1]
    rows = []
    with torch.enable_grad():
        at = inverse.clone().requires_grad_()
        moved = warp(field, at, 'linear', padding)
        for i in range(ndim):
            (row,) = torch.autograd.grad(moved[:, i].sum(), at, retain_graph=i + 1 < ndim)
            rows.append(row.movedim(1, -1))
    eye = torch.eye(ndim, dtype=field.dtype, device=field.device)
    matrix = torch.stack(rows, dim=-2) + eye
    folded = torch.linalg.det(matrix) < 1e-2
    return torch.where(folded[..., None, None], eye, matrix)
