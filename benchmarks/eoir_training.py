"""A training step of EOIR against a plain re-statement of the published computation: time and peak memory.

The re-statement shares the weights and does what the published code does: LNCC by dense convolution with a kernel of
ones, sampling grids made by ``meshgrid`` at every warp, seven squarings through that warp, nothing recomputed. Each
variant runs in its own process, so that its peak memory is its own.

    python benchmarks/eoir_training.py [--size 80 112 96] [--channels 16] [--threads 2] [--steps 2]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.registry import REGISTRARS

VARIANTS = ('plain', 'mmreg', 'mmreg, checkpoint_levels=2')
LEVELS = [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]


def model_config(channels: int, checkpoint_levels: int) -> dict:
    """The LUMIR recipe."""
    return {
        'type': 'Registrar',
        'backbone': {'type': 'ResizePyramid', 'encoder': {'type': 'EOIREncoder', 'channels': channels}},
        'flow_head': {'type': 'CoarseToFineHead'},
        'integrator': {'type': 'ScalingSquaring'},
        'pyramid': {'kernel': 'eoir'},
        'losses': {
            'similarity': {'type': 'LNCC', 'window': 9, 'levels': LEVELS},
            'smoothness': {'type': 'Diffusion', 'penalty': 'l2', 'weight': 5.0, 'levels': LEVELS},
        },
        'checkpoint_levels': checkpoint_levels,
    }


def plain_warp(image: Tensor, displacement: Tensor) -> Tensor:
    """Warp through a normalised grid made on the spot."""
    size = displacement.shape[2:]
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in size], indexing='ij')
    position = torch.stack(axes)[None] + displacement
    normalised = torch.stack([2 * (position[:, i] / (n - 1) - 0.5) for i, n in enumerate(size)], dim=-1)
    return F.grid_sample(image, normalised.flip(-1), align_corners=True)


def plain_integrate(velocity: Tensor) -> Tensor:
    result = velocity / 2**7
    for _ in range(7):
        result = result + plain_warp(result, result)
    return result


def plain_lncc(warped: Tensor, fixed: Tensor, window: int = 9) -> Tensor:
    """Squared LNCC through dense convolutions."""
    ones = torch.ones(1, 1, window, window, window)

    def total(x: Tensor) -> Tensor:
        return F.conv3d(x, ones, padding=window // 2)

    volume = window**3
    s_w, s_f = total(warped), total(fixed)
    cross = total(warped * fixed) - s_w * s_f / volume
    var_w = total(warped * warped) - s_w * s_w / volume
    var_f = total(fixed * fixed) - s_f * s_f / volume
    return 1 - (cross * cross / (var_w * var_f + 1e-5)).mean()


def plain_smoothness(velocity: Tensor) -> Tensor:
    return sum((velocity.diff(dim=axis) ** 2).mean() for axis in (2, 3, 4)) / 3


def plain_pyramid(image: Tensor) -> list[Tensor]:
    """Dense 5x5x5 smoothing with the published kernel, then halving."""
    i = torch.arange(5.0) - 2
    taps = torch.exp(-(i**2) / 2)[:, None, None] * torch.ones(1, 5, 1) * torch.exp(-(i**2))
    kernel = (taps / taps.sum())[None, None]
    levels = [image]
    while len(levels) < 5:
        smooth = F.conv3d(levels[-1], kernel, padding=2)
        levels.append(F.interpolate(smooth, scale_factor=0.5, mode='trilinear', align_corners=True))
    return levels


def plain_block(x: Tensor, block: torch.nn.Module, norm: bool) -> Tensor:
    """Convolution, then InstanceNorm and PReLU or only ReLU, as separate operations."""
    x = F.conv3d(x, block.conv.weight, block.conv.bias, padding=1)
    return F.prelu(F.instance_norm(x), block.act.weight) if norm else F.relu(x)


def plain_estimate(features: Tensor, estimator: torch.nn.Module) -> Tensor:
    for block in (estimator.mix, estimator.reduce):
        features = plain_block(features, block, norm=False)
    return F.conv3d(features, estimator.flow.weight, estimator.flow.bias, padding=1)


def plain_loss(model: torch.nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """The objective of one pair as the published script computes it."""
    fixed, moving = inputs['fixed'], inputs['moving']
    features = [torch.cat([fixed, moving])]
    for block in model.backbone.encoder.blocks:
        features = [plain_block(features[0], block, norm=True)]
    while len(features) < 5:
        features.append(F.interpolate(features[-1], scale_factor=0.5, mode='trilinear', align_corners=True))
    pyramids = [plain_pyramid(image) for image in (fixed, moving)]
    up, total = None, 0.0
    for level in reversed(range(5)):
        f, m = features[level].chunk(2)
        if up is not None:
            m = plain_warp(m, up)
        velocity = plain_estimate(torch.cat([f + m, f - m], dim=1), model.flow_head.estimators[level])
        increment = plain_integrate(velocity)
        field = increment if up is None else increment + plain_warp(up, increment)
        warped = plain_warp(pyramids[1][level], field)
        total = total + LEVELS[level] * (plain_lncc(warped, pyramids[0][level]) + 5 * plain_smoothness(velocity))
        up = 2 * F.interpolate(field, scale_factor=2, mode='trilinear', align_corners=True)
    return total


def measure(variant: str, size: list[int], channels: int, threads: int, steps: int) -> dict:
    """Best time of ``steps`` training steps, peak memory beyond what was there before, and the first loss."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = REGISTRARS.build(model_config(channels, 2 if 'checkpoint' in variant else 0)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-4, amsgrad=True)
    coarse = torch.rand(2, 1, *[n // 8 for n in size])
    images = F.interpolate(coarse, size=size, mode='trilinear', align_corners=True)
    inputs = {'fixed': images[:1], 'moving': images[1:]}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times, first = [], None
    for _ in range(steps):
        start = time.perf_counter()
        if variant == 'plain':
            loss = plain_loss(model, inputs)
        else:
            loss = sum(v for k, v in model(inputs, mode='loss').items() if k.startswith('loss_'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
        first = loss.item() if first is None else first
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {'seconds': min(times), 'peak_mib': peak / 1024, 'loss': first}


def main() -> None:
    """Run every variant in its own process and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, nargs=3, default=[80, 112, 96])
    parser.add_argument('--channels', type=int, default=16)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--steps', type=int, default=2)
    parser.add_argument('--variant', choices=VARIANTS, help='measure this one here and print JSON')
    args = parser.parse_args()
    if args.variant:
        sys.stdout.write(json.dumps(measure(args.variant, args.size, args.channels, args.threads, args.steps)))
        return
    shared = ['--size', *map(str, args.size), '--channels', str(args.channels)]
    shared += ['--threads', str(args.threads), '--steps', str(args.steps)]
    rows = {}
    for variant in VARIANTS:
        command = [sys.executable, __file__, *shared, '--variant', variant]
        rows[variant] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    base = rows['plain']
    sys.stdout.write(
        f'{"variant":28s} {"s/step":>8s} {"speed-up":>9s} {"peak MiB":>9s} {"of plain":>9s} {"loss":>11s}\n'
    )
    for variant, row in rows.items():
        speed, memory = base['seconds'] / row['seconds'], row['peak_mib'] / base['peak_mib']
        line = f'{variant:28s} {row["seconds"]:8.2f} {speed:9.2f} {row["peak_mib"]:9.0f} {memory:9.2f}'
        sys.stdout.write(f'{line} {row["loss"]:11.6f}\n')


if __name__ == '__main__':
    main()
