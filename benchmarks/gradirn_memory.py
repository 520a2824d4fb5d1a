"""Peak memory of a training step of GraDIRN over the number of steps, with and without recomputation.

Each run is a process of its own, so that its peak is its own; what the imports take is subtracted. Every tensor is
given back to the system when it is freed: the peak is what was needed, not what was fragmented.

    python benchmarks/gradirn_memory.py [--size 160 160] [--batch 4] [--steps 3 9 18 36] [--levels 3] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import torch

from mmreg.plugins import register_all_modules
from mmreg.registry import REGISTRARS


def measure(size: list[int], batch: int, steps: int, levels: int, recompute: bool) -> dict[str, float]:
    """MiB above the idle process and seconds of one training step."""
    register_all_modules([])
    torch.manual_seed(0)
    model = REGISTRARS.build(
        {
            'type': 'Registrar',
            'ndim': len(size),
            'backbone': {'type': 'ImagePyramid', 'levels': levels, 'any_size': True},
            'flow_head': {'type': 'GraDIRNHead', 'repeats': steps // levels, 'checkpoint_steps': recompute},
            'losses': {'similarity': {'type': 'MSE'}, 'regularity': {'type': 'Diffusion', 'weight': 0.01}},
        }
    )
    inputs = {name: torch.rand(batch, 1, *size) for name in ('fixed', 'moving')}
    small = {name: image[(slice(0, 1), slice(None), *[slice(0, 16)] * len(size))] for name, image in inputs.items()}
    _train(model, small)  # what is allocated once
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    _train(model, inputs)
    seconds = time.perf_counter() - start
    return {'mib': (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle) / 1024, 'seconds': seconds}


def _train(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> None:
    losses = model(inputs, mode='loss')
    sum(value for key, value in losses.items() if key.startswith('loss_')).backward()


def main() -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', nargs='+', type=int, default=[160, 160])
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--steps', nargs='+', type=int, default=[3, 9, 18, 36])
    parser.add_argument('--levels', type=int, default=3)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--one', nargs=2, metavar=('STEPS', 'RECOMPUTE'), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.one:
        steps, recompute = (int(value) for value in args.one)
        print(json.dumps(measure(args.size, args.batch, steps, args.levels, bool(recompute))))
        return 0
    print(f'{args.levels} levels, {args.size}, batch {args.batch}: MiB (seconds) of one training step')
    print('| steps | all activations kept | `checkpoint_steps=True` |\n|---|---|---|')
    for steps in args.steps:
        found = []
        for recompute in (0, 1):
            argv = [sys.executable, __file__, *sys.argv[1:], '--one', str(steps), str(recompute)]
            environment = {**os.environ, 'MALLOC_MMAP_THRESHOLD_': '16384'}
            done = subprocess.run(argv, check=True, capture_output=True, text=True, env=environment)
            one = json.loads(done.stdout.splitlines()[-1])
            found.append(f'{one["mib"]:.0f} ({one["seconds"]:.1f})')
        print(f'| {steps} | {found[0]} | {found[1]} |', flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
