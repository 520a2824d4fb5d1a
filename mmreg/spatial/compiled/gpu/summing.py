"""Window sums, the local correlation with its gradients, and Jacobian determinants on a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = 256
#: Sums that the local correlation is made of, and maps of slopes of each image.
_MOMENTS, _MAPS = 5, 2


def box(x: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
    """As :func:`mmreg.spatial.compiled.summing.box`: one pass per axis."""
    from .sum_kernels import box_kernel

    source, total = x.contiguous(), x.numel()
    stride = total // (x.shape[0] * x.shape[1])
    for length, low, high in zip(x.shape[2:], before, after):
        stride //= length
        if low == high == 0:
            continue
        out = torch.empty(x.shape, device=x.device)
        box_kernel[(-(-total // BLOCK),)](source, out, total, stride, length, BEFORE=low, AFTER=high, BLOCK=BLOCK)
        source = out
    return source if source is not x else source.clone()


def local_correlation(
    first: Tensor,
    second: Tensor,
    mask: Tensor | None,
    need: tuple[bool, bool],
    window: Sequence[int],
    count: float,
    eps: float,
    exponent: int,
    scale: float,
    counts: Tensor | None = None,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """As :func:`mmreg.spatial.compiled.correlating.local_correlation`, in two passes per axis.

    What lies outside counts as zero. The smallest value of each volume is taken off first, which keeps the digits.
    """
    from .sum_kernels import correlation_kernel, gradient_kernel

    first, second = first.contiguous(), second.contiguous()
    total, volumes = first.numel(), first.shape[0] * first.shape[1]
    voxels = total // volumes
    shape = (len(first), 1, *first.shape[2:])
    weights = [None if m is None else m.expand(shape).contiguous() for m in (mask, counts)]
    if counts is None:
        less = torch.stack([x.reshape(volumes, -1).amin(1) for x in (first, second)], 1).contiguous()
    else:
        less = torch.zeros((volumes, 2), device=first.device)
    sums = _moments(first, second, less, window, total, voxels)
    programs = -(-total // BLOCK)
    value = torch.empty(programs, device=first.device)
    maps = torch.empty((1 + _MAPS * sum(need)) * total if any(need) else 1, device=first.device)
    grid = (programs,)
    correlation_kernel[grid](
        sums, *(first if w is None else w for w in weights), maps, value, total, voxels, first.shape[1], count, eps,
        MASKED=mask is not None, COUNTED=counts is not None, EXPONENT=exponent, BY_FIRST=need[0], BY_SECOND=need[1],
        BLOCK=BLOCK,
    )  # fmt: skip
    found: list[Tensor | None] = [None, None]
    if any(need):
        maps = _windowed(maps, 1 + _MAPS * sum(need), first.shape[2:], window, total, voxels, less)
        for side, (image, other) in enumerate(((first, second), (second, first))):
            if need[side]:
                found[side] = torch.empty(first.shape, device=first.device)
                gradient_kernel[grid](
                    maps, image, other, less, found[side], total, voxels, scale,
                    VARIANCE=1 + _MAPS * (side if need[0] else 0), FIRST=side == 0, BLOCK=BLOCK,
                )  # fmt: skip
    return value.double().sum().float(), found[0], found[1]


def _moments(first: Tensor, second: Tensor, less: Tensor, window: Sequence[int], total: int, voxels: int) -> Tensor:
    """Five windowed sums, ``(5 * total,)``."""
    from .sum_kernels import lines_kernel, moments_kernel

    sizes, grid = list(first.shape[2:]), (-(-total // BLOCK),)
    out = torch.empty(_MOMENTS * total, device=first.device)
    moments_kernel[grid](first, second, less, out, total, voxels, 1, sizes[-1], REACH=window[-1] // 2, BLOCK=BLOCK)
    stride, whole = sizes[-1], window[-1]
    for length, size in zip(reversed(sizes[:-1]), reversed(list(window)[:-1])):
        source, out = out, torch.empty_like(out)
        lines_kernel[grid](
            source, less, out, total, voxels, stride, length, REACH=size // 2, COUNT=_MOMENTS, WHOLE=whole, BLOCK=BLOCK
        )
        stride, whole = stride * length, whole * size
    return out


def _windowed(
    maps: Tensor, count: int, sizes: Sequence[int], window: Sequence[int], total: int, voxels: int, less: Tensor
) -> Tensor:
    """Window sums of some volumes that lie one behind the other."""
    from .sum_kernels import lines_kernel

    stride = 1
    for length, size in zip(reversed(sizes), reversed(window)):
        out = torch.empty_like(maps)
        lines_kernel[(-(-total // BLOCK),)](
            maps, less, out, total, voxels, stride, length, REACH=size // 2, COUNT=count, WHOLE=0, BLOCK=BLOCK
        )
        maps, stride = out, stride * length
    return maps


def jacobian_determinant(displacement: Tensor) -> Tensor:
    """``(N, *spatial)`` from ``(N, ndim, *spatial)`` voxels: central differences, one-sided at the border."""
    from .sum_kernels import jacobian_kernel

    spatial = displacement.shape[2:]
    depth, height, width = spatial if len(spatial) == 3 else (1, *spatial)
    voxels = depth * height * width
    out = torch.empty((len(displacement), *spatial), device=displacement.device)
    jacobian_kernel[(-(-voxels // BLOCK), len(displacement))](
        displacement.contiguous(), out, voxels, depth, height, width, FLAT=len(spatial) == 2, BLOCK=BLOCK
    )
    return out
