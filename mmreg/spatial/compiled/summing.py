"""Box sums and separable filters by the kernels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .gpu import summing as gpu
from .gpu.switch import on_gpu
from .library import call, serves


def serves_sums(x: Tensor) -> bool:
    """Whether the kernels can take ``x`` ``(N, C, *spatial)``, of one to three axes."""
    return 3 <= x.dim() <= 5 and serves(x)


def serves_box(x: Tensor) -> bool:
    """Whether :func:`box` and the local correlation can take ``x`` ``(N, C, *spatial)``, on a GPU as well."""
    return on_gpu(x) or serves_sums(x)


def box(x: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
    """Sum over ``[-before, after]`` along each axis of ``x`` ``(N, C, *spatial)``, zeros outside."""
    if on_gpu(x):
        return gpu.box(x, before, after)
    source, out, size, missing = _volumes(x)
    reach = [0, 0] * missing + [step for pair in zip(before, after) for step in pair]
    call('mmreg_box', source, out, len(out), size, reach)
    return out.view(x.shape)


def correlate(x: Tensor, taps: Sequence[Sequence[float]], border: bool = False) -> Tensor:
    """Correlate each axis of ``x`` ``(N, C, *spatial)`` with its odd-length kernel; outside zeros or the border."""
    source, out, size, missing = _volumes(x)
    lines = [(1.0,)] * missing + list(taps)
    weights = [tap for line in lines for tap in line]
    radii = [len(line) // 2 for line in lines]
    call('mmreg_filter', source, out, len(out), size, weights, radii, border)
    return out.view(x.shape)


def _volumes(x: Tensor) -> tuple[Tensor, Tensor, list[int], int]:
    """``x`` and room for the result as ``(volumes, depth, height, width)``, its size, and how many axes were added."""
    missing = 5 - x.dim()
    shape = [x.shape[0] * x.shape[1], *[1] * missing, *x.shape[2:]]
    return x.contiguous().view(shape), torch.empty(shape), shape[1:], missing
