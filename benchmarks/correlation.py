"""The correlation volume against two plain forms of it, forward and backward: time and what the backward pass keeps.

``shifted``: one product per offset, left to autograd. ``unfolded``: an ``unfold`` view of the whole neighbourhood and
one ``einsum``. Every form runs in a process of its own, so that its peak memory is its own; ``kept`` is what autograd
holds between the passes besides the volume.

    python benchmarks/correlation.py [--size 40 48 56] [--channels 16] [--radius 1 2] [--threads 1] [--repeats 5]
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import resource
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.spatial import local_correlation


def shifted(fixed: Tensor, moving: Tensor, radius: int) -> Tensor:
    size = fixed.shape[2:]
    wide = F.pad(moving, [radius] * (2 * len(size)))
    products = []
    for offset in itertools.product(range(2 * radius + 1), repeat=len(size)):
        view = wide[(..., *[slice(o, o + n) for o, n in zip(offset, size)])]
        products.append((fixed * view).sum(dim=1))
    return torch.stack(products, dim=1) * fixed.shape[1] ** -0.5


def unfolded(fixed: Tensor, moving: Tensor, radius: int) -> Tensor:
    size = fixed.shape[2:]
    view = F.pad(moving, [radius] * (2 * len(size)))
    for axis in range(len(size)):
        view = view.unfold(axis + 2, 2 * radius + 1, 1)
    volume = torch.einsum('ncxyz,ncxyzijk->nijkxyz', fixed, view) if len(size) == 3 else None
    if volume is None:
        volume = torch.einsum('ncxy,ncxyij->nijxy', fixed, view)
    return volume.flatten(1, len(size)) * fixed.shape[1] ** -0.5


FORMS: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    'ours': local_correlation,
    'shifted': shifted,
    'unfolded': unfolded,
}


def measure(form: str, size: tuple[int, ...], channels: int, radius: int, threads: int, repeats: int) -> dict:
    """Best times in seconds, what is kept and the peak in MiB, and the norm of the gradient as a check."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    fixed, moving = (torch.randn(1, channels, *size, requires_grad=True) for _ in range(2))
    weight = torch.randn(1, (2 * radius + 1) ** len(size), *size)
    kept: dict[int, int] = {}

    def remember(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    forward, whole = [], []
    for _ in range(repeats):
        fixed.grad = moving.grad = None
        kept.clear()
        start = time.perf_counter()
        with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
            volume = FORMS[form](fixed, moving, radius)
        forward.append(time.perf_counter() - start)
        volume.backward(weight)
        whole.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert fixed.grad is not None and moving.grad is not None
    return {
        'forward': min(forward),
        'whole': min(whole),
        'kept': sum(kept.values()) / 2**20,
        'peak': peak / 1024,
        'norm': float(fixed.grad.norm() + moving.grad.norm()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, nargs='+', default=[40, 48, 56])
    parser.add_argument('--channels', type=int, default=16)
    parser.add_argument('--radius', type=int, nargs='+', default=[1, 2])
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--repeats', type=int, default=5)
    args = parser.parse_args()
    print(f'size {tuple(args.size)}, {args.channels} channels, {args.threads} thread(s)')
    print('radius form      forward s  with backward s  of ours   kept MiB  peak MiB  gradient')
    for radius in args.radius:
        base = None
        for form in FORMS:
            with multiprocessing.get_context('spawn').Pool(1) as pool:
                settings = (form, tuple(args.size), args.channels, radius, args.threads, args.repeats)
                row = pool.apply(measure, settings)
            base = base or row['whole']
            print(
                f'{radius:6d} {form:9s} {row["forward"]:9.3f} {row["whole"]:16.3f} {row["whole"] / base:7.1f}x '
                f'{row["kept"]:10.1f} {row["peak"]:9.0f} {row["norm"]:9.4g}'
            )


if __name__ == '__main__':
    main()
