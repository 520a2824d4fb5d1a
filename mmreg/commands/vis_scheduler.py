"""`mmreg vis-scheduler`: the learning rate of a config over its training."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError, InputError
from mmreg.utils import console

from .shared.options import CONFIG_HELP, add_common, whole
from .shared.run_checks import check_run

#: Iterations per epoch where there are no data to count.
_WITHOUT_DATA = 100
_LENGTHS = ('max_epochs', 'max_iters')
_POINTS = 2000


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg vis-scheduler`."""
    parser = argparse.ArgumentParser(
        prog='mmreg vis-scheduler',
        description='Draw the learning rate of a config over its training; nothing is trained.',
    )
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('--out', '-o', metavar='FILE', help='PNG, PDF or SVG to write (default: a table only)')
    parser.add_argument(
        '--epoch-length', type=whole(), metavar='N', help="iterations per epoch (default: the data set's)"
    )
    add_common(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg vis-scheduler`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _show(args), debug=args.debug)


def _show(args: argparse.Namespace) -> None:
    from mmreg.plugins import register_all_modules
    from mmreg.utils.config import load_config, merge_options

    register_all_modules(args.plugin)
    cfg = load_config(args.config)
    merge_options(cfg, args.cfg_options)
    check_run(cfg)
    if cfg.get('optim_wrapper') is None or not any((cfg.get('train_cfg') or {}).get(key) for key in _LENGTHS):
        raise ConfigError(
            f'{args.config} trains nothing, expected optim_wrapper, and max_epochs or max_iters in train_cfg.'
        )
    if cfg.optim_wrapper.optimizer.get('lr') is None:
        raise ConfigError(f'{args.config} has no optim_wrapper.optimizer.lr, expected a number.')
    length = args.epoch_length or epoch_length(cfg)
    steps, rates = learning_rates(cfg, length)
    by_epoch = bool(cfg.train_cfg.get('max_epochs'))
    unit = 'epoch' if by_epoch else 'iteration'
    scale = length if by_epoch else 1
    picked = [round(k * (len(steps) - 1) / 8) for k in range(9)]
    if args.out:  # a place that cannot be written is told before the table
        _draw(args.out, [step / scale for step in steps], rates, unit, Path(args.config).stem)
    console.table(
        (unit, 'learning rate'), [(f'{steps[k] / scale:g}', f'{rates[k]:.4g}') for k in dict.fromkeys(picked)]
    )
    if args.out:
        console.say(f'written to {args.out}')


def epoch_length(cfg: Any) -> int:
    """Iterations per epoch of the training data; 100, and a remark, where they are not there."""
    from mmreg.registry import DATASETS

    if not cfg.train_cfg.get('max_epochs'):
        return 1
    loader = cfg.train_dataloader
    try:
        count = len(DATASETS.build(loader.dataset))
    except InputError:
        console.say(f'the data are not here: {_WITHOUT_DATA} iterations per epoch are assumed (--epoch-length N)')
        return _WITHOUT_DATA
    size = loader.get('batch_size', 1)
    return max(1, count // size if loader.get('drop_last') else -(-count // size))


def learning_rates(cfg: Any, length: int) -> tuple[list[int], list[float]]:
    """Iterations and the learning rate that each is trained with, at most about 2000 of them.

    The schedulers are built as the Runner builds them and stepped as its hook steps them.
    """
    import torch
    from mmengine.logging import MMLogger
    from mmengine.optim import OptimWrapper
    from mmengine.runner import BaseLoop, Runner

    class Length(BaseLoop):
        """A training loop of which only the length is known."""

        def __init__(self) -> None:
            self.dataloader: Any = range(length)
            self.max_epochs = cfg.train_cfg.get('max_epochs')
            self.max_iters = cfg.train_cfg.get('max_iters') or self.max_epochs * length

        def run(self) -> None:
            raise NotImplementedError

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=cfg.optim_wrapper.optimizer.lr)
    runner: Any = object.__new__(Runner)
    runner.logger = MMLogger.get_current_instance()
    runner._train_loop = Length()
    runner.optim_wrapper = OptimWrapper(optimizer)
    schedulers = runner.build_param_scheduler(cfg.param_scheduler) if cfg.get('param_scheduler') else []
    total = runner._train_loop.max_iters
    every = max(1, total // _POINTS)
    steps, rates = [], []
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that no optimizer steps in between
        for iteration in range(total):
            if iteration % every == 0 or iteration == total - 1:
                steps.append(iteration)
                rates.append(float(optimizer.param_groups[0]['lr']))
            ends = runner._train_loop.max_epochs and (iteration + 1) % length == 0
            for scheduler in schedulers:
                if not scheduler.by_epoch or ends:
                    scheduler.step()
    return steps, rates


def _draw(out: str, steps: Sequence[float], rates: Sequence[float], unit: str, title: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from mmreg.utils.plain_words import save_figure

    figure = Figure(figsize=(8, 4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(steps, rates)
    axes.set_xlabel(unit)
    axes.set_ylabel('learning rate')
    axes.set_title(title)
    save_figure(figure, out)
