"""Logged losses of several processes."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from mmengine.dist import get_world_size
from mmengine.hooks import Hook

from mmreg.registry import HOOKS


@HOOKS.register_module()
class MeanLossHook(Hook):
    """Replaces each process' losses by their mean over all processes before anything logs them.

    The engine logs what the first process saw; with this hook, two processes show the numbers of one process with
    twice the batch, and a NaN anywhere reaches every process.
    """

    priority = 'HIGHEST'

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Replace the losses of this process by their means over all."""
        if get_world_size() == 1 or not outputs:
            return
        names = sorted(outputs)
        values = torch.stack([torch.as_tensor(outputs[name]).detach().double().mean() for name in names])
        dist.all_reduce(values)
        outputs.update(zip(names, values / get_world_size()))
