"""Losses on fields and labels, forward and backward, against plain autograd forms in the same run.

The plain form of a regulariser is the textbook one with automatic differentiation; that of Dice warps the one-hot
volume. ``/floor`` is a time over that of moving the volumes that the operation cannot avoid (9 for a gradient penalty
forward and backward, as for every loss on a field here; 13 for a warp) at the speed of the measured triad; ``MiB`` is
what autograd keeps for the backward pass besides the inputs; ``peer/ours`` how many times slower the plain form is.

    python benchmarks/losses_fields.py [--size 96 96 96] [--threads 1] [--repeats 5] [--only Diffusion]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from losses_image import best
from torch import Tensor
from torch.nn import functional as F

from mmreg.models.losses import (
    BendingEnergy,
    Curvature,
    Dice,
    Diffusion,
    InverseConsistency,
    JacobianFolding,
    LinearElastic,
    NonDiffeomorphicVolume,
    OrthonormalityCondition,
    TotalVariation,
)
from mmreg.models.losses.label_overlap import label_overlap_chunks
from mmreg.spatial import warp

CLASSES = 36
Loss = Callable[[Tensor], Tensor]


def plain_diffusion(u: Tensor) -> Tensor:
    return sum(u.diff(dim=axis).square().mean() for axis in (2, 3, 4)) / 3


def plain_bending(u: Tensor) -> Tensor:
    first = torch.gradient(u, dim=(2, 3, 4))
    return sum(second.square().mean() * 3 for d in first for second in torch.gradient(d, dim=(2, 3, 4)))


def plain_folding(u: Tensor) -> Tensor:
    columns = [u.diff(dim=a)[(..., *[slice(None, -1 if b != a else None) for b in (2, 3, 4)])] for a in (2, 3, 4)]
    matrix = torch.stack(columns, -1).movedim(1, -2) + torch.eye(3)
    return torch.relu(-torch.linalg.det(matrix)).mean()


def plain_warp(image: Tensor, u: Tensor) -> Tensor:
    size = u.shape[2:]
    grid = torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in size], indexing='ij'))
    points = (grid + u) * torch.tensor([2 / (n - 1) for n in size]).view(1, 3, 1, 1, 1) - 1
    return F.grid_sample(image, points.movedim(1, -1).flip(-1), align_corners=True)


def dice_loop(moving: Tensor, fixed: Tensor, u: Tensor, warp: Callable[[Tensor, Tensor], Tensor] = warp) -> Tensor:
    """Label by label: warp its mask, compare, add up."""
    losses = []
    for k in range(CLASSES):
        p, t = warp((moving == k).float(), u), (fixed == k).float()
        losses.append(1 - 2 * (p * t).sum() / (p.sum() + t.sum() + 1e-5))
    return torch.stack(losses).mean()


def groups(labels: Tensor) -> dict[str, tuple[int, Loss, dict[str, Loss]]]:
    """Name -> (volumes of the floor, ours, peers)."""
    moving, fixed = labels, labels.roll(2, 2)
    values = torch.arange(CLASSES).view(1, -1, 1, 1, 1)
    onehot = (moving == values).float()
    target = (fixed == values).float()
    dice = Dice()
    return {
        'Diffusion': (9, Diffusion(), {'plain': plain_diffusion}),
        'Diffusion l1': (9, Diffusion('l1'), {}),
        'BendingEnergy': (9, BendingEnergy(), {'plain': plain_bending}),
        'Curvature': (9, Curvature(), {}),
        'LinearElastic': (9, LinearElastic(), {}),
        'TotalVariation': (9, TotalVariation(), {}),
        'JacobianFolding': (9, JacobianFolding(), {'generic determinant': plain_folding}),
        'NonDiffeomorphicVolume': (9, NonDiffeomorphicVolume(), {}),
        'OrthonormalityCondition': (9, lambda u: OrthonormalityCondition()(u, moving), {}),
        'InverseConsistency': (9, lambda u: InverseConsistency()(u, u), {}),
        f'Dice of {CLASSES} labels': (
            13,
            lambda u: dice.from_labels(moving, fixed, u, range(CLASSES)),
            {
                'loop over labels': lambda u: dice_loop(moving, fixed, u, plain_warp),
                'loop, our warp': lambda u: dice_loop(moving, fixed, u),
                'one-hot volume': lambda u: dice(warp(onehot, u), target),
                'chunks of 4': lambda u: dice.from_overlap(label_overlap_chunks(moving, fixed, u, range(CLASSES), 4)),
            },
        ),
    }


def kept(loss: Loss, field: Tensor) -> float:
    """MiB that autograd keeps for the backward pass, the field left out."""
    storages: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        storages[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        value = loss(field)
    storages.pop(field.untyped_storage().data_ptr(), None)
    del value
    return sum(storages.values()) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, nargs=3, default=[96, 96, 96])
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--only', nargs='*', help='names of losses')
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter

    torch.manual_seed(0)
    field = (2 * torch.randn(1, 3, *options.size)).requires_grad_()
    coarse = torch.randint(0, CLASSES, (1, 1, *[-(-n // 6) for n in options.size]))
    labels = coarse.repeat_interleave(6, 2).repeat_interleave(6, 3).repeat_interleave(6, 4)
    labels = labels[(..., *[slice(n) for n in options.size])].contiguous()
    first, second, out = (torch.rand(options.size) for _ in range(3))

    def triad() -> None:
        torch.add(first, second, alpha=2.0, out=out)

    best({'triad': triad}, 20, clock)
    print(f'{"loss":26s} {"peer":20s} {"ms":>9s} {"/floor":>8s} {"MiB":>8s} {"peer/ours":>10s}')
    for name, (volumes, ours, peers) in groups(labels).items():
        if options.only and name not in options.only:
            continue
        losses = {'': ours, **peers}
        runs = {key: lambda loss=loss: torch.autograd.grad(loss(field), field) for key, loss in losses.items()}
        times = best({**runs, 'triad': triad}, options.repeats, clock)
        floor = times.pop('triad') / 3 * volumes
        for key, spent in times.items():
            ratio = f'{spent / times[""]:10.1f}' if key else ''
            head = '' if key else name
            mib = kept(losses[key], field)
            print(f'{head:26s} {key:20s} {1e3 * spent:9.1f} {spent / floor:8.1f} {mib:8.1f} {ratio}')


if __name__ == '__main__':
    main()
