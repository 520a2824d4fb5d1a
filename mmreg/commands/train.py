"""`mmreg train`: train what a config describes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmreg.errors import ConfigError
from mmreg.utils import console

from .shared.options import CONFIG_HELP, Parser, add_common, add_launcher

if TYPE_CHECKING:
    from mmengine.config import Config


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg train`."""
    parser = Parser(prog='mmreg train', description='Train what a config describes.')
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('--work-dir', help='where logs and checkpoints go (default: work_dirs/<config name>)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue from this checkpoint, or from the latest of the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (bfloat16)')
    parser.add_argument('--no-validate', action='store_true', help='skip validation during training')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size')
    parser.add_argument('--seed', type=int, help='seed of everything that is random (default: the config, then 0)')
    parser.add_argument('--deterministic', action='store_true', help='deterministic algorithms, slower on GPUs')
    parser.add_argument(
        '--dry-run', action='store_true', help='build everything, load one batch, say what a step needs, and stop'
    )
    add_launcher(parser)
    add_common(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg train` and tools/train.py; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _train(args), debug=args.debug)


def _train(args: argparse.Namespace) -> None:
    from .shared import launch
    from .shared.first_look import leaving_nothing, look_at_data

    cfg = prepare(args)
    require_first_stage(cfg, args.config)
    launch.join_processes(cfg, args)
    stages = ['train'] + (['val'] if cfg.get('val_cfg') is not None else [])
    look_at_data(cfg, stages)
    if args.dry_run:
        from .shared.dry_run import dry_run, tell

        tell(dry_run(cfg))
        return
    with leaving_nothing(cfg.work_dir):
        runner = launch.build_runner(cfg)
        if runner.rank == 0:
            from .shared.dry_run import StepWarning

            runner.register_hook(StepWarning(cfg), priority='VERY_HIGH')
        runner.train()


def require_first_stage(cfg: Config, path: str) -> None:
    """A config with ``first_stage`` starts from the weights of that config; without them nothing is begun.

    Raises:
        ConfigError: saying which stage must be trained first, and how.
    """
    first, weights = cfg.get('first_stage'), cfg.get('load_from')
    if not first or cfg.get('resume') or (weights and ('://' in str(weights) or Path(weights).is_file())):
        return
    found = f'load_from={weights!r} is no file' if weights else 'load_from names no checkpoint'
    raise ConfigError(
        f'{path} is a later stage of training and starts from the weights of {first}, but {found}; train the stages in '
        f'order with "mmreg train-stages {" ".join(stages_of(path))}", give --cfg-options load_from=CHECKPOINT, or '
        'first_stage=None to start from random weights.'
    )


def stages_of(path: str) -> list[str]:
    """All configs that lead to this one, the first one first, by their ``first_stage``."""
    from mmreg.utils.config import load_config

    stages = [Path(path)]
    while (first := load_config(stages[0]).get('first_stage')) and stages[0].with_name(first) not in stages:
        stages.insert(0, stages[0].with_name(first))
    return [str(stage) for stage in stages]


def prepare(args: argparse.Namespace) -> Config:
    """The config with everything the command line says about training."""
    from .shared import launch

    cfg = launch.read(args)
    launch.require_keys(cfg, ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'), 'train', args.config)
    launch.set_randomness(cfg, args.seed, args.deterministic)
    if args.amp:
        cfg.optim_wrapper.type = 'MixedPrecisionOptimWrapper'
        cfg.optim_wrapper.setdefault('dtype', 'bfloat16')
    if args.no_validate:
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    if args.auto_scale_lr:
        launch.require_keys(cfg, ('auto_scale_lr',), 'train --auto-scale-lr', args.config)
        cfg.auto_scale_lr.enable = True
    if args.resume is not None:
        found = launch.resume(cfg, args.resume)
        console.say(f'resuming from {found}' if found else f'no checkpoint in {cfg.work_dir} yet: starting afresh')
    return cfg
