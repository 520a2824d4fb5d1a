"""LKU-Net with parallel kernels against its single-kernel form: time of one registration, same weights, interleaved.

python benchmarks/lkunet_inference.py [--size 80 96 112] [--channels 8] [--threads 1] [--rounds 5] [--device cpu]
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time

import torch

from mmreg.models.blocks.branches import reparameterise
from mmreg.registry import REGISTRARS


def build(channels: int) -> torch.nn.Module:
    head = {'type': 'ConvFlowHead', 'bias': False, 'init_std': None, 'activation': 'softsign', 'unit': 'normalised'}
    backbone = {'type': 'LKUNet', 'channels': channels}
    return REGISTRARS.build({'type': 'Registrar', 'backbone': backbone, 'flow_head': head}).eval()


@torch.no_grad()
def seconds(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> float:
    """Wall time of one forward pass."""
    wait = torch.cuda.synchronize if inputs['fixed'].is_cuda else (lambda: None)
    wait()
    start = time.perf_counter()
    model(inputs)
    wait()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, nargs=3, default=(80, 96, 112))
    parser.add_argument('--channels', type=int, default=8)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    branches = build(args.channels).to(args.device)
    fused = reparameterise(copy.deepcopy(branches))
    inputs = {key: torch.rand(1, 1, *args.size, device=args.device) for key in ('fixed', 'moving')}
    with torch.no_grad():
        difference = (branches(inputs).displacement - fused(inputs).displacement).abs().max().item()
    times = [(seconds(branches, inputs), seconds(fused, inputs)) for _ in range(args.rounds)]
    plain, single = (statistics.median(column) for column in zip(*times))
    ratio = statistics.median(a / b for a, b in times)
    print(f'parallel kernels {plain:.3f} s, single kernel {single:.3f} s, ratio {ratio:.2f}')
    print(f'largest difference {difference:.2e} voxels')


if __name__ == '__main__':
    main()
