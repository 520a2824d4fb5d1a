"""`mmreg train-stages`: several configs in order, each starting from the weights the one before it ended with."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmreg.errors import CheckpointError, ConfigError
from mmreg.utils import console

from . import train as train_cli

if TYPE_CHECKING:
    from mmengine.config import Config


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg train-stages`: those of `mmreg train`, which hold for every stage, with several configs."""
    parser = train_cli.build_parser()
    parser.prog = 'mmreg train-stages'
    parser.description = (
        'Train configs in order; each stage starts from the last checkpoint of the one before. Started again, finished '
        'stages are passed over and an interrupted one is resumed.'
    )
    positional = next(action for action in parser._actions if action.dest == 'config')
    positional.nargs, positional.help = '+', 'config of each stage, the first one first'
    work_dir = next(action for action in parser._actions if action.dest == 'work_dir')
    work_dir.help = 'folder that gets one folder per stage, named after its config (default: work_dirs)'
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg train-stages` and tools/train_stages.py; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: train_stages(args), debug=args.debug)


def train_stages(args: argparse.Namespace) -> None:
    """Run every stage that is not finished yet.

    Raises:
        ConfigError: two stages of one name.
        CheckpointError: a stage ended without the checkpoint that the next one needs.
    """
    stages = [Path(config).stem for config in args.config]
    if len(set(stages)) < len(stages):
        raise ConfigError(f'the stages {stages} would share a work dir, expected configs of different names.')
    if args.resume not in (None, 'auto'):
        raise ConfigError(f'--resume {args.resume} was given, expected no checkpoint: stages find their own.')
    # Everything is read before anything runs: a mistake in the last config shows at once, not after days.
    prepared = [_prepared(args, config) for config in args.config]
    weights: Path | None = None
    for config, (cfg, last) in zip(args.config, prepared, strict=True):
        weights = _train_stage(args, config, cfg, last, weights)


def _prepared(args: argparse.Namespace, config: str) -> tuple[Config, Path]:
    """The config of a stage, and the checkpoint with which it ends."""
    from .shared.first_look import look_at_data

    work_dir = os.path.join(args.work_dir or 'work_dirs', Path(config).stem)
    own = argparse.Namespace(**{**vars(args), 'config': config, 'work_dir': work_dir, 'resume': 'auto'})
    cfg = train_cli.prepare(own)
    look_at_data(cfg, ['train'] + (['val'] if cfg.get('val_cfg') is not None else []))
    return cfg, Path(work_dir) / final_checkpoint(cfg)


def _train_stage(args: argparse.Namespace, config: str, cfg: Config, last: Path, weights: Path | None) -> Path:
    """Train one stage from ``weights``, unless it is finished; its last checkpoint."""
    from .shared import launch
    from .shared.first_look import leaving_nothing

    if last.is_file() and launch.latest_checkpoint(last.parent) == last:
        console.say(f'{config}: finished already, {last}')
        return last
    if weights is not None and not cfg.get('resume'):
        cfg.load_from = str(weights)
        console.say(f'{config}: starts from {weights}')
    train_cli.require_first_stage(cfg, config)
    launch.join_processes(cfg, args)
    with leaving_nothing(cfg.work_dir):
        launch.build_runner(cfg).train()
    if not last.is_file():
        raise CheckpointError(f'{config}: ended without {last}, which the next stage would start from.')
    return last


def final_checkpoint(cfg: Mapping[str, Any]) -> str:
    """Name of the checkpoint with which a run of ``cfg`` ends.

    Raises:
        ConfigError: the last step is not one at which a checkpoint is written.
    """
    loop, hook = cfg['train_cfg'], (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    by_epoch = loop.get('max_iters') is None
    count, interval = loop['max_epochs' if by_epoch else 'max_iters'], hook.get('interval', -1)
    if hook.get('by_epoch', True) != by_epoch or (not hook.get('save_last', True) and count % max(interval, 1)):
        raise ConfigError(f'default_hooks.checkpoint={dict(hook)} writes nothing at the end of {count} steps.')
    return f'{"epoch" if by_epoch else "iter"}_{count}.pth'
