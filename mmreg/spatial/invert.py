"""The inverse of a displacement, with the error it was found to have."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mmreg.errors import InputError

from ._checks import Padding, check_field, check_padding, coordinate_dtype
from .compose import compose
from .warp import warp

#: Squared change of a residual below which it says nothing.
_FLAT = 1e-20
#: Away from the CPU: iterations between two looks at the error, and iterations where nobody looks (while a graph is
#: recorded). The residual of an accelerated iteration falls by an order of magnitude in about three.
LOOK_EVERY, UNSEEN = 4, 12


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
    accelerated: bool = True,
) -> tuple[Tensor, Residual]:
    """Invert a displacement by fixed-point iteration: ``w <- -u(x + w)``.

    Converges where neighbouring displacements differ by less than the distance of the voxels; elsewhere (at folds)
    the residual says so. For the integral of a velocity ``v`` use the integral of ``-v`` instead.

    Args:
        displacement: ``(N, ndim, *spatial)`` voxels.
        iterations: at most so many.
        tolerance: stop when the largest residual of the batch is below it, in voxels. Away from the CPU this is looked
            at every few iterations only, and in training never: there, a dozen iterations are made.
        padding: the displacement outside the volume: 'border' or 'zeros'.
        accelerated: extrapolate from the last two iterates, each voxel by itself: about half the iterations where
            neighbouring displacements differ by nearly the distance of the voxels. False is the plain iteration.

    Returns:
        The inverse, ``(N, ndim, *spatial)`` voxels, and its :class:`Residual`. If the displacement requires a gradient
        the inverse carries the exact one of the implicit equation, at the memory of one warp.

    Raises:
        InputError: not a field, fewer than one iteration or unknown padding.

    Source: Chen et al., Med. Phys. 35(1), 2008 (fixed-point inversion); Anderson, J. ACM 12(4), 1965 (extrapolation,
    here per voxel, as the equation couples no two of them); implicit function theorem for the gradient.

    Example:
        >>> inverse, residual = invert(torch.ones(1, 2, 8, 8))
        >>> inverse[0, :, 4, 4].tolist()
        [-1.0, -1.0]
    """
    check_field(displacement)
    check_padding(padding)
    if iterations < 1:
        raise InputError(f'iterations is {iterations}, expected at least 1.')
    field = displacement.to(coordinate_dtype(displacement))
    recorded = torch.is_grad_enabled() and field.requires_grad
    inverse, residual = _fixed_point(
        field.detach(), *_stop(field, iterations, recorded), tolerance, padding, accelerated
    )
    if recorded:
        inverse = _attach_gradient(field, inverse, padding)
    return inverse, residual


def _stop(field: Tensor, iterations: int, recorded: bool) -> tuple[int, int]:
    """Iterations at most, and after how many of them the error is looked at.

    A look makes a GPU wait for all that was asked of it. In training there is none, and a fixed number of iterations.
    """
    if field.device.type == 'cpu':
        return iterations, 1
    return (min(iterations, UNSEEN), iterations) if recorded else (iterations, LOOK_EVERY)


@torch.no_grad()
def _fixed_point(
    field: Tensor, iterations: int, look_every: int, tolerance: float, padding: Padding, accelerated: bool
) -> tuple[Tensor, Residual]:
    """Fixed point of ``field`` ``(N, ndim, *spatial)``."""
    inverse = -field
    following = _Secant()
    error = compose(field, inverse, padding)
    length = error.square().sum(1).sqrt_().flatten(1)
    done = 1
    while done < iterations and (done % look_every or float(length.max()) > tolerance):
        inverse = following(inverse, error, length) if accelerated else inverse - error
        error = compose(field, inverse, padding)
        length = error.square().sum(1).sqrt_().flatten(1)
        done += 1
    return inverse, Residual(length.amax(1), length.mean(1), done)


class _Secant:
    """The next iterate of ``x <- F(x)``: on the line through the last two, where the residual ``x - F(x)`` is smallest.

    Voxel by voxel. Where the last step did not shrink the residual, the next one is plain.
    """

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor, Tensor] | None = None

    def __call__(self, x: Tensor, residual: Tensor, length: Tensor) -> Tensor:
        """``x``, ``residual`` ``(N, ndim, *spatial)``; ``length`` of the residual ``(N, voxels)``."""
        image = x - residual
        last, self._last = self._last, (image, residual, length)
        if last is None:
            return image
        old_image, old_residual, old_length = last
        change = residual - old_residual
        steepness = change.square().sum(1, keepdim=True).clamp_(min=_FLAT)
        share = (change.mul_(residual).sum(1, keepdim=True) / steepness).clamp_(-1, 1)
        share *= (length < old_length).view_as(share)
        return torch.addcmul(image, share, image - old_image, value=-1)


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
