"""`mmreg steps`: what every step of a GraDIRN does to pairs of the test set: energies, fields, warped images."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmreg.utils import console

from .shared.options import CONFIG_HELP, add_common, whole


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg steps`."""
    parser = argparse.ArgumentParser(
        prog='mmreg steps',
        description='Draw what every step of a GraDIRN does to pairs of the test set: the energy, the fields and the '
        'warped images.',
    )
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('checkpoint', nargs='?', help='left out: the untrained network, plain gradient descent')
    parser.add_argument('--out', '-o', required=True, metavar='DIR', help='folder for two figures per case')
    parser.add_argument('--cases', type=whole(), default=2, help='how many pairs of the test set')
    parser.add_argument('--repeats', type=whole(0), nargs='+', help='steps per block of each level, coarsest first')
    add_common(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg steps` and tools/analysis/gradirn_steps.py; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _draw(args), debug=args.debug)


def _draw(args: argparse.Namespace) -> None:
    from mmreg.evaluation.analysis.recorded_steps import recorded_steps
    from mmreg.plugins import register_all_modules
    from mmreg.registration.model import load_model
    from mmreg.visualization.steps import energy_figure, steps_figure

    from .shared.launch import require_keys

    register_all_modules(args.plugin)
    options = dict(args.cfg_options)
    if args.repeats:
        options['model.flow_head.test_repeats'] = args.repeats if len(args.repeats) > 1 else args.repeats[0]
    loaded = load_model(args.config, args.checkpoint, 'cpu', options)
    require_keys(loaded.cfg, ('test_dataloader',), 'steps', args.config)
    out = Path(args.out)
    for case in recorded_steps(loaded.registrar, loaded.cfg['test_dataloader']['dataset'], args.cases):
        labels: dict[str, Any] = dict(case.labels)
        energy_figure(case.steps, out / f'{case.case_id}_energy.png', title=case.case_id)
        steps_figure(case.steps, case.fixed, case.moving, out / f'{case.case_id}_steps.png', **labels)
        energies = ' '.join(f'{float(step.after.mean()):.5f}' for step in case.steps)
        console.say(f'{case.case_id}: {float(case.steps[0].before.mean()):.5f} -> {energies}')
