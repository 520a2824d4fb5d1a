"""What an iteration of gradient descent on a field does besides its loss, by the kernels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .library import call, has, serves


def serves_step(*fields: Tensor) -> bool:
    """Whether the functions of this module take these fields: ``(N, 3, *S)`` in 3-D, axes of two voxels or more."""
    return (
        has('mmreg_transposed', 'mmreg_running', 'mmreg_direction')
        and serves(*fields)
        and all(field.dim() == 5 and field.shape[1] == 3 and min(field.shape[2:]) > 1 for field in fields)
    )


def transposed(field: Tensor, gradient: Tensor) -> Tensor:
    """``(I + Du)^T gradient``, ``(N, 3, *S)``; differences are central, one-sided at the border."""
    out = torch.empty(gradient.shape)
    call('mmreg_transposed', field.contiguous(), gradient.contiguous(), out, len(out), list(out.shape[2:]))
    return out


def running(
    gradient: Tensor, mean: Tensor, square: Tensor, mobility: Sequence[float], momentum: float, memory: float
) -> Tensor:
    """Bring the running means of a gradient, and of its square or squared length, up to date in place.

    Args:
        gradient: ``(N, 3, *S)``, is multiplied by ``mobility`` axis by axis.
        mean: The same shape, contiguous.
        square: The same, or ``(N, 1, *S)``: of the squared length.
        mobility: See there.
        momentum: Weight of the past in ``mean``.
        memory: The same in ``square``.

    Returns:
        The largest value of ``square``, ``(N,)``.
    """
    largest = torch.empty(gradient.shape[0], gradient.shape[2])
    call(
        'mmreg_running', gradient.contiguous(), mean, square, largest, len(gradient), list(gradient.shape[2:]),
        list(mobility), momentum, memory, square.shape[1] == 1,
    )  # fmt: skip
    return largest.amax(1)


def direction(
    mean: Tensor, square: Tensor, added: Tensor, mobility: Sequence[float], by_mean: float, by_square: float
) -> tuple[Tensor, Tensor]:
    """``mobility * mean / by_mean / (sqrt(square / by_square) + added)``, and its largest squared length ``(N,)``.

    Args:
        mean: ``(N, 3, *S)``, contiguous.
        square: The same or ``(N, 1, *S)``.
        added: ``(N,)``.
        mobility: Per axis.
        by_mean: Number.
        by_square: Number.
    """
    out, largest = torch.empty(mean.shape), torch.empty(mean.shape[0], mean.shape[2])
    call(
        'mmreg_direction', mean, square, added, out, largest, len(mean), list(mean.shape[2:]), list(mobility),
        by_mean, by_square, square.shape[1] == 1,
    )  # fmt: skip
    return out, largest.amax(1)
