"""A progress bar with the time that is left, on terminals."""

from __future__ import annotations

import atexit
import logging
import sys
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mmreg.registry import HOOKS


@HOOKS.register_module()
class ProgressHook(Hook):
    """Shows iterations, loss and remaining time in one line at the bottom of a terminal.

    Where the output is no terminal (a file, a batch system) nothing is drawn: the logger's lines carry the ETA there.

    Args:
        enabled: True or False to decide; None for a bar on terminals only.
    """

    priority = 'VERY_LOW'

    def __init__(self, enabled: bool | None = None):
        self.enabled = enabled
        self.progress: Progress | None = None
        self._streams: list[tuple[logging.StreamHandler[Any], Any]] = []
        self._tasks: dict[str, Any] = {}

    def before_train(self, runner: Any) -> None:
        """Show the bar of the training."""
        self._start(runner, 'train', runner.max_iters, runner.iter)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Move it, with the loss."""
        loss = (outputs or {}).get('loss')
        text = f'loss {loss.item():.4f}' if loss is not None else ''
        self._update('train', runner.iter + 1, text)

    def before_val_epoch(self, runner: Any) -> None:
        """Show the bar of a validation."""
        self._start(runner, 'val', len(runner.val_dataloader))

    def after_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Move it."""
        self._update('val', batch_idx + 1)

    def after_val_epoch(self, runner: Any, metrics: dict[str, Any] | None = None) -> None:
        """Take it away."""
        self._drop('val')

    def before_test_epoch(self, runner: Any) -> None:
        """Show the bar of the test."""
        self._start(runner, 'test', len(runner.test_dataloader))

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Move it."""
        self._update('test', batch_idx + 1)

    def after_run(self, runner: Any) -> None:
        """Take all bars away, and give the streams of the log back."""
        self.release()

    def _start(self, runner: Any, name: str, total: int, done: int = 0) -> None:
        if self.progress is None:
            console = Console()
            wanted = console.is_terminal if self.enabled is None else self.enabled
            if not wanted or not is_main_process():
                return
            self._open(runner, console)
        assert self.progress is not None
        self._drop(name)
        self._tasks[name] = self.progress.add_task(name, total=total, completed=done, text='')

    def _open(self, runner: Any, console: Console) -> None:
        self.progress = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn('left'),
            TimeRemainingColumn(),
            TextColumn('{task.fields[text]}'),
            console=console,
        )
        self.progress.start()
        atexit.register(self.release)
        # Log lines must go through the bar's own stream, or they would be written across it.
        for handler in runner.logger.handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                self._streams.append((handler, handler.stream))
                handler.setStream(sys.stdout)

    def _update(self, name: str, done: int, text: str = '') -> None:
        if self.progress is not None and name in self._tasks:
            self.progress.update(self._tasks[name], completed=done, text=text)

    def _drop(self, name: str) -> None:
        if self.progress is not None and name in self._tasks:
            self.progress.remove_task(self._tasks.pop(name))

    def release(self) -> None:
        """Take the bar away and give the logger its stream back; safe to call again."""
        if self.progress is None:
            return
        for handler, stream in self._streams:
            handler.setStream(stream)
        self._streams.clear()
        self._tasks.clear()
        self.progress.stop()
        self.progress = None
        atexit.unregister(self.release)
