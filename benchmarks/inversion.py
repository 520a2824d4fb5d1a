"""Inverse of the steepest steps that SITReg takes: accelerated against the plain fixed point, same tolerance."""

from __future__ import annotations

import argparse
import time

import torch

from mmreg.spatial import invert
from mmreg.spatial.bspline import bspline_refine, invertible_bound


def step(size: tuple[int, ...], factor: int, share: float) -> torch.Tensor:
    """A random spline step whose control points are at ``share`` of their bound, up to the sign."""
    ndim = len(size)
    coarse = [-(-n // factor) for n in size]
    signs = torch.randint(0, 2, (1, ndim, *coarse), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    bound = share * factor * invertible_bound((factor,) * ndim)[0]
    return bspline_refine(signs * bound, size, (factor,) * ndim)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', type=int, nargs='+', default=(96, 96, 96))
    parser.add_argument('--tolerance', type=float, default=1e-2)
    parser.add_argument('--repeat', type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print('| stride | share of the bound | plain: iterations, ms | accelerated: iterations, ms | plain / accelerated |')
    print('|---|---|---|---|---|')
    for factor in (1, 4, 16):
        for share in (0.3, 0.99):
            field = step(tuple(args.size), factor, share)
            found = {}
            for accelerated in (False, True):
                best = float('inf')
                for _ in range(args.repeat):
                    start = time.process_time()
                    _, residual = invert(field, 200, args.tolerance, accelerated=accelerated)
                    best = min(best, time.process_time() - start)
                found[accelerated] = (residual.iterations, 1e3 * best)
            (slow, slow_ms), (fast, fast_ms) = found[False], found[True]
            ratio = slow_ms / fast_ms
            print(f'| {factor} | {share} | {slow}, {slow_ms:.0f} | {fast}, {fast_ms:.0f} | {ratio:.2f} |')


if __name__ == '__main__':
    main()
