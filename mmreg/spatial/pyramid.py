"""The image pyramid on which multi-level losses are evaluated."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from functools import partial as bind
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from mmreg.errors import InputError

from ._checks import per_axis, spatial_ndim
from .filters import gaussian_kernel, separable_filter
from .resample import resize

KERNELS = ('gaussian', 'eoir', 'average', 'block', 'block_partial')

_POOLS: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def smoothing_taps(kernel: str, ndim: int, sigma: float = 1.0, size: int = 5) -> list[list[float]]:
    """The 1-D kernels, one per axis, whose product is the smoothing kernel of the pyramid.

    'gaussian' is isotropic. 'eoir' is what the published EOIR code computes in 3-D: through a slip in its coordinate
    grid, ``sigma`` along the first axis, a flat box along the second, ``sigma/sqrt(2)`` along the third.

    Example:
        >>> [len(taps) for taps in smoothing_taps('gaussian', 3)]
        [5, 5, 5]
    """
    if kernel not in KERNELS[:2]:
        raise InputError(f'kernel is {kernel!r}, expected one of {KERNELS[:2]}.')
    line = _gaussian(sigma, size)
    if kernel == 'gaussian':
        return [line] * ndim
    if ndim != 3:
        raise InputError(f"kernel 'eoir' is defined for 3-D volumes, found {ndim} spatial axes.")
    return [line, [1 / size] * size, _gaussian(sigma / math.sqrt(2), size)]


def _gaussian(sigma: float, size: int) -> list[float]:
    return list(_gaussian_once(sigma, size))


@lru_cache(maxsize=64)
def _gaussian_once(sigma: float, size: int) -> tuple[float, ...]:
    return tuple(gaussian_kernel(sigma, size).double().tolist())


def average_down(image: Tensor, factors: float | Sequence[float] = 2) -> Tensor:
    """Means of 3 voxels per axis around every ``factor``-th voxel; what lies outside does not count.

    Args:
        image: ``(N, C, *spatial)`` floating point.
        factors: by how much each axis shrinks, one integer or one per axis; an axis with factor 1 is left alone.

    Returns:
        ``(N, C, *smaller)``, ``ceil(n / factor)`` voxels per axis; voxel j stands at voxel ``factor * j``.

    Raises:
        InputError: factors that are no whole numbers of at least 1.

    Source: the image pyramid of LapIRN, SYMNet's relatives and C2FViT; golden baselines/lapirn_* ``lvl1_fixed``.

    Example:
        >>> import torch
        >>> average_down(torch.ones(1, 1, 8, 8)).shape
        torch.Size([1, 1, 4, 4])
    """
    ndim = spatial_ndim(image, 'image')
    steps = _whole_factors(factors, ndim)
    if all(f == 1 for f in steps):
        return image
    kernel = [3 if f > 1 else 1 for f in steps]
    return _POOLS[ndim](image, kernel, steps, [k // 2 for k in kernel], count_include_pad=False)


def _whole_factors(factors: float | Sequence[float], ndim: int) -> list[int]:
    steps = per_axis(factors, ndim, 'factors')
    if any(f != int(f) or f < 1 for f in steps):
        raise InputError(f'factors is {factors}, expected whole numbers of at least 1.')
    return [int(f) for f in steps]


def block_means(image: Tensor, factors: float | Sequence[float] = 2, partial: bool = True) -> Tensor:
    """Means of blocks of ``factors`` voxels side by side.

    Args:
        image: ``(N, C, *spatial)`` floating point.
        factors: by how much each axis shrinks, one integer or one per axis.
        partial: what is left of an axis after the last whole block makes a smaller block; otherwise it is dropped.

    Returns:
        ``(N, C, *smaller)``, ``ceil(n / factor)`` voxels per axis, ``floor`` without ``partial``.

    Raises:
        InputError: factors that are no whole numbers of at least 1.

    Source: the images and added inputs of GradICON's networks; golden baselines/unigradicon.

    Example:
        >>> import torch
        >>> block_means(torch.arange(4.0).view(1, 1, 4)).tolist()
        [[[0.5, 2.5]]]
    """
    ndim = spatial_ndim(image, 'image')
    kernel = _whole_factors(factors, ndim)
    if partial:
        kernel = [min(f, n) for f, n in zip(kernel, image.shape[2:])]
    return _POOLS[ndim](image, kernel, kernel, ceil_mode=partial)


#: Kernels that are one step from level to level.
_DOWN: dict[str, Callable[..., Tensor]] = {
    'average': average_down,
    'block': bind(block_means, partial=False),
    'block_partial': block_means,
}


def image_pyramid(
    image: Tensor,
    levels: int,
    kernel: str = 'gaussian',
    factors: float | Sequence[float] = 2,
    *,
    sigma: float = 1.0,
    size: int = 5,
) -> list[Tensor]:
    """Smooth and halve repeatedly: level 0 is the image, each next level the previous one smoothed and resized.

    Args:
        image: ``(N, C, *spatial)``; also one-hot labels, per channel.
        levels: number of levels, including the image itself.
        kernel: 'gaussian', 'eoir' for the published anisotropic kernel (see :func:`smoothing_taps`), 'average' for
            :func:`average_down` at every level (LapIRN), 'block' for means of blocks of ``factors`` voxels, or
            'block_partial', the same without dropping the rest of an axis (GradICON): :func:`block_means`.
        factors: by how much each axis shrinks per level, one number or one per axis. An axis with factor 1 is
            neither resized nor smoothed: ``(2, 2, 1)`` treats a volume slice by slice.
        sigma: of the kernel, voxels of the finer level.
        size: taps of the kernel per axis.

    Returns:
        ``levels`` tensors, finest first.

    Raises:
        InputError: unknown kernel, levels below 1, factors below 1 or of the wrong number.

    Source: EOIR (arXiv 2509.00451), loss pyramid; golden eoir/ops ``pyramid_*``, ``gaussian_kernel``.

    Example:
        >>> import torch
        >>> [tuple(level.shape[2:]) for level in image_pyramid(torch.rand(1, 1, 32, 16), 3)]
        [(32, 16), (16, 8), (8, 4)]
    """
    ndim = spatial_ndim(image, 'image')
    shrink = per_axis(factors, ndim, 'factors')
    if levels < 1 or min(shrink) < 1:
        raise InputError(f'the pyramid got levels={levels} and factors={factors}, expected both to be at least 1.')
    if kernel not in KERNELS:
        raise InputError(f'kernel is {kernel!r}, expected one of {KERNELS}.')
    pyramid = [image]
    if kernel in _DOWN:
        for _ in range(levels - 1):
            pyramid.append(_DOWN[kernel](pyramid[-1], shrink))
        return pyramid
    taps = smoothing_taps(kernel, ndim, sigma, size)
    taps = [line if f != 1 else [1.0] for line, f in zip(taps, shrink)]
    for _ in range(levels - 1):
        smooth = separable_filter(pyramid[-1], taps)
        pyramid.append(resize(smooth, scale=[1 / f for f in shrink]))
    return pyramid
