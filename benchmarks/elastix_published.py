"""The elastix baseline of the spine system at its published number of iterations, on one pair whose truth is known.

    python benchmarks/elastix_published.py [--size 32 32 64] [--iterations N] [--threads 2]

Needs `pip install "mmreg[elastix]"`. The pair is a phantom of rigid vertebrae in two poses, CT-like and MR-like. Prints
seconds, mean and 95th percentile of the distance to the true field (voxels of 1 mm, where both images show the point),
Dice of the vertebrae, the rest of each vertebra's motion that is not rigid (mm), and folds.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from mmreg.evaluation.functional import jacobian
from mmreg.models.registrars.elastix_run import run_elastix, settings
from mmreg.plugins import register_all_modules
from mmreg.registry import DATASETS, METRICS
from mmreg.structures import RegSample
from mmreg.utils.quiet import quiet


def main() -> None:
    options = parser().parse_args()
    register_all_modules()
    config = dict(type='ArticulatedSpinePhantom', size=tuple(options.size), first=20000, count=1)
    sample = DATASETS.build(config)[0]
    inputs, carried = sample['inputs'], sample['data_samples']
    fixed, moving = (inputs[name][0].numpy() for name in ('fixed', 'moving'))
    body = inputs['moving_labels'][0].numpy()
    for penalty in (True, False):
        steps = settings(penalty, options.iterations)
        counts = ', '.join(f'{step["Transform"][0]} {step["MaximumNumberOfIterations"][0]}' for step in steps)
        begin = time.perf_counter()
        field = run_elastix(
            fixed, moving, body if penalty else None, (1.0,) * 3, options.iterations, threads=options.threads
        )
        took = time.perf_counter() - begin
        report(f'{"with" if penalty else "without"} the rigidity penalty ({counts} per level)', field, carried, inputs)
        print(f'  {took:.1f} s')
    report('no displacement', np.zeros_like(field), carried, inputs)


def report(title: str, field: np.ndarray, carried: RegSample, inputs: dict) -> None:
    """Print what a field reaches."""
    metrics = [
        METRICS.build(dict(type=name, initial=False, **more))
        for name, more in (
            ('DiceMetric', {}), ('RigidityMetric', {}), ('FieldError', {'mask': 'true_displacement_valid'}),
        )
    ]  # fmt: skip
    displacement = torch.from_numpy(field)
    case = {**carried.to_dict(), **inputs, 'pred': {'displacement': displacement}}
    found: dict[str, float] = {}
    for metric in metrics:
        with quiet():
            metric.process({}, [case])
            found |= metric.evaluate(1)
    keys = ('reg/epe', 'reg/epe_p95', 'reg/dice', 'reg/rigid_residual')
    numbers = ', '.join(f'{key.removeprefix("reg/")} {found[key]:.3f}' for key in keys if key in found)
    folds = jacobian.fold_percent(jacobian.determinant_map(displacement))
    print(f'{title}: {numbers}, folds {folds:.3f} %', flush=True)


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    found.add_argument('--size', type=int, nargs=3, default=(32, 32, 64), help='voxels of 1 mm')
    found.add_argument('--iterations', type=int, help='of both steps, instead of the published 250 and 500')
    found.add_argument('--threads', type=int, default=2)
    return found


if __name__ == '__main__':
    main()
