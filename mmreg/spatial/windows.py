"""Weighted sums over a window around every voxel, zeros outside: box, triangular and Gaussian windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mmreg.errors import ConfigError, InputError

from ._checks import per_axis
from .box import box_sum
from .filters import separable_filter

#: ``'box_cubed'`` is a box that counts ``window^3`` voxels also where it has fewer axes, as LKU-Net's 2-D code does.
KERNELS = ('box', 'box_cubed', 'triangular', 'gaussian', 'gaussian_tail')


@dataclass(frozen=True)
class Window:
    """One window, ready for images of ``len(sizes)`` axes.

    Attributes:
        sizes: voxels per axis.
        taps: the 1-D weights per axis, None for a box.
        volume: sum of all weights (the number of voxels of a box), the ``n`` of the moments.
    """

    sizes: tuple[int, ...]
    taps: tuple[tuple[float, ...], ...] | None
    volume: float

    def sum(self, x: Tensor) -> Tensor:
        """Weighted window sums of ``x`` ``(N, C, *spatial)``; linear."""
        return box_sum(x, self.sizes) if self.taps is None else separable_filter(x, self.taps)

    def adjoint(self, x: Tensor) -> Tensor:
        """The transpose of :meth:`sum`, ``(N, C, *spatial)``; the same for windows that are symmetric."""
        return box_sum(x, self.sizes) if self.taps is None else separable_filter(x, [t[::-1] for t in self.taps])


def build_window(window: int | Sequence[int], kernel: str, sigma: float | Sequence[float] | None, ndim: int) -> Window:
    """The window for images with ``ndim`` spatial axes; arguments as in :func:`~mmreg.spatial.local_ncc`.

    Example:
        >>> build_window(3, 'box', None, 2)
        Window(sizes=(3, 3), taps=None, volume=9.0)
    """
    if sigma is not None:
        sigmas = per_axis(sigma, ndim, 'sigma')
        taps = tuple(_normalised_gaussian(s) for s in sigmas)
        return Window(tuple(len(t) for t in taps), taps, 1.0)
    sizes = tuple(int(w) for w in per_axis(window, ndim, 'window'))
    if kernel == 'box':
        return Window(sizes, None, float(math.prod(sizes)))
    if kernel == 'box_cubed':
        return Window(sizes, None, float(sizes[0] ** 3))
    line = {'triangular': _triangular, 'gaussian': _gaussian, 'gaussian_tail': _gaussian_tail}[kernel]
    taps = tuple(line(size) for size in sizes)
    return Window(sizes, taps, math.prod(sum(t) for t in taps))


def same_length(window: int | Sequence[int], spacing: Sequence[float]) -> tuple[int, ...]:
    """Odd windows per axis that cover no more millimetres than ``window`` voxels of the smallest ``spacing``.

    Example:
        >>> same_length(9, (1.0, 1.0, 5.0))
        (9, 9, 1)
    """
    assert isinstance(window, int)
    if not all(0 < step < math.inf for step in spacing):
        raise InputError(f'the voxel size is {tuple(spacing)}, expected positive lengths.')
    finest = min(spacing)
    return tuple(max(1, 2 * int((window * finest / step - 1 + 1e-6) // 2) + 1) for step in spacing)


def check_window(window: int | Sequence[int], kernel: str, sigma: float | Sequence[float] | None) -> None:
    """Refuse an impossible window when the loss is built.

    Example:
        >>> check_window(4, 'box', None)
        Traceback (most recent call last):
        mmreg.errors.ConfigError: window=4, expected odd positive integers.
    """
    sizes = window if isinstance(window, Sequence) else (window,)
    if not all(isinstance(w, (int, float)) and w >= 1 and w % 2 == 1 for w in sizes):
        raise ConfigError(f'window={window!r}, expected odd positive integers.')
    if kernel not in KERNELS:
        raise ConfigError(f'kernel={kernel!r}, expected one of {KERNELS}.')
    if kernel == 'box_cubed' and isinstance(window, Sequence):
        raise ConfigError(f"window={window!r} with kernel='box_cubed', expected one number.")
    if sigma is not None and kernel != 'gaussian':
        raise ConfigError(f"sigma={sigma!r} with kernel={kernel!r}, expected kernel='gaussian'.")


def _triangular(size: int) -> tuple[float, ...]:
    """A box convolved with itself, cut or filled with zeros to ``size`` taps (MONAI's triangular window)."""
    side = (size + 1) // 2
    side -= side % 2 == 0
    return tuple(max(0, side - abs(k)) / side**2 for k in range(-(size // 2), size // 2 + 1))


def _gaussian(size: int) -> tuple[float, ...]:
    """Standard deviation a third of the window, largest weight 1 (MONAI's Gaussian window)."""
    return tuple(math.exp(-0.5 * (3 * k / size) ** 2) for k in range(-(size // 2), size // 2 + 1))


def _gaussian_tail(size: int) -> tuple[float, ...]:
    """The first ``size`` taps of a longer Gaussian, which older MONAI returned: its tail, not its middle."""
    sigma = size / 3
    half = int(sigma * (size // 2) + 0.5)
    return tuple(math.exp(-0.5 * ((k - half) / sigma) ** 2) for k in range(size))


def _normalised_gaussian(sigma: float) -> tuple[float, ...]:
    """``4 sigma + 1`` taps with sum 1 (GradICON)."""
    half = int(2 * sigma)
    taps = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-half, half + 1)]
    return tuple(t / sum(taps) for t in taps)
