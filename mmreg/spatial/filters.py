"""Separable filters by weighted shifted additions: Gaussians and any other product of 1-D kernels.

Convolution is not used: it would run in reduced precision on some devices, and on a CPU additions are faster as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.errors import InputError

from ._checks import coordinate_dtype, per_axis, spatial_ndim
from ._linear import linear_map
from .compiled.library import MOST_ELEMENTS
from .compiled.summing import correlate, serves_sums

#: Taps of a Gaussian; a smoothing wider than any image is a mistake in its unit.
MOST_TAPS = 2**16 + 1


def gaussian_kernel(
    sigma: float, size: int | None = None, ndim: int = 1, *, truncate: float = 4.0, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Isotropic Gaussian sampled at voxel centres, sum 1.

    Args:
        sigma: standard deviation in voxels; 0 gives a single one.
        size: taps per axis, odd; by default ``2 * round(truncate * sigma) + 1``.
        ndim: number of axes.
        truncate: radius in standard deviations when ``size`` is not given.
        dtype: floating-point type.

    Returns:
        ``(size,) * ndim``.

    Raises:
        InputError: negative sigma, even size, or too many taps.

    Example:
        >>> gaussian_kernel(1.0, size=5).shape
        torch.Size([5])
    """
    line = torch.tensor(_gaussian_taps(sigma, size, truncate), dtype=torch.float64)
    if len(line) ** ndim > MOST_ELEMENTS:
        raise InputError(f'sigma is {sigma}, which makes {len(line)} taps on each of {ndim} axes, expected fewer.')
    kernel = line
    for _ in range(ndim - 1):
        kernel = kernel.unsqueeze(-1) * line
    return kernel.to(dtype)


def _gaussian_taps(sigma: float, size: int | None, truncate: float) -> list[float]:
    if not 0 <= sigma < math.inf:
        raise InputError(f'sigma is {sigma}, expected a finite number, 0 or more.')
    if size is not None and size % 2 == 0:
        raise InputError(f'size is {size}, expected an odd number of taps.')
    radius = int(truncate * sigma + 0.5) if size is None else size // 2
    if radius > MOST_TAPS // 2:
        raise InputError(f'sigma is {sigma}, which makes {2 * radius + 1} taps, expected {MOST_TAPS} at most.')
    if sigma == 0:
        return [1.0 if k == 0 else 0.0 for k in range(-radius, radius + 1)]
    taps = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-radius, radius + 1)]
    total = sum(taps)
    return [tap / total for tap in taps]


def gaussian_filter(
    x: Tensor,
    sigma: float | Sequence[float],
    *,
    truncate: float = 4.0,
    size: int | None = None,
    padding: str = 'zeros',
) -> Tensor:
    """Smooth by a separable Gaussian.

    Args:
        x: ``(N, C, *spatial)``.
        sigma: standard deviation in voxels, one number or one per axis (divide millimetres by the spacing); 0 leaves
            an axis as it is.
        truncate: radius in standard deviations.
        size: taps per axis instead of ``truncate``.
        padding: 'zeros', 'border' (edge repeated) or 'reflect' (about the edge voxel).

    Returns:
        ``(N, C, *spatial)`` float32 or float64.

    Raises:
        InputError: negative sigma, even size, too many taps or unknown padding.

    Example:
        >>> gaussian_filter(torch.ones(1, 1, 9, 9), 1.0, padding='border')[0, 0, 4, 4].round(decimals=4).item()
        1.0
    """
    sigmas = per_axis(sigma, spatial_ndim(x, 'x'), 'sigma')
    taps = [_gaussian_taps(s, size, truncate) if s != 0 else [1.0] for s in sigmas]
    return separable_filter(x, taps, padding)


def separable_filter(x: Tensor, taps: Sequence[Sequence[float]], padding: str = 'zeros') -> Tensor:
    """Correlate each axis with its own odd-length 1-D kernel.

    Args:
        x: ``(N, C, *spatial)``.
        taps: one list of weights per axis, centred.
        padding: 'zeros', 'border' or 'reflect'.

    Returns:
        ``(N, C, *spatial)`` float32 or float64. Backward is the same with mirrored kernels; nothing is saved.

    Raises:
        InputError: wrong number of kernels, an even length or unknown padding.

    Example:
        >>> separable_filter(torch.ones(1, 1, 4), [(1.0, 2.0, 1.0)]).tolist()
        [[[3.0, 4.0, 4.0, 3.0]]]
    """
    ndim = spatial_ndim(x, 'x')
    if len(taps) != ndim or any(len(line) % 2 == 0 for line in taps):
        raise InputError(
            f'taps have lengths {[len(t) for t in taps]}, expected one odd-length kernel per axis ({ndim}).'
        )
    if padding not in ('zeros', 'border', 'reflect'):
        raise InputError(f"padding is {padding!r}, expected 'zeros', 'border' or 'reflect'.")
    x = x.to(coordinate_dtype(x))
    taps = [_fitted(line, n, padding) for line, n in zip(taps, x.shape[2:])]
    if padding == 'border' and serves_sums(x) and not (torch.is_grad_enabled() and x.requires_grad):
        return correlate(x, taps, border=True)
    size = x.shape[2:]
    radii = [len(line) // 2 for line in taps]
    if padding != 'zeros':
        widths = [width for radius in reversed(radii) for width in (radius, radius)]
        x = F.pad(x, widths, mode='replicate' if padding == 'border' else 'reflect')
    forward = tuple(tuple(float(t) for t in line) for line in taps)
    mirrored = tuple(line[::-1] for line in forward)
    out = linear_map(x, partial(_correlate, taps=forward), partial(_correlate, taps=mirrored))
    if padding != 'zeros':
        for i, (radius, n) in enumerate(zip(radii, size)):
            out = out.narrow(i + 2, radius, n)
    return out


def _fitted(line: Sequence[float], n: int, padding: str) -> Sequence[float]:
    """The kernel for an axis of ``n`` voxels: taps that reach beyond it from every voxel read zeros, or its end."""
    radius, reach = len(line) // 2, max(n - 1, 0)
    if radius <= reach:
        return line
    if padding == 'reflect':
        raise InputError(f'a kernel of {len(line)} taps on {n} voxels, expected fewer than {2 * n} to be reflected.')
    inner, cut = list(line[radius - reach : radius + reach + 1]), radius - reach
    if padding == 'border':
        inner[0] += sum(line[:cut])
        inner[-1] += sum(line[len(line) - cut :])
    return inner


def _correlate(x: Tensor, taps: tuple[tuple[float, ...], ...]) -> Tensor:
    if serves_sums(x):
        return correlate(x, taps)
    for i, line in enumerate(taps):
        if line != (1.0,):
            x = _correlate_axis(x, i + 2, line)
    return x


def _correlate_axis(x: Tensor, axis: int, line: tuple[float, ...]) -> Tensor:
    """Weighted shifted additions into one buffer, zeros outside."""
    n, radius = x.shape[axis], len(line) // 2
    out = x * line[radius]
    for k in range(1, min(radius, n - 1) + 1):
        out.narrow(axis, 0, n - k).add_(x.narrow(axis, k, n - k), alpha=line[radius + k])
        out.narrow(axis, k, n - k).add_(x.narrow(axis, 0, n - k), alpha=line[radius - k])
    return out
