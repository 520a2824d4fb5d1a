"""What every step of a GraDIRN does to a pair of the test set: the energy, the fields and the warped images.

python tools/analysis/gradirn_steps.py CONFIG CHECKPOINT --out DIR [--cases 2] [--repeats 6 6 6]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from mmreg.errors import ConfigError
from mmreg.plugins import register_all_modules
from mmreg.registry import DATASETS, REGISTRARS
from mmreg.utils import console
from mmreg.utils.checkpoint import load_weights
from mmreg.utils.config import load_config, merge_options
from mmreg.visualization.steps import energy_figure, steps_figure


def main(argv: Sequence[str] | None = None) -> int:
    """Write two figures per case; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('checkpoint', nargs='?', help='left out: the untrained network, plain gradient descent')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR')
    parser.add_argument('--cases', type=int, default=2, help='how many pairs of the test set')
    parser.add_argument('--repeats', type=int, nargs='+', help='steps per block of each level, coarsest first')
    parser.add_argument('--cfg-options', nargs='+', default=[])
    parser.add_argument('--plugin', action='append', default=[], help='Python file to import first')
    parser.add_argument('--debug', action='store_true', help='show the stack trace of an error')
    args = parser.parse_args(argv)
    return console.run(lambda: draw(args), debug=args.debug)


def draw(args: argparse.Namespace) -> int:
    """Register the first pairs of the test set, recording every step."""
    register_all_modules(args.plugin)
    cfg = load_config(args.config)
    merge_options(cfg, args.cfg_options)
    model = REGISTRARS.build(cfg.model).eval()
    if not hasattr(model.flow_head, 'record'):
        raise ConfigError(f'{args.config} has the flow head {type(model.flow_head).__name__}, expected GraDIRNHead.')
    if args.checkpoint:
        load_weights(model, args.checkpoint)
    model.flow_head.record = True
    if args.repeats:
        model.flow_head.test_repeats = model.flow_head._per_level('--repeats', args.repeats)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    args.out.mkdir(parents=True, exist_ok=True)
    for number in range(min(args.cases, len(dataset))):
        item = dataset[number]
        inputs = {key: value[None] for key, value in item['inputs'].items() if isinstance(value, torch.Tensor)}
        with torch.no_grad():
            steps = model(inputs).extras['steps']
        name = item['data_samples'].case_id
        labels = {key: item['inputs'].get(key) for key in ('fixed_labels', 'moving_labels')}
        energy_figure(steps, args.out / f'{name}_energy.png', title=name)
        steps_figure(steps, item['inputs']['fixed'], item['inputs']['moving'], args.out / f'{name}_steps.png', **labels)
        energies = ' '.join(f'{float(step.after.mean()):.5f}' for step in steps)
        console.say(f'{name}: {float(steps[0].before.mean()):.5f} -> {energies}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
