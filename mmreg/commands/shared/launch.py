"""From a config file and command-line options to a config that a Runner accepts."""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict

from mmreg.errors import CheckpointError, ConfigError, InputError
from mmreg.plugins import register_all_modules
from mmreg.utils.checkpoint import is_readable
from mmreg.utils.config import fix_dataloaders, load_config, merge_options
from mmreg.utils.option_values import check_seed
from mmreg.utils.training_state import check_optimizer

from .first_look import wall_to_file
from .run_checks import ENGINE_HOOKS, check_run, check_weights_named

_run_numbers = itertools.count()
#: What the names of checkpoints with everything to resume from begin with.
_PREFIXES = ('epoch_', 'iter_', 'interrupt_iter_', 'before_validation')


def read(args: argparse.Namespace) -> Config:
    """Load plugins and the config, merge the options, choose the work dir, fit the loaders to the machine."""
    register_all_modules(args.plugin)
    cfg = load_config(args.config)
    merge_options(cfg, args.cfg_options)
    check_run(cfg)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('work_dirs', Path(args.config).stem)
    fix_dataloaders(cfg, torch.cuda.is_available())
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    for name, kind in (('data_check', 'DataCheckHook'), ('schedule', 'FollowLengthHook')):
        hooks.setdefault(name, ConfigDict(type=kind))
    drop_hooks(cfg)
    return cfg


def drop_hooks(cfg: Config) -> None:
    """``default_hooks.name=None`` turns any hook off; the engine knows None for its own six only, and needs it."""
    hooks = cfg.get('default_hooks')
    for name in [name for name, hook in (hooks or {}).items() if hook is None and name not in ENGINE_HOOKS]:
        del hooks[name]


def join_processes(cfg: Config, args: argparse.Namespace) -> None:
    """Join the group of processes that a launcher started, if there is one."""
    if args.launcher == 'none':
        return
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    from mmreg.utils.compat import init_cpu_processes

    try:
        init_cpu_processes(cfg)
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f'--launcher {args.launcher}: the processes cannot find each other ({error}); start the command with '
            f'torchrun, srun or mpirun.'
        ) from error


def build_runner(cfg: Config) -> Any:
    """The Runner that the config asks for (``runner_type``, MMEngine's own by default)."""
    from mmengine.runner import Runner

    from mmreg.registry import RUNNERS

    kind = cfg.get('runner_type')
    try:
        found = kind is None or (isinstance(kind, str) and RUNNERS.get(kind))
    except KeyError:
        found = None
    if not found:
        raise ConfigError(f'runner_type is {str(kind)[:60]!r}, expected the name of a registered runner.')
    number = next(_run_numbers)
    if number:  # the engine tells runs apart by name and second; two in one second would share their state
        name = cfg.get('experiment_name') or Path(cfg.filename or 'run').stem
        cfg.experiment_name = f'{name}-{number}'
    with wall_to_file():
        runner = Runner.from_cfg(cfg) if kind is None else RUNNERS.build(cfg)
    check_weights_named(cfg, [name for name, _ in runner.model.named_parameters()])
    runner.load_or_resume = partial(_load_or_resume, runner, runner.load_or_resume)
    return runner


def _load_or_resume(runner: Any, load: Callable[[], None]) -> None:
    """``Runner.load_or_resume``, where a checkpoint that does not fit the run is one sentence."""
    source = runner._load_from or 'the latest checkpoint'
    try:
        load()
        check_optimizer(runner.optim_wrapper, source)
    except InputError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, AssertionError, RuntimeError) as error:
        reason = ' '.join(str(error.args[0] if error.args else error).split()).rstrip('.')
        raise CheckpointError(
            f'{source} cannot be gone on from ({type(error).__name__}: {reason[:160]}), expected a checkpoint of a '
            'training with the same model, optimiser and schedulers.'
        ) from error


def set_randomness(cfg: Config, seed: int | None, deterministic: bool) -> None:
    """A fixed seed always: without one a resumed run would see another order of the data."""
    randomness = ConfigDict(cfg.get('randomness') or {})
    if seed is not None:
        randomness.seed = seed
    if randomness.get('seed') is None:
        randomness.seed = 0
    check_seed(randomness.seed)
    if deterministic:
        randomness.deterministic = True
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    cfg.randomness = randomness


def latest_checkpoint(work_dir: str | Path) -> Path | None:
    """The newest whole checkpoint of a work dir, None where there is none.

    ``last_checkpoint`` is asked first; where it is missing or its file is gone or damaged, the newest readable file
    counts. A work dir that was moved is found again.
    """
    work_dir = Path(work_dir)
    try:
        text = (work_dir / 'last_checkpoint').read_text(encoding='utf-8').strip()
    except OSError:
        text = ''
    named = [Path(text), work_dir / Path(text).name] if text else []
    others = [p for p in work_dir.glob('*.pth') if p.name.startswith(_PREFIXES)]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return next((path for path in (*named, *others) if path.is_file() and is_readable(path)), None)


def resume(cfg: Config, checkpoint: str) -> str | None:
    """Enter into the config from where to resume.

    Args:
        cfg: Config with its work dir.
        checkpoint: A file, or ``'auto'`` for the latest of the work dir (a fresh start where there is none).

    Returns:
        The checkpoint's path, None for a fresh start.
    """
    if checkpoint == 'auto':
        found = latest_checkpoint(cfg.work_dir)
        if found is None:
            return None
    else:
        found = Path(checkpoint).expanduser()
        if not found.is_file():
            raise CheckpointError(f'--resume {checkpoint}: there is no such checkpoint file.')
    cfg.resume, cfg.load_from = True, str(found)
    return str(found)


def require_keys(cfg: Mapping[str, Any], keys: tuple[str, ...], command: str, path: str) -> None:
    """Refuse a config that lacks what a command needs."""
    missing = [key for key in keys if cfg.get(key) is None]
    if missing:
        raise ConfigError(f'{path}: mmreg {command} needs the config keys {", ".join(keys)}; missing: {missing}.')
