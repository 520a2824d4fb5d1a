"""Stress test: how large a known misalignment can a model undo?

Images of a data set are moved by translations and by random velocity fields of growing size; the end-point error to the
known field, Dice and regularity are written per model, kind and size, with a plot.

    mmreg stress --model configs/eoir_demo.py work_dirs/demo/last.pth --out stress
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmreg.errors import ConfigError
from mmreg.utils import console
from mmreg.utils.choices import SIZE_STATISTICS, STRESS_KINDS
from mmreg.utils.option_values import check_seed

from .shared.options import KeyValue, add_debug, between, whole

if TYPE_CHECKING:
    from mmreg.evaluation.stress.harness import StressResult
    from mmreg.registration.model import LoadedModel


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stress test; returns the exit code."""
    options = _parser().parse_args(argv)
    return console.run(lambda: stress(options), debug=options.debug)


def stress(options: argparse.Namespace) -> None:
    """Do what the parsed ``options`` say."""
    from mmreg.evaluation.stress.deformations import VelocityRecipe
    from mmreg.evaluation.stress.harness import StressPlan, run
    from mmreg.evaluation.stress.study import predictor, stress_cases, write_cases

    check_seed(options.seed)
    models = [_model(files, options) for files in options.model]
    names = [options.name[k] if k < len(options.name) else Path(files[0]).stem for k, files in enumerate(options.model)]
    if len(set(names)) < len(names):
        raise ConfigError(f'the models are called {names}, expected different names: give --name for each.')
    dataset = _dataset(models[0].cfg, options.split)
    count = min(len(dataset), options.cases or len(dataset))
    levels = {kind: getattr(options, kind) for kind in STRESS_KINDS if getattr(options, kind)}
    recipe = VelocityRecipe(options.control, options.smoothing, statistic=options.statistic)
    plan = StressPlan(levels, recipe, options.seed, not options.whole)
    predictors = {name: predictor(model.registrar) for name, model in zip(names, models)}
    results: list[StressResult] = []
    out = Path(options.out)
    for result in run(stress_cases(dataset, count), count, models[0].registrar.ndim, plan, predictors):
        results.append(result)
        write_cases(out / 'stress.csv', results)
        console.say(_line(result))
    _summarise(out, results)


def _model(files: Sequence[str], options: argparse.Namespace) -> LoadedModel:
    from mmreg.registration.model import load_model

    if len(files) > 2:
        raise ConfigError(f'--model got {len(files)} files, expected CONFIG and, where there is one, CHECKPOINT.')
    checkpoint = files[1] if len(files) > 1 else None
    return load_model(files[0], checkpoint, device=options.device, cfg_options=options.cfg_options)


def _dataset(cfg: Any, split: str) -> Any:
    from mmreg.registry import DATASETS

    loader = cfg.get(f'{split}_dataloader') or cfg.get('val_dataloader')
    if not loader:
        raise ConfigError(f'the first config has no {split}_dataloader, expected one that names the images to move.')
    return DATASETS.build(loader.dataset)


def _line(result: StressResult) -> str:
    v = result.values
    text = f'{result.case_id}  {result.kind} {result.level:g} mm  {result.model}'
    text += f'  error {v["initial_epe"]:.3f} -> {v["epe"]:.3f} mm'
    return text + (f'  dice {v["initial_dice"]:.3f} -> {v["dice"]:.3f}' if 'dice' in v else '')


def _summarise(out: Path, results: Sequence[StressResult]) -> None:
    """Means over cases as a table, a JSON and curves."""
    from mmreg.evaluation.analysis import figures
    from mmreg.evaluation.stress.study import means
    from mmreg.io.tables import write_json

    lines, series = means(results)
    write_json(out / 'stress.json', {'means': lines})
    figures.save(figures.curves(series, 'misalignment [mm]', 'mean end-point error [mm]'), out / 'stress.png')
    shown = (
        'kind',
        'level_mm',
        'model',
        'cases',
        'initial_epe',
        'epe',
        'initial_dice',
        'dice',
        'folds_percent',
        'seconds',
    )
    rows = [[f'{line[k]:.4g}' if isinstance(line.get(k), float) else line.get(k, '-') for k in shown] for line in lines]
    console.table(shown, rows, title=f'means over cases; tables and plot are in {out}')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='mmreg stress', description=__doc__.split('\n\n')[0])
    parser.add_argument(
        '--model', nargs='+', action='append', required=True, metavar='FILE', help='CONFIG [CHECKPOINT]; repeatable'
    )
    parser.add_argument(
        '--name', action='append', default=[], help='of each model, in their order; default: the config'
    )
    parser.add_argument('-o', '--out', required=True, help='folder for tables and the plot')
    parser.add_argument('--split', choices=('test', 'val', 'train'), default='test', help="first config's data set")
    parser.add_argument('--cases', type=whole(), help='use the first N pairs only')
    parser.add_argument('--translation', nargs='*', type=between(0, 1000), default=[0, 5, 10, 15, 20, 30], metavar='MM')
    parser.add_argument('--svf', nargs='*', type=between(0, 1000), default=[0, 5, 10, 15], metavar='MM')
    parser.add_argument('--control', type=whole(2, 100), default=5, help='control points of velocity fields per axis')
    parser.add_argument('--smoothing', type=between(0, 100), default=0.0, help='sigma over the control points')
    parser.add_argument('--statistic', choices=SIZE_STATISTICS, default='p95', help='what has the size given in mm')
    parser.add_argument('--whole', action='store_true', help='velocity fields everywhere, not only in the foreground')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--device')
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue, default={}, metavar='KEY=VALUE')
    add_debug(parser)
    return parser
