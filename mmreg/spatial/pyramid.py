"""The image pyramid on which multi-level losses are evaluated."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from mmreg.errors import InputError
from mmreg.spatial._checks import per_axis, spatial_ndim
from mmreg.spatial.filters import gaussian_kernel, separable_filter
from mmreg.spatial.resample import resize

KERNELS = ('gaussian', 'eoir')


def smoothing_taps(kernel: str, ndim: int, sigma: float = 1.0, size: int = 5) -> list[list[float]]:
    """The 1-D kernels, one per axis, whose product is the smoothing kernel of the pyramid.

    'gaussian' is isotropic. 'eoir' is what the published EOIR code computes in 3-D: through a slip in its coordinate
    grid, ``sigma`` along the first axis, a flat box along the second, ``sigma/sqrt(2)`` along the third.
    """
    if kernel not in KERNELS:
        raise InputError(f'kernel is {kernel!r}, expected one of {KERNELS}.')
    line = gaussian_kernel(sigma, size).double().tolist()
    if kernel == 'gaussian':
        return [line] * ndim
    if ndim != 3:
        raise InputError(f"kernel 'eoir' is defined for 3-D volumes, found {ndim} spatial axes.")
    return [line, [1 / size] * size, gaussian_kernel(sigma / math.sqrt(2), size).double().tolist()]


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
        kernel: 'gaussian', or 'eoir' for the published anisotropic kernel (see :func:`smoothing_taps`).
        factors: by how much each axis shrinks per level, one number or one per axis. An axis with factor 1 is
            neither resized nor smoothed: ``(2, 2, 1)`` treats a volume slice by slice.
        sigma: of the kernel, voxels of the finer level.
        size: taps of the kernel per axis.

    Returns:
        ``levels`` tensors, finest first.

    Raises:
        InputError: unknown kernel, levels below 1, factors below 1 or of the wrong number.

    Source: EOIR (arXiv 2509.00451), loss pyramid; golden eoir/ops ``pyramid_*``, ``gaussian_kernel``.
    """
    ndim = spatial_ndim(image, 'image')
    shrink = per_axis(factors, ndim, 'factors')
    if levels < 1 or min(shrink) < 1:
        raise InputError(f'the pyramid got levels={levels} and factors={factors}, expected both to be at least 1.')
    taps = smoothing_taps(kernel, ndim, sigma, size)
    taps = [line if f != 1 else [1.0] for line, f in zip(taps, shrink)]
    pyramid = [image]
    for _ in range(levels - 1):
        smooth = separable_filter(pyramid[-1], taps)
        pyramid.append(resize(smooth, scale=[1 / f for f in shrink]))
    return pyramid
