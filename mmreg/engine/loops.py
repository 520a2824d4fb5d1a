"""Training loops that a checkpoint restores exactly, also in the middle of an epoch.

Nothing about random states is saved: the samplers and datasets of :mod:`mmreg.datasets` draw everything from (seed,
draw, index) and can start anywhere without loading what was already seen.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.dist import is_distributed
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch import nn
from torch.utils.data import DataLoader

from mmreg.errors import EvaluationError
from mmreg.registry import LOOPS
from mmreg.utils.console import sentence


def _sampler_of(loader: DataLoader[Any]) -> Any:
    """The sampler that yields indices, also where the loader was given a batch sampler."""
    return getattr(loader.batch_sampler, 'sampler', loader.sampler)


def _batch_size_of(loader: DataLoader[Any]) -> int:
    return getattr(loader.batch_sampler, 'batch_size', None) or loader.batch_size or 1


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)


def _end_workers(iterator: Any) -> None:
    """End the workers of a loader's iterator now; left to the garbage collector, each would be waited for in vain."""
    iterator = getattr(iterator, '_iterator', iterator)
    if hasattr(iterator, '_shutdown_workers'):
        iterator._shutdown_workers()


class _Resumable:
    """What both loops share: they end their workers, and a validation lost to a kill is done again on resume.

    The checkpoint of an epoch is written before its validation. Whoever depends on the scores (the best checkpoint,
    schedules that watch a plateau) would otherwise miss one. A validation that fails ends itself, not the training.
    """

    runner: Any
    dataloader: DataLoader[Any]
    dataloader_iterator: Any = None
    val_begin: int
    val_interval: int
    _iter: int

    def run(self) -> nn.Module:
        """Train from where the checkpoint left off, or from the start."""
        try:
            self.failures: list[str] = []
            self._train()
            self._say_failures()
        finally:
            self._release()
        return self.runner.model

    def _train(self) -> None:
        raise NotImplementedError

    def _release(self) -> None:
        for hook in self.runner.hooks:  # what hooks hold of the process, such as its signals
            if hasattr(hook, 'release'):
                hook.release()
        _end_workers(self.dataloader_iterator)
        for loop in (self, self.runner._val_loop):
            loader = getattr(loop, 'dataloader', None)
            if loader is not None and getattr(loader, '_iterator', None) is not None:
                _end_workers(loader._iterator)
                loader._iterator = None

    def validate(self) -> None:
        """Validate; a failure is said and counted, and the training goes on. It is tried again when it is due again."""
        hub, earlier = self.runner.message_hub, self.runner.message_hub.runtime_info.get('last_validation', 0)
        hub.update_info('last_validation', self._iter)
        try:
            self.runner.val_loop.run()
        except Exception as error:
            # Failures other than of metrics are one process's own; the others wait for it inside the evaluation.
            if is_distributed() and not isinstance(error, EvaluationError):
                raise
            hub.update_info('last_validation', earlier)
            known = sentence(error)
            self.failures.append(known or f'{type(error).__name__}: {error}')
            self.runner.logger.error(
                f'Validation failed at iteration {self._iter}, the training goes on: {self.failures[-1]}',
                exc_info=known is None,
            )

    def _say_failures(self) -> None:
        if self.failures:
            count = f'{len(self.failures)} validation{"s" if len(self.failures) > 1 else ""} failed'
            self.runner.logger.warning(f'Trained to the end; {count}, the last one: {self.failures[-1]}')

    @property
    def _last_step(self) -> int:
        raise NotImplementedError

    def validates_after(self, step: int) -> bool:
        """Whether a validation follows the epoch or iteration number ``step``."""
        if self.runner.val_loop is None or step < self.val_begin:
            return False
        return step % self.val_interval == 0 or step == self._last_step

    def is_missed(self) -> bool:
        return self._iter > 0 and self.runner.message_hub.runtime_info.get('last_validation') != self._iter


@LOOPS.register_module()
class ResumableEpochLoop(_Resumable, EpochBasedTrainLoop):
    """Epoch-based training; a checkpoint written in the middle of an epoch continues behind its last iteration.

    Args:
        runner: The runner.
        dataloader: Loader or its config; exact with ``SeededEpochSampler``.
        max_epochs: Number of epochs.
        val_begin: First epoch after which to validate.
        val_interval: Validate every so many epochs and after the last.
        dynamic_intervals: ``[(epoch, interval), ...]``: another interval from that epoch on.
    """

    def _train(self) -> None:
        self.runner.call_hook('before_train')
        at_boundary = self._iter == self._epoch * len(self.dataloader)
        if at_boundary and self.is_missed() and self._validation_due():
            self.validate()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            if self._validation_due():
                self.validate()
        self.runner.call_hook('after_train')

    @property
    def _last_step(self) -> int:
        return self._max_epochs

    def _validation_due(self) -> bool:
        return self.validates_after(self._epoch)

    def run_epoch(self) -> None:
        """What is left of the current epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done = self._iter - self._epoch * len(self.dataloader)
        self.dataloader_iterator = iter(self._rest(done))
        for index, batch in enumerate(self.dataloader_iterator, start=done):
            self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _rest(self, done: int) -> Iterable[Any]:
        if done <= 0:
            return self.dataloader
        sampler = _sampler_of(self.dataloader)
        if hasattr(sampler, 'skip'):
            sampler.skip(done * _batch_size_of(self.dataloader))
            return self.dataloader
        _warn(f'{type(sampler).__name__} cannot skip: {done} batches of this epoch are loaded and thrown away.')
        return itertools.islice(self.dataloader, done, None)


@LOOPS.register_module()
class ResumableIterLoop(_Resumable, IterBasedTrainLoop):
    """Iteration-based training that resumes at once, without loading the batches of the past.

    Args:
        runner: The runner.
        dataloader: Loader or its config; exact with ``SeededInfiniteSampler``.
        max_iters: Number of iterations.
        val_begin: First iteration after which to validate.
        val_interval: Validate every so many iterations and after the last.
        dynamic_intervals: ``[(iteration, interval), ...]``: another interval from that iteration on.
    """

    def _train(self) -> None:
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        if self._iter > 0:
            self._fast_forward()
            if self.is_missed() and self._validation_due():
                self.validate()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            if self._validation_due():
                self.validate()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')

    @property
    def _last_step(self) -> int:
        return self._max_iters

    def _validation_due(self) -> bool:
        return self.validates_after(self._iter)

    def _fast_forward(self) -> None:
        """Start the loader behind the batches that the checkpoint has seen."""
        sampler = _sampler_of(self.dataloader)
        if not hasattr(sampler, 'skip'):
            _warn(f'{type(sampler).__name__} cannot skip: {self._iter} batches are loaded and thrown away.')
            for _ in range(self._iter):
                next(self.dataloader_iterator)
            return
        draws, batches = 0, self._iter
        if not isinstance(sampler, InfiniteSampler):  # ends after each draw and is started again by the iterator
            draws, batches = divmod(self._iter, len(self.dataloader))
            sampler.set_epoch(draws)
        sampler.skip(batches * _batch_size_of(self.dataloader))
        # The engine made an iterator (and its workers) before the checkpoint was read; it starts at the beginning.
        if self.dataloader._iterator is None:  # persistent workers are used again instead
            _end_workers(self.dataloader_iterator)
        self.dataloader_iterator = type(self.dataloader_iterator)(self.dataloader)
        self.dataloader_iterator._epoch = draws
