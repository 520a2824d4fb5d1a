"""Distance of two fields, the measure inside the consistency losses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.spatial import resize
from mmreg.spatial.constants import constant
from mmreg.spatial.masked import masked_mean

from .base import prepare_mask

PENALTIES = ('l1', 'l2', 'rmse', 'charbonnier')


def check_penalty(penalty: str, part: object) -> str:
    """``penalty`` if it is known."""
    if penalty not in PENALTIES:
        raise ConfigError(f'{type(part).__name__}: penalty={penalty!r} is unknown, expected one of {PENALTIES}.')
    return penalty


def field_distance(difference: Tensor, penalty: str = 'l2', mask: Tensor | None = None) -> Tensor:
    """Mean over voxels of the length of ``difference`` (N, C, *S), in [0, inf).

    Args:
        difference: of two fields; any number of spatial axes.
        penalty: per voxel 'l1' the sum of absolute values, 'l2' the sum of squares, 'rmse' the Euclidean norm,
            'charbonnier' ``(sum of squares + 0.001)^0.45``.
        mask: weights (N, 1, *S); the mean is then the weighted one.

    Source: golden pyramid_designs/flow_losses ``flow_*``.
    """
    if penalty == 'l1':
        length = difference.abs().sum(1, keepdim=True)
    elif penalty == 'rmse':
        length = torch.linalg.vector_norm(difference, dim=1, keepdim=True)
    else:
        length = difference.square().sum(1, keepdim=True)
        length = (length + 1e-3) ** 0.45 if penalty == 'charbonnier' else length
    return masked_mean(length, mask)


def pyramid_distillation(
    fields: Sequence[Tensor], penalty: str = 'l2', masks: Sequence[Tensor | None] | None = None
) -> Tensor:
    """Coarse fields ``(N, ndim, *S_l)`` learn from the finest one: sum over coarse levels of their distance from it.

    The finest field is resized level by level (sizes and values) and detached; ``fields`` run finest first, each on its
    own grid in its own voxels. ``masks`` belong to the coarse levels, in the same order.

    Source: golden pyramid_designs/flow_losses ``pyramid_distillation``.
    """
    target, total = fields[0].detach(), fields[0].new_zeros(())
    for level, field in enumerate(fields[1:]):
        scale = [m / n for m, n in zip(field.shape[2:], target.shape[2:])]
        resized = resize(target, size=tuple(field.shape[2:]))
        target = resized * constant(scale, target).view(1, -1, *[1] * len(scale))
        mask = None if masks is None else prepare_mask(masks[level], field)
        total = total + field_distance(field - target, penalty, mask)
    return total
