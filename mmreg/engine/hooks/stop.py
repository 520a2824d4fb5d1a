"""Ctrl-C and SIGTERM end a run without losing anything."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import torch
import torch.distributed as dist
from mmengine.device import get_device
from mmengine.dist import is_distributed, master_only
from mmengine.hooks import Hook

from mmreg.registry import HOOKS

from .checkpoint import save_checkpoint

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@HOOKS.register_module()
class GracefulStopHook(Hook):
    """On SIGINT or SIGTERM: finish the iteration, save a checkpoint, leave with the code ``128 + signal``.

    All processes of a distributed run stop at the same iteration. A second signal stops at once. The signals are given
    back when the training ends, also by an error: the loops of :mod:`mmreg.engine.loops` call :meth:`release`.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.received = 0
        self._pid = os.getpid()
        self._previous: dict[int, Any] = {}

    def before_train(self, runner: Any) -> None:
        """Catch the signals, in the main thread only."""
        self.received, self._pid = 0, os.getpid()
        if threading.current_thread() is not threading.main_thread():
            return  # signals reach the main thread only
        for number in _SIGNALS:
            self._previous[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, frame: Any) -> None:
        if os.getpid() != self._pid:  # a forked child: its parent decides
            return
        if self.received:
            raise KeyboardInterrupt
        self.received = number

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Where any process got a signal: save, and leave with the signal's exit code."""
        number = _agree(self.received)
        if not number:
            return
        self.release()
        name = f'interrupt_iter_{runner.iter + 1}.pth'
        save_checkpoint(runner, runner.work_dir, name, by_epoch=False)
        _say_where(runner, name)
        if is_distributed():
            dist.barrier()
        raise SystemExit(128 + number)

    def after_train(self, runner: Any) -> None:
        """Give the signals back."""
        self.release()

    def release(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()


@master_only
def _say_where(runner: Any, name: str) -> None:
    runner.logger.warning(f'Stopped by a signal; everything is in {name}. Continue with --resume.')


def _agree(number: int) -> int:
    """The largest of all ranks' flags, so that all stop together."""
    if not is_distributed():
        return number
    flag = torch.tensor(number, device=get_device())
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return int(flag)
