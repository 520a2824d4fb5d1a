"""Checkpoints that survive a kill at any moment."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from mmreg.engine.plan import make_plan, versions
from mmreg.errors import ConfigError
from mmreg.io.tables import write_json
from mmreg.models.settings import warn_of_other_settings
from mmreg.registry import HOOKS
from mmreg.utils import atomic
from mmreg.utils.checkpoint import check_architecture, weights_of
from mmreg.utils.leftovers import remove_leftovers
from mmreg.utils.training_state import check_training_state

from .schedule import plain_state

#: The one checkpoint that is written before a validation at which ``interval`` writes none.
BEFORE_VALIDATION = 'before_validation.pth'
_ATOMIC = {'backend': 'mmreg_atomic'}


class AtomicBackend(LocalBackend):
    """The engine's door to the disk, with writes that are whole or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes so that the file appears complete or not at all."""
        atomic.write_bytes(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text so that the file appears complete or not at all."""
        atomic.write_bytes(filepath, obj.encode(encoding))


register_backend(_ATOMIC['backend'], AtomicBackend, force=True)


def save_checkpoint(runner: Any, folder: str | Path, name: str, **kwargs: Any) -> Path:
    """Write a checkpoint and only then point ``last_checkpoint`` of the work dir at it, both atomically.

    Args:
        runner: The runner; only its main process writes.
        folder: Where the checkpoint goes.
        name: Its file name.
        kwargs: Arguments of ``Runner.save_checkpoint``.
    """
    path = Path(folder) / name
    if runner.param_schedulers is None:
        kwargs['save_param_scheduler'] = False
    runner.save_checkpoint(str(folder), name, backend_args=_ATOMIC, **kwargs)
    if is_main_process():
        atomic.write_text(Path(runner.work_dir) / 'last_checkpoint', str(path))
    return path


class _LateRemoval:
    """A file backend that forgets nothing until the block is over."""

    def __init__(self, backend: Any):
        self._backend = backend
        self.queue: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.queue.append(str(path))


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """Saves every n epochs or iterations and the best, atomically, with all that is needed to know where it came from.

    * A checkpoint appears under its name when it is on the disk; older ones are deleted after that, never before.
    * ``meta`` holds the config text, the versions, the seed and the plan; ``plan.json`` beside it says the same.
    * A checkpoint of another architecture is refused before anything is loaded.
    * Before every validation the state is on the disk: where ``interval`` writes nothing then,
      ``before_validation.pth`` is, a single file that the next one replaces.
    * Where a metric of ``save_best`` cannot be measured (no labels), the first one that can be takes its place, which
      is said; ``rule`` is then that metric's own.

    Args:
        args: Arguments of MMEngine's ``CheckpointHook``.
        strict: Refuse checkpoints whose weights do not all fit the model. False allows partial loading by
            ``load_from`` (fine-tuning); resuming is always strict.
        kwargs: Arguments of MMEngine's ``CheckpointHook`` (interval, by_epoch, max_keep_ckpts, save_best, rule, ...).
    """

    file_backend: Any
    plan: dict[str, Any]

    def __init__(self, *args: Any, strict: bool = True, **kwargs: Any):
        # The engine keeps what it does not know and never looks at it.
        unknown = sorted(kwargs.keys() - inspect.signature(CheckpointHook.__init__).parameters.keys())
        if unknown:
            known = ', '.join(list(inspect.signature(CheckpointHook.__init__).parameters)[1:-1])
            raise ConfigError(f'SafeCheckpointHook got {", ".join(unknown)}, expected some of {known}, strict.')
        super().__init__(*args, **kwargs)
        self.strict = strict
        self._saved: int | None = None
        self.backend_args = dict(_ATOMIC)

    def before_train(self, runner: Any) -> None:
        """Take up the list of this run's own checkpoints, also of a run that was resumed."""
        runner.logger.addFilter(_is_not_about_file_clients)
        _keep_own_files(runner.message_hub, runner.work_dir if self.out_dir is None else self.out_dir)
        super().before_train(runner)
        dataset = getattr(runner.train_dataloader, 'dataset', None)
        # Laying out the text of a config takes the engine minutes where paths are long.
        object.__setattr__(runner.cfg, '_format_python_code', False)
        self.plan = make_plan(runner.cfg, runner.seed, getattr(dataset, 'metainfo', None))
        if is_main_process():
            for folder in {str(self.out_dir), str(runner.work_dir)}:
                remove_leftovers(folder)
            write_json(Path(self.out_dir) / 'plan.json', self.plan)

    def after_train_epoch(self, runner: Any) -> None:
        """Save when it is due, and before a validation in any case."""
        super().after_train_epoch(runner)
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            self._save_before_validation(runner, runner.epoch + 1, by_epoch=True)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Save when it is due, and before a validation in any case."""
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            self._save_before_validation(runner, runner.iter + 1, by_epoch=False)

    def _save_before_validation(self, runner: Any, step: int, by_epoch: bool) -> None:
        """Nothing that was trained may be lost to what happens during a validation."""
        loop = runner.train_loop
        if not hasattr(loop, 'validates_after') or not loop.validates_after(step):
            return
        if self.by_epoch == by_epoch and self._saved == step:
            return
        save_checkpoint(runner, runner.work_dir, BEFORE_VALIDATION, by_epoch=by_epoch)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Put the plan and the config's text into what is saved, and keep functions out of it."""
        schedules = checkpoint.get('param_schedulers')
        if isinstance(schedules, list):
            checkpoint['param_schedulers'] = [plain_state(state) for state in schedules]
        plan = {key: value for key, value in self.plan.items() if key != 'config'}
        checkpoint['meta'].update(cfg=self.plan['config'], versions=versions(), plan=plan)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Refuse weights that do not fit, in one sentence, before the engine loads them."""
        source = runner._load_from or 'the checkpoint'
        if runner._resume:
            check_training_state(checkpoint, source)
        weights_of(checkpoint)
        if self.strict or runner._resume:
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            check_architecture(model, weights_of(checkpoint), source)
            warn_of_other_settings(model, checkpoint.get('meta') or {}, source)

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict[str, Any]) -> None:
        outdated = self._forget_oldest(runner, step)
        self._saved = step
        name = self.filename_tmpl.format(step)
        self.last_ckpt = str(Path(self.out_dir) / name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        save_checkpoint(
            runner,
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
        )
        if outdated is not None and is_main_process():
            with suppress(FileNotFoundError):
                os.remove(Path(self.out_dir) / self.filename_tmpl.format(outdated))

    def _forget_oldest(self, runner: Any, step: int) -> int | None:
        """Enter ``step`` into the list of kept checkpoints; returns the one that has to go."""
        if self.max_keep_ckpts <= 0 or (self.keep_ckpt_ids and self.keep_ckpt_ids[-1] == step):
            return None
        full = len(self.keep_ckpt_ids) == self.max_keep_ckpts
        outdated = self.keep_ckpt_ids.popleft() if full else None
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        return outdated if outdated not in self.keep_ckpt_ids else None

    def _save_best_checkpoint(self, runner: Any, metrics: dict[str, Any]) -> None:
        if not self.save_best:
            return
        self._choose_indicators(runner, metrics)
        if not set(self.key_indicators) - {'auto'} <= metrics.keys():
            return
        with self._removing_later():
            super()._save_best_checkpoint(runner, metrics)

    def _choose_indicators(self, runner: Any, metrics: dict[str, Any]) -> None:
        """Put a metric that exists in the place of one of ``save_best`` that was not measured; once per run."""
        missing = [key for key in self.key_indicators if key != 'auto' and not _is_number(metrics.get(key))]
        if not missing and 'auto' not in self.key_indicators:
            return
        directions = _directions(runner)
        known = [key for key, value in metrics.items() if key in directions and _is_number(value)]
        present = [key for key in self.key_indicators if key in known]
        chosen = present or known[:1]
        if not chosen:
            runner.logger.warning(
                f'save_best={self.save_best!r}: not measured, only {sorted(metrics)}; no best checkpoint is kept.'
            )
            return
        if missing:
            runner.logger.warning(
                f'save_best={self.save_best!r}: {", ".join(missing)} was not measured; the best checkpoint is the one '
                f'with the {"largest" if directions.get(chosen[0]) else "smallest"} {chosen[0]}.'
            )
        self._forget_best_of_others(runner, chosen)
        rules = dict(zip(self.key_indicators, self.rules))
        self._init_rule([rules.get(key) or ('greater' if directions[key] else 'less') for key in chosen], chosen)
        if len(chosen) > 1:
            kept = getattr(self, 'best_ckpt_path_dict', {})
            self.best_ckpt_path_dict = {key: kept.get(key) for key in chosen}
        elif not hasattr(self, 'best_ckpt_path'):
            self.best_ckpt_path = None

    def _forget_best_of_others(self, runner: Any, chosen: list[str]) -> None:
        """A best score that an earlier part of the run reached in another metric cannot be compared with."""
        hub = runner.message_hub
        earlier = hub.runtime_info.get('best_metrics', self.key_indicators)
        if list(earlier) != chosen and len(self.key_indicators) == len(chosen) == 1 and 'auto' not in earlier:
            hub.runtime_info.pop('best_score', None)
        hub.update_info('best_metrics', list(chosen))

    @contextmanager
    def _removing_later(self) -> Iterator[None]:
        """The engine deletes the previous best before it writes the new one; here it goes afterwards."""
        backend = self.file_backend
        self.file_backend = late = _LateRemoval(backend)
        try:
            yield
        finally:
            self.file_backend = backend
        current = {getattr(self, 'best_ckpt_path', None), *getattr(self, 'best_ckpt_path_dict', {}).values()}
        for path in set(late.queue) - current:
            with suppress(FileNotFoundError):
                os.remove(path)


def _keep_own_files(messages: Any, folder: str | Path) -> None:
    """Of the names of files that a resumed checkpoint brings along, keep those below ``folder``: the engine deletes
    the best checkpoint of before when there is a better one."""
    for key, value in list(messages.runtime_info.items()):
        if key.startswith('best_ckpt') and value is not None:
            path = Path(value)
            inside = path.resolve().is_relative_to(Path(folder).resolve()) and path.suffix == '.pth'
            here = Path(folder) / path.name  # of a folder that was moved
            messages.runtime_info[key] = value if inside else str(here) if here.is_file() else None


def _directions(runner: Any) -> dict[str, bool]:
    """Every score that our metrics can return, and whether a larger value is better; derived numbers are left out."""
    found: dict[str, bool] = {}
    for metric in getattr(runner.val_loop.evaluator, 'metrics', ()):
        if not hasattr(metric, 'is_greater_better'):
            continue
        for score in metric.returned:
            found[f'{metric.prefix}/{score}' if metric.prefix else score] = metric.is_greater_better(score)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and value == value


def _is_not_about_file_clients(record: logging.LogRecord) -> bool:
    """False for two remarks of the engine about its own old names."""
    return '"FileClient" will be' not in str(record.msg) and '"HardDiskBackend" is the' not in str(record.msg)
