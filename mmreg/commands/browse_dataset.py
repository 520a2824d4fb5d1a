"""`mmreg browse-dataset`: pictures of what a config's data set hands to the network."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmreg.errors import ConfigError
from mmreg.utils import console

from .shared.case_progress import track
from .shared.options import CONFIG_HELP, add_common, whole
from .shared.run_checks import check_run

STAGES = ('train', 'val', 'test')


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg browse-dataset`."""
    parser = argparse.ArgumentParser(
        prog='mmreg browse-dataset',
        description='Draw pairs as the network gets them, after preprocessing and augmentation: both images, their '
        'difference, and both label maps where there are some.',
    )
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('--output-dir', '-o', required=True, metavar='DIR', help='folder for a PNG of every pair')
    parser.add_argument('--phase', choices=STAGES, default='train', help='which loader (default: train)')
    parser.add_argument('--show-number', '-n', type=whole(), default=8, metavar='N', help='how many pairs (default: 8)')
    parser.add_argument(
        '--draw', type=whole(0), default=0, help='which pass over the data: other augmentation, other partners'
    )
    add_common(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg browse-dataset`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _browse(args), debug=args.debug)


def _browse(args: argparse.Namespace) -> None:
    from mmreg.plugins import register_all_modules
    from mmreg.registry import DATASETS
    from mmreg.utils.config import load_config, merge_options
    from mmreg.visualization.figures import overview_figure
    from mmreg.visualization.patient import PatientView

    register_all_modules(args.plugin)
    cfg = load_config(args.config)
    merge_options(cfg, args.cfg_options)
    check_run(cfg)
    node = (cfg.get(f'{args.phase}_dataloader') or {}).get('dataset')
    if node is None:
        raise ConfigError(f'{args.config} has no {args.phase}_dataloader with a dataset, expected one to look at.')
    dataset = DATASETS.build(node)
    folder = Path(args.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for number in track(list(range(min(args.show_number, len(dataset)))), 'drawing'):
        sample = dataset[args.draw * len(dataset) + number]
        inputs, meta = sample['inputs'], sample['data_samples']
        case = re.sub(r'[^A-Za-z0-9_.-]+', '_', str(meta.case_id))
        nothing = np.zeros((inputs['fixed'].ndim - 1, *inputs['fixed'].shape[1:]), dtype=np.float32)
        shown = {f'{number:04d}_{case}.png': (inputs['fixed'], inputs['moving'])}
        if 'fixed_labels' in inputs and 'moving_labels' in inputs:
            shown[f'{number:04d}_{case}_labels.png'] = (inputs['fixed_labels'], inputs['moving_labels'])
        for name, (fixed, moving) in shown.items():
            moving = moving if moving.shape == fixed.shape else fixed
            patient = PatientView.of(tuple(fixed.shape[1:]), meta.get('affine'))
            first, second = patient.image(fixed.float()), patient.image(moving.float())
            overview_figure(
                first, second, second, patient.field(nothing), folder / name,
                spacing=patient.spacing(meta.spacing[: fixed.ndim - 1]), title=case, codes=patient.codes,
            )  # fmt: skip
    console.say(f'{folder}: pictures of {min(args.show_number, len(dataset))} of {len(dataset)} pairs')
