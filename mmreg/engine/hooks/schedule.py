"""Schedules follow the length of the run, also where a resume changes it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop

from mmreg.registry import HOOKS

#: What a scheduler's state says about the progress of a run, not about the schedule.
_PROGRESS = frozenset({'last_step', '_global_step', '_last_value', 'base_values', 'verbose'})


@HOOKS.register_module()
class FollowLengthHook(Hook):
    """On a resume whose config states other schedules than the checkpoint, the config's are taken up where they stand.

    The engine restores a schedule with the length it had: resumed with more epochs, it would end where the first run
    ended and leave the learning rate there. Here the schedules of the config are stepped to the point that the run has
    reached, as if it had been meant to be so long from the start, and what changes is said.
    """

    def before_train(self, runner: Any) -> None:
        """Compare the resumed schedules with those of the config."""
        resumed = runner.param_schedulers
        if not runner._resume or runner.iter == 0 or not isinstance(resumed, list) or not resumed:
            return
        if not isinstance(runner.optim_wrapper, OptimWrapper):
            return
        groups = runner.optim_wrapper.optimizer.param_groups
        if any('initial_lr' not in group for group in groups):
            return
        before = [group['lr'] for group in groups]
        for group in groups:
            group['lr'] = group['initial_lr']
        meant = runner.build_param_scheduler(runner.cfg.param_scheduler)
        changes = _changes(resumed, meant)
        if not changes or any(hasattr(scheduler, 'monitor') for scheduler in meant):
            for group, rate in zip(groups, before):
                group['lr'] = rate
            if changes:
                runner.logger.warning(f'Resumed with the schedules of before, the config has others: {changes}.')
            return
        _replay(runner, meant)
        runner.param_schedulers = meant
        runner.logger.warning(
            f'Resumed with other schedules than before ({changes}): they are followed from here as if the run had '
            f'begun with them. Learning rate: {before[0]:.4g}, from now on {groups[0]["lr"]:.4g}.'
        )


def _changes(resumed: Sequence[Any], meant: Sequence[Any]) -> str:
    """How the schedules differ, in words; empty where they do not."""
    names = [[type(scheduler).__name__ for scheduler in schedulers] for schedulers in (resumed, meant)]
    if names[0] != names[1]:
        return f'{", ".join(names[0])} became {", ".join(names[1])}'
    found = []
    for name, old, new in zip(names[0], resumed, meant):
        first, second = (
            {key: value for key, value in scheduler.state_dict().items() if key not in _PROGRESS}
            for scheduler in (old, new)
        )
        keys = [key for key in second if key in first and first[key] != second[key]]
        found += [f'{name}: {key} {first[key]} became {second[key]}' for key in keys]
    return ', '.join(found)


def _replay(runner: Any, schedulers: Sequence[Any]) -> None:
    """Step schedulers that are new to where the run stands."""
    length = len(runner.train_dataloader)
    by_epoch = [scheduler for scheduler in schedulers if scheduler.by_epoch]
    by_iter = [scheduler for scheduler in schedulers if not scheduler.by_epoch]
    counted = isinstance(runner.train_loop, EpochBasedTrainLoop)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that the optimizer was not stepped in between
        for iteration in range(1, runner.iter + 1):
            for scheduler in by_iter:
                scheduler.step()
            if counted and iteration % length == 0:
                for scheduler in by_epoch:
                    scheduler.step()
