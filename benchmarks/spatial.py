"""The operators of mmreg.spatial against plain re-statements of them, on one thread.

Beside each time stands its ratio to the floor: the volumes the operator has to move at best, at the bandwidth of a
triad measured in the same run. "torch" is the same operator without the compiled kernels. The plain form of each
operator is the textbook one: grids by ``meshgrid`` at every warp, determinants by ``torch.linalg``, window sums by
convolution or pooling, labels warped as one-hot volumes.

    python benchmarks/spatial.py [--size 96 96 96] [--threads 1] [--repeats 5]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg import spatial
from mmreg.spatial.compiled import compiled_available, use_compiled

WINDOW, STEPS, LABELS = 9, 7, 36
Operator = Callable[[Tensor], Tensor]


@dataclass
class Row:
    """One operator: ours, the plain form, and the volumes it moves at best."""

    name: str
    volumes: float
    ours: Callable[[], Tensor]
    plain: Callable[[], Tensor]


def plain_warp(image: Tensor, displacement: Tensor) -> Tensor:
    size = displacement.shape[2:]
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in size], indexing='ij')
    position = torch.stack(axes)[None] + displacement
    normalised = torch.stack([2 * (position[:, i] / (n - 1) - 0.5) for i, n in enumerate(size)], dim=-1)
    return F.grid_sample(image, normalised.flip(-1), align_corners=True)


def plain_integrate(velocity: Tensor) -> Tensor:
    field = velocity / 2**STEPS
    for _ in range(STEPS):
        field = field + plain_warp(field, field)
    return field


def plain_determinant(displacement: Tensor) -> Tensor:
    columns = torch.gradient(displacement, dim=(2, 3, 4))
    matrix = torch.stack(columns, dim=-1).movedim(1, -2) + torch.eye(3)
    return torch.linalg.det(matrix)


def plain_box_sum(x: Tensor) -> Tensor:
    for axis in range(3):
        kernel = torch.ones(1, 1, *[WINDOW if i == axis else 1 for i in range(3)])
        x = F.conv3d(x, kernel, padding=[WINDOW // 2 if i == axis else 0 for i in range(3)])
    return x


def plain_gaussian(x: Tensor) -> Tensor:
    kernel = spatial.gaussian_kernel(1.0, 5, 3)[None, None]
    return F.conv3d(x, kernel, padding=2)


def with_backward(operator: Operator, x: Tensor) -> Tensor:
    """The gradient of a sum of squares through the operator."""
    x = x.detach().requires_grad_()
    operator(x).square().sum().backward()
    assert x.grad is not None
    return x.grad


def operators(size: tuple[int, ...]) -> list[Row]:
    image = torch.rand(1, 1, *size)
    field = spatial.gaussian_filter(torch.randn(1, 3, *size), 4.0)
    field = field / field.abs().max() * 3
    noise = spatial.gaussian_filter(torch.randn(1, LABELS, *size), 4.0)
    labels = noise.argmax(1, keepdim=True)

    def row(name: str, volumes: float, ours: Operator, plain: Operator, x: Tensor, both: float = 0) -> list[Row]:
        rows = [Row(name, volumes, lambda: ours(x), lambda: plain(x))]
        if both:
            backward = Row(f'{name}, +backward', both, lambda: with_backward(ours, x), lambda: with_backward(plain, x))
            rows.append(backward)
        return rows

    def plain_labels(u: Tensor) -> Tensor:
        onehot = F.one_hot(labels[:, 0], LABELS).movedim(-1, 1).float()
        return plain_warp(onehot, u).argmax(1, keepdim=True)

    return [
        *row('warp', 5, lambda u: spatial.warp(image, u), lambda u: plain_warp(image, u), field, 13),
        *row('compose', 9, lambda u: spatial.compose(u, u), lambda u: u + plain_warp(u, u), field),
        *row('integrate, 7 steps', 63, spatial.scaling_and_squaring, plain_integrate, field, 189),
        *row('Jacobian determinant', 4, spatial.jacobian_determinant, plain_determinant, field, 12),
        *row('box sum, window 9', 2, lambda x: spatial.box_sum(x, WINDOW), plain_box_sum, image, 4),
        *row('Gaussian, 5 taps', 2, lambda x: spatial.gaussian_filter(x, 1.0, size=5), plain_gaussian, image, 4),
        *row('labels, linear, 36', 5, lambda u: spatial.warp_labels(labels, u, 'linear'), plain_labels, field),
    ]


def seconds(function: Callable[[], Tensor], repeats: int) -> float:
    """Best of some runs after one to warm up."""
    function()
    best = float('inf')
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def triad_bandwidth(repeats: int) -> float:
    """Bytes per second of ``c = a + s b`` on arrays beyond the cache."""
    a, b, c = torch.rand(3, 1 << 25)
    return 12 * a.numel() / seconds(lambda: torch.add(a, b, alpha=0.5, out=c), repeats)


def difference(a: Tensor, b: Tensor) -> float:
    """Largest difference relative to the largest value; for labels the share of voxels that differ."""
    if not a.is_floating_point():
        return float((a != b).float().mean())
    return float((a - b).abs().max() / b.abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, nargs=3, default=(96, 96, 96))
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--repeats', type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    bandwidth = triad_bandwidth(args.repeats)
    volume = 4 * torch.Size(args.size).numel() / bandwidth
    kernels = 'compiled kernels' if compiled_available() else 'no compiled kernels'
    print(f'size {tuple(args.size)}, {args.threads} thread(s), triad {bandwidth / 1e9:.1f} GB/s, {kernels}')
    heads = ('ours ms', '/ floor', 'torch ms', '/ floor', 'plain ms', '/ floor', 'faster')
    print(f'{"operator":32s}', *[f'{head:>9s}' for head in heads], 'differ')
    for row in operators(tuple(args.size)):
        differ = difference(row.ours(), row.plain())
        ours, plain = seconds(row.ours, args.repeats), seconds(row.plain, max(1, args.repeats // 2))
        with use_compiled(False):
            torch_only = seconds(row.ours, args.repeats)
        floor = row.volumes * volume
        numbers = [number for t in (ours, torch_only, plain) for number in (f'{t * 1e3:9.2f}', f'{t / floor:9.1f}')]
        print(f'{row.name:32s}', *numbers, f'{plain / ours:8.1f}x {differ:.0e}')


if __name__ == '__main__':
    main()
