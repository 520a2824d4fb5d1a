"""`mmreg test`: measure a checkpoint on the test set of a config."""

from __future__ import annotations

import argparse
import inspect
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmreg.utils import console

from .shared.options import CONFIG_HELP, Parser, add_common, add_launcher

if TYPE_CHECKING:
    from mmengine.config import Config


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg test`."""
    parser = Parser(prog='mmreg test', description='Measure a checkpoint on the test set of a config.')
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('checkpoint', nargs='?', help='checkpoint; may be left out for methods without training')
    parser.add_argument('--out', metavar='DIR', help='write summary.json and one CSV and JSON per metric, case by case')
    parser.add_argument('--show-dir', metavar='DIR', help='write a picture of every case')
    parser.add_argument('--save-fields', metavar='DIR', help='write the displacement of every case (ITK, LPS mm)')
    parser.add_argument('--work-dir', help='where the logs go (default: work_dirs/<config name>)')
    add_launcher(parser)
    add_common(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg test` and tools/test.py; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _test(args), debug=args.debug)


def _test(args: argparse.Namespace) -> None:
    from .shared import launch
    from .shared.first_look import leaving_nothing

    cfg = prepare(args)
    launch.join_processes(cfg, args)
    with leaving_nothing(cfg.work_dir):
        _run(cfg, args)


def _run(cfg: Config, args: argparse.Namespace) -> None:
    from mmengine.dist import is_main_process
    from mmengine.model import is_model_wrapper

    from mmreg.models.settings import warn_of_other_settings
    from mmreg.utils.checkpoint import check_architecture, read_checkpoint, weights_of

    from .shared import launch

    runner = launch.build_runner(cfg)
    if args.checkpoint:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        content = read_checkpoint(args.checkpoint)
        check_architecture(model, weights_of(content), args.checkpoint)
        warn_of_other_settings(model, content.get('meta') or {}, args.checkpoint)
        runner.load_checkpoint(args.checkpoint)
    metrics = runner.test()
    if is_main_process():
        report(metrics, args, _lacks(runner), _by_name(runner))


def _lacks(runner: Any) -> Sequence[str]:
    """What the test set lacks, as the check of the data told the runner; empty where nobody checked."""
    hub = getattr(runner, 'message_hub', None)
    return () if hub is None else hub.runtime_info.get('test_lacks', ())


def _by_name(runner: Any) -> list[tuple[Any, ...]]:
    """Means of each structure that the data set names, of all metrics of the run."""
    metrics = runner.test_loop.evaluator.metrics if getattr(runner, '_test_loop', None) is not None else ()
    return [line for metric in metrics for line in getattr(metric, 'by_name', ())]


def prepare(args: argparse.Namespace) -> Config:
    """The config with everything the command line says about testing."""
    from mmengine.config import ConfigDict

    from mmreg.registry import METRICS

    from .shared import launch
    from .shared.first_look import look_at_data
    from .shared.options import check_folder

    for option in ('out', 'show_dir', 'save_fields'):
        check_folder(getattr(args, option), option)
    cfg = launch.read(args)
    launch.require_keys(cfg, ('model', 'test_dataloader', 'test_evaluator'), 'test', args.config)
    launch.set_randomness(cfg, None, False)
    cfg.test_cfg = cfg.get('test_cfg') or dict(type='TestLoop')
    cfg.load_from, cfg.resume = None, False
    if args.out:
        for metric in _metrics_of(cfg):
            if 'output_dir' in _parameters(METRICS.get(metric['type'])):
                metric['output_dir'] = args.out
    if args.show_dir:
        hooks = cfg.setdefault('default_hooks', ConfigDict())
        hooks['visualization'] = ConfigDict(type='VisualizationHook', cases=0, test_cases=-1, out_dir=args.show_dir)
        cfg.visualizer = cfg.get('visualizer') or dict(type='RegVisualizer', vis_backends=[])
    if args.save_fields:
        hooks = cfg.setdefault('default_hooks', ConfigDict())
        hooks['save_fields'] = ConfigDict(type='SaveFieldsHook', out_dir=args.save_fields)
    look_at_data(cfg, ['test'])
    return cfg


def _metrics_of(cfg: Config) -> list[Any]:
    """Configs of the single metrics, however the evaluator is written."""
    evaluator = cfg.test_evaluator
    metrics = evaluator.get('metrics', evaluator) if isinstance(evaluator, Mapping) else evaluator
    metrics = list(metrics) if isinstance(metrics, list | tuple) else [metrics]
    return [metric for metric in metrics if isinstance(metric, Mapping) and 'type' in metric]


def _parameters(cls: type) -> set[str]:
    """Names of the arguments of ``cls`` and of the classes that it passes further arguments to."""
    return {
        name
        for base in inspect.getmro(cls)
        for name in inspect.signature(base.__dict__.get('__init__', object.__init__)).parameters
    }


def report(
    metrics: Mapping[str, float],
    args: argparse.Namespace,
    lacks: Sequence[str] = (),
    by_name: Sequence[tuple[Any, ...]] = (),
) -> None:
    """Print the tables of a test run and write its summary.

    Args:
        metrics: What the evaluators returned.
        args: Options of the command.
        lacks: What could not be measured, and why.
        by_name: Score, label, structure, mean, SD and mean before registration, of data sets that name their labels.
    """
    from mmreg.engine.plan import versions
    from mmreg.io.tables import write_json

    rows = tabulate(metrics)
    title = f'\n{Path(args.config).stem}'
    if any(key.endswith('_oracle') and value for key, value in metrics.items()):
        title += '  ORACLE: the network saw the labels it is measured with'
    console.table(('metric', 'before', 'after', 'sd'), rows, title=title)
    if by_name:
        lines = [(name, score, *map(_number, (before, mean, sd))) for score, _, name, mean, sd, before in by_name]
        console.table(('structure', 'metric', 'before', 'after', 'sd'), lines)
    for lack in lacks:
        console.say(lack)
    if args.out:
        summary = {'config': str(args.config), 'checkpoint': args.checkpoint, 'versions': versions()}
        write_json(Path(args.out) / 'summary.json', {**summary, 'metrics': dict(metrics), 'not_measured': list(lacks)})
        console.say(f'written to {args.out}')


def tabulate(metrics: Mapping[str, float]) -> list[tuple[str, str, str, str]]:
    """One row per score: value before registration, after, standard deviation over cases; '-' where there is none."""
    rows = []
    for key, value in metrics.items():
        prefix, _, name = key.rpartition('/')
        prefix += '/' if prefix else ''
        stem = name.removesuffix('_sd').removesuffix('_missing')
        derived = (
            name.startswith('initial_') or name.endswith('_oracle') or (stem != name and f'{prefix}{stem}' in metrics)
        )
        if derived or key in ('time', 'data_time'):
            continue
        before = metrics.get(f'{prefix}initial_{name}')
        rows.append((key, _number(before), _number(value), _number(metrics.get(f'{prefix}{name}_sd'))))
    return rows


def _number(value: float | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return '-'
    return f'{float(value):.4f}' if abs(value) < 1e4 else f'{float(value):.4g}'
