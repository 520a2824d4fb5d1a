"""GraDIRN against its U-Net baseline, with all and with a tenth of the training subjects: error to the true field.

Every run is `mmreg train` and `mmreg test` with a config of the repository; what is there already is not run again.

    OMP_NUM_THREADS=1 python benchmarks/gradirn_study.py --out work_dirs/gradirn_study [--seeds 0 1 2]
        [--fractions 1.0 0.1] [--configs configs/gradirn_demo.py configs/gradirn_demo_unet.py] [--cfg-options K=V ...]

For other data, name its configs: any pair of `gradirn_<data>.py` and `gradirn_<data>_unet.py`, and the `--metric`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from mmreg.commands import test as test_cli
from mmreg.commands import train as train_cli
from mmreg.commands.shared.launch import latest_checkpoint
from mmreg.plugins import register_all_modules
from mmreg.registry import REGISTRARS
from mmreg.utils.config import load_config

CONFIGS = ('configs/gradirn_demo.py', 'configs/gradirn_demo_unet.py')


def run(config: str, fraction: float, seed: int, out: Path, options: list[str], metric: str) -> dict:
    """Train and test once; the metric before and after, and the seconds of training."""
    folder = out / f'{Path(config).stem}_{fraction:g}_{seed}'
    result = folder / 'result.json'
    if not result.exists():
        extra = [*options, f'train_dataloader.dataset.fraction={fraction}']
        extra += [f'train_dataloader.dataset.fraction_seed={seed}', f'randomness.seed={seed}', 'log_level=WARNING']
        start = time.process_time()
        if train_cli.main([config, '--work-dir', str(folder), '--resume', '--cfg-options', *extra]):
            raise SystemExit(f'{folder}: training failed')
        seconds = time.process_time() - start
        checkpoint = str(latest_checkpoint(folder))
        argv = [config, checkpoint, '--work-dir', str(folder / 'test'), '--out', str(folder / 'out')]
        if test_cli.main([*argv, '--cfg-options', 'log_level=WARNING']):
            raise SystemExit(f'{folder}: test failed')
        metrics = json.loads((folder / 'out' / 'summary.json').read_text())['metrics']
        result.write_text(json.dumps({'metrics': metrics, 'seconds': seconds}))
    stored = json.loads(result.read_text())
    name, score = metric.rsplit('/', 1)
    return {
        'after': stored['metrics'][metric],
        'before': stored['metrics'].get(f'{name}/initial_{score}', float('nan')),
        'seconds': stored['seconds'],
    }


def parameters(config: str) -> int:
    """Learned parameters of a config's model."""
    register_all_modules([])
    return sum(p.numel() for p in REGISTRARS.build(load_config(config).model).parameters() if p.requires_grad)


def main(argv: list[str] | None = None) -> int:
    """Run what is missing and print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/gradirn_study'))
    parser.add_argument('--configs', nargs='+', default=CONFIGS)
    parser.add_argument('--fractions', nargs='+', type=float, default=[1.0, 0.1])
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--metric', default='reg/epe')
    parser.add_argument('--cfg-options', nargs='+', default=[])
    args = parser.parse_args(argv)
    found: dict[tuple[str, float], list[dict]] = {}
    for seed in args.seeds:
        for fraction in args.fractions:
            for config in args.configs:
                one = run(config, fraction, seed, args.out, args.cfg_options, args.metric)
                found.setdefault((config, fraction), []).append(one)
                print(f'{Path(config).stem} fraction {fraction:g} seed {seed}: {one}', flush=True)
    print_table(args, found)
    return 0


def print_table(args: argparse.Namespace, found: dict[tuple[str, float], list[dict]]) -> None:
    """Mean over seeds with the single values, and what cutting the data costs."""
    print(f'\n| network | parameters | training data | {args.metric} (seeds {args.seeds}) | mean | cost of the cut |')
    print('|---|---|---|---|---|---|')
    for config in args.configs:
        whole = statistics.mean(one['after'] for one in found[config, args.fractions[0]])
        for fraction in args.fractions:
            values = [one['after'] for one in found[config, fraction]]
            mean = statistics.mean(values)
            single = ', '.join(f'{value:.4f}' for value in values)
            cost = f'{mean - whole:+.4f} ({100 * (mean / whole - 1):+.1f} %)'
            print(f'| {Path(config).stem} | {parameters(config)} | {fraction:g} | {single} | {mean:.4f} | {cost} |')
    every = [one for runs in found.values() for one in runs]
    print(f'before registration: {every[0]["before"]:.4f}; training took {sum(o["seconds"] for o in every):.0f} CPU s')


if __name__ == '__main__':
    sys.exit(main())
