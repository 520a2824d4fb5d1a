"""Metrics against what one would write first: Dice against a loop over labels, HD95 against MONAI.

    python benchmarks/metrics.py [--size 96 96 96] [--labels 35] [--threads 1]

Every ratio compares two computations in the same run; the results of both are checked to be equal.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mmreg.evaluation.functional import digital, jacobian, overlap, surface
from mmreg.utils import console

Rows = list[tuple[str, float, str, float]]


def label_maps(size: tuple[int, ...], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Two maps of ``count`` regions and background: the cells of random seeds, and the same moved by two voxels."""
    rng = np.random.default_rng(0)
    seeds = rng.uniform(0, 1, (count + 1, len(size))) * size
    grid = np.stack(np.meshgrid(*map(np.arange, size), indexing='ij'), -1).astype(np.float32)
    best, labels = np.full(size, np.inf, np.float32), np.zeros(size, np.uint8)
    for value, seed in enumerate(seeds.astype(np.float32)):
        distance = ((grid - seed) ** 2).sum(-1)
        labels[distance < best] = value
        best = np.minimum(best, distance)
    return labels, np.roll(labels, (2, -1, 1)[: len(size)], tuple(range(len(size))))


def clock(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Shortest of several runs, and the result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return min(times), result


def loop_dice(a: Any, b: Any, labels: range) -> np.ndarray:
    """Dice as one writes it first, for numpy and torch."""
    return np.array([float(2 * ((a == k) & (b == k)).sum() / ((a == k).sum() + (b == k).sum())) for k in labels])


def dice_rows(a: np.ndarray, b: np.ndarray, labels: range) -> Rows:
    """One joint histogram against a loop, for three ways to store labels."""
    rows: Rows = []
    for dtype in (np.uint8, np.int16, np.int64):
        x, y = torch.from_numpy(a.astype(dtype)), torch.from_numpy(b.astype(dtype))
        ours, found = clock(lambda x=x, y=y: overlap.dice(x, y, labels), 7)
        for name, pair in (('torch', (x, y)), ('numpy', (x.numpy(), y.numpy()))):
            theirs, expected = clock(lambda pair=pair: loop_dice(*pair, labels), 2)
            np.testing.assert_allclose(found, expected, rtol=1e-5)
            rows.append((f'Dice, {len(labels)} labels, {np.dtype(dtype).name}', ours, f'{name} loop', theirs / ours))
    return rows


def surface_rows(a: np.ndarray, b: np.ndarray, labels: range) -> Rows:
    """HD95 against MONAI's with the same definition; both crop to the label."""
    from monai.metrics import compute_hausdorff_distance

    spacing = (1.0, 1.5, 2.0)[: a.ndim]
    few = labels[:4]

    def boxes(elements: str, percentile: str) -> list[float]:
        found = surface.label_surface_distances(a, b, few, spacing, elements)
        return [surface.robust_hausdorff(distances, percentile=percentile) for distances in found]

    def monai() -> list[float]:
        hot = [torch.from_numpy(np.stack([m == k for k in few]))[None].float() for m in (a, b)]
        return compute_hausdorff_distance(*hot, include_background=True, percentile=95, spacing=spacing)[0].tolist()

    ours, found = clock(lambda: boxes('voxels', 'linear'), 2)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        theirs, expected = clock(monai, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    return [(f'HD95 by voxels, {len(few)} labels', ours, 'MONAI', theirs / ours)]


def field_rows(size: tuple[int, ...]) -> Rows:
    """Determinants in closed form against a generic determinant of matrices."""
    field = torch.randn(len(size), *size)

    def generic() -> torch.Tensor:
        columns = torch.stack(torch.gradient(field, dim=tuple(range(1, field.dim()))), dim=-1).movedim(0, -2)
        return torch.linalg.det(columns + torch.eye(len(size)))[(slice(2, -2),) * len(size)]

    ours, found = clock(lambda: jacobian.determinant_map(field), 5)
    theirs, expected = clock(generic, 2)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    rows: Rows = [('Jacobian determinant', ours, 'generic determinant', theirs / ours)]
    ours, _ = clock(lambda: digital.digital_diffeomorphism(field), 2)
    return [*rows, ('NDV, eleven determinants', ours, 'one generic determinant', theirs / ours)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--size', type=int, nargs='+', default=[96, 96, 96])
    parser.add_argument('--labels', type=int, default=35)
    parser.add_argument('--threads', type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    a, b = label_maps(tuple(options.size), options.labels)
    labels = range(1, options.labels + 1)
    rows = [*dice_rows(a, b, labels), *surface_rows(a, b, labels), *field_rows(tuple(options.size))]
    lines = [(name, f'{1000 * ours:.2f}', peer, f'{ratio:.1f}') for name, ours, peer, ratio in rows]
    size = 'x'.join(map(str, options.size))
    console.table(('metric', 'ms', 'peer', 'times faster'), lines, title=f'{size}, {options.threads} thread(s)')


if __name__ == '__main__':
    main()
