"""Mixed precision on any device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmreg.errors import ConfigError
from mmreg.registry import OPTIM_WRAPPERS

_DTYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}


@OPTIM_WRAPPERS.register_module()
class MixedPrecisionOptimWrapper(OptimWrapper):
    """Optimizer wrapper with autocast: bfloat16 (no loss scaling) or float16 (scaled), also on the CPU.

    Sampling grids, integration and losses leave autocast themselves: a displacement in bfloat16 would be rounded to
    half a voxel at 100 voxels.

    Args:
        dtype: ``'bfloat16'`` or ``'float16'``.
        loss_scale: Arguments of :class:`torch.amp.GradScaler`, used for float16.
        kwargs: Arguments of ``OptimWrapper`` (optimizer, clip_grad, accumulative_counts).
    """

    def __init__(self, dtype: str = 'bfloat16', loss_scale: dict[str, Any] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if dtype not in _DTYPES:
            raise ConfigError(f'optim_wrapper.dtype={dtype!r} is unknown, expected one of {sorted(_DTYPES)}.')
        self.device_type = get_device().split(':')[0]
        self.dtype = _DTYPES[dtype]
        self.scaler = torch.amp.GradScaler(
            self.device_type, enabled=self.dtype == torch.float16, **dict(loss_scale or {})
        )

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Gradients of the scaled loss, a scalar ``()``."""
        self.scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs: Any) -> None:
        """Clip the unscaled gradients, step, and adapt the scale."""
        if self.clip_grad_kwargs:
            self.scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.scaler.step(self.optimizer, **kwargs)
        self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """State of the optimiser and of the scale."""
        return {**super().state_dict(), 'loss_scaler': self.scaler.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up both; a state without a scale is one of full precision."""
        state_dict = dict(state_dict)
        scaler = state_dict.pop('loss_scaler', None)
        if scaler:
            self.scaler.load_state_dict(scaler)
        super().load_state_dict(state_dict)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast to the chosen type, and the engine's own context."""
        with super().optim_context(model), torch.autocast(self.device_type, dtype=self.dtype):
            yield
