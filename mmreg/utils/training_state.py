"""What a checkpoint must hold beside weights so that a training goes on from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmreg.errors import CheckpointError

from .checkpoint import MESSAGES

#: What optimisers keep per weight, of its shape.
_MOMENTS = ('exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'momentum_buffer', 'square_avg', 'sum')


def check_training_state(checkpoint: Mapping[str, Any], source: str | Path) -> None:
    """Refuse to go on from a checkpoint that does not say where a training was.

    Raises:
        CheckpointError: bare weights, or a count or record that is not what the engine writes.
    """
    meta = checkpoint.get('meta') or {}
    for key in ('epoch', 'iter'):
        if type(meta.get(key)) is not int or not 0 <= meta[key] < 1 << 53:
            raise CheckpointError(
                f'{source}: meta.{key} is {str(meta.get(key))[:60]!r}, expected a count of the training that is '
                'resumed (load_from starts from weights alone).'
            )
    seed = meta.get('seed')
    if seed is not None and not (type(seed) is int and 0 <= seed < 1 << 32):
        raise CheckpointError(
            f'{source}: meta.seed is {str(seed)[:60]!r}, expected a number from 0 to {(1 << 32) - 1}.'
        )
    messages = checkpoint.get('message_hub')
    if not isinstance(messages, Mapping) or set(MESSAGES) - set(messages):
        raise CheckpointError(f'{source} has no whole message_hub, expected a checkpoint of a training.')


def check_optimizer(wrapper: Any, source: str | Path) -> None:
    """Refuse an optimiser whose loaded state does not fit its weights: it would end in the middle of a step.

    Raises:
        CheckpointError: a moment of another shape, or a setting that is no number.
    """
    for optimizer in _optimizers(wrapper):
        for group in optimizer.param_groups:
            if not isinstance(group.get('lr'), float | int | Tensor):
                raise CheckpointError(
                    f'{source}: the learning rate is {str(group.get("lr"))[:60]!r}, expected a number.'
                )
        for parameter, state in optimizer.state.items():
            for name, value in state.items():
                if name in _MOMENTS and (not isinstance(value, Tensor) or value.shape != parameter.shape):
                    found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                    expected = f'{tuple(parameter.shape)} as its weight'
                    raise CheckpointError(f'{source}: {name} of the optimiser is {found}, expected {expected}.')


def _optimizers(wrapper: Any) -> list[torch.optim.Optimizer]:
    """The optimisers of one wrapper or of a dictionary of them; none of what is not built yet."""
    found = getattr(wrapper, 'optimizer', None)
    if isinstance(found, torch.optim.Optimizer):
        return [found]
    return [inner for item in getattr(wrapper, 'optim_wrappers', {}).values() for inner in _optimizers(item)]
