"""Schedules and the optimiser's settings follow the config, also where a resume changes it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop

from mmreg.registry import HOOKS

#: What a scheduler's state says about the progress of a run, not about the schedule.
_PROGRESS = frozenset({'last_step', '_global_step', '_last_value', 'base_values', 'verbose'})
#: How the engine names, in a parameter group, the value that a scheduled setting began with.
_INITIAL = 'initial_'


@HOOKS.register_module()
class FollowLengthHook(Hook):
    """On a resume whose config states other schedules or settings than the checkpoint, the config's are taken up.

    The engine restores a schedule with the length it had: resumed with more epochs, it would end where the first run
    ended and leave the learning rate there; and a learning rate or weight decay that the config states anew would be
    that of the first run. Here the schedules of the config are stepped to the point that the run has reached, as if it
    had been meant to be so from the start, and what changes is said. Where nothing is left to train, that is said.
    """

    def __init__(self) -> None:
        self._stated: list[dict[str, Any]] = []
        self._schedules: Any = None

    def before_run(self, runner: Any) -> None:
        """Note the settings of the config, which a resume overwrites."""
        wrapper = getattr(runner, 'optim_wrapper', None)
        self._stated = _settings(wrapper) if isinstance(wrapper, OptimWrapper) else []

    def after_load_checkpoint(self, runner: Any, checkpoint: Mapping[str, Any]) -> None:
        """Note the schedules of the checkpoint, which the engine mixes with those of the config."""
        self._schedules = checkpoint.get('param_schedulers') if runner._resume else None

    def before_train(self, runner: Any) -> None:
        """Compare what was resumed with the config."""
        wrapper = runner.optim_wrapper
        if isinstance(wrapper, OptimWrapper) and wrapper._accumulative_counts > 1:
            wrapper._global_step = 0  # else the engine warns that schedules are stepped before the first update
        if not runner._resume or runner.iter == 0:
            return
        _say_what_is_left(runner)
        if isinstance(wrapper, OptimWrapper) and isinstance(self._schedules or [], list):
            self._follow(runner, wrapper)

    def _follow(self, runner: Any, wrapper: OptimWrapper) -> None:
        before = _settings(wrapper)
        groups = wrapper.param_groups
        changes = _take_up(groups, self._stated)
        for group in groups:
            _begin_again(group)
        meant = runner.build_param_scheduler(runner.cfg.param_scheduler) if runner.cfg.get('param_scheduler') else []
        changes += _changes(self._schedules or [], meant)
        watching = any(hasattr(scheduler, 'monitor') for scheduler in meant)
        if not changes or watching:
            for group, settings in zip(groups, before):
                group.update(settings)
            if changes:
                found = ', '.join(changes)
                runner.logger.warning(f'Resumed with the settings of before, the config has others: {found}.')
            return
        _replay(runner, meant)
        runner.param_schedulers = meant or runner.param_schedulers
        runner.logger.warning(
            f'Resumed with other schedules than before ({", ".join(changes)}): they are followed from here as if the '
            f'run had begun with them. Learning rate: {before[0]["lr"]:.4g}, from now on {groups[0]["lr"]:.4g}.'
        )


def _say_what_is_left(runner: Any) -> None:
    counted = isinstance(runner.train_loop, EpochBasedTrainLoop)
    done, wanted = (runner.epoch, runner.max_epochs) if counted else (runner.iter, runner.max_iters)
    if done >= wanted:
        unit, key = ('epochs', 'max_epochs') if counted else ('iterations', 'max_iters')
        found = f'more than the {wanted}' if done > wanted else 'all'
        runner.logger.warning(
            f'{done} {unit} were trained, which is {found} of the config (train_cfg.{key}); nothing is left to train.'
        )


def _settings(wrapper: OptimWrapper) -> list[dict[str, Any]]:
    """What the parameter groups say besides their weights."""
    return [
        {key: copy.copy(value) for key, value in group.items() if key != 'params'} for group in wrapper.param_groups
    ]


def _take_up(groups: Sequence[dict[str, Any]], stated: Sequence[Mapping[str, Any]]) -> list[str]:
    """Enter the config's settings into resumed groups; returns what changed, in words."""
    changes: dict[str, None] = {}
    for group, meant in zip(groups, stated):
        found = _intended(group)
        for name, value in _intended(meant).items():
            if name not in group or found.get(name, group[name]) == value:
                continue
            changes[f'{name} {found.get(name, group[name])} became {value}'] = None
            group.update({key: value for key in (name, f'{_INITIAL}{name}') if key in group})
    return list(changes)


def _begin_again(group: dict[str, Any]) -> None:
    """Set what is scheduled to the value that it began with."""
    group.update({key.removeprefix(_INITIAL): group[key] for key in group if key.startswith(_INITIAL)})
    if f'{_INITIAL}momentum' in group and 'betas' in group:
        group['betas'] = (group['momentum'], *group['betas'][1:])


def _intended(group: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a group as they were before any schedule."""
    own = [key for key in group if key != 'params' and not key.startswith(_INITIAL)]
    if f'{_INITIAL}momentum' in group and 'betas' in own:
        own.remove('betas')  # the engine schedules the first of them under the name momentum
    return {key: group.get(f'{_INITIAL}{key}', group[key]) for key in own}


def _changes(resumed: Sequence[Mapping[str, Any]], meant: Sequence[Any]) -> list[str]:
    """How the schedules of a checkpoint differ from those that are meant, in words."""
    states = [plain_state(scheduler.state_dict()) for scheduler in meant]
    if [set(plain_state(state)) for state in resumed] != [set(state) for state in states]:
        names = ', '.join(type(scheduler).__name__ for scheduler in meant)
        return [f'schedules of another kind became {names or "none"}']
    return [
        f'{type(scheduler).__name__}: {key} {first[key]} became {second[key]}'
        for scheduler, first, second in zip(meant, resumed, states)
        for key in second
        if key not in _PROGRESS and first[key] != second[key]
    ]


def plain_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of a schedule without its functions, which it makes itself and no checkpoint may hold."""
    return {key: value for key, value in state.items() if not callable(value)}


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
