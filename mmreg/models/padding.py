"""Padding to the sizes a network accepts, and back."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def padding_to(size: Sequence[int], divisor: Sequence[int], min_size: Sequence[int]) -> list[tuple[int, int]]:
    """Voxels to add before and after each axis so that the size is valid; symmetric, the odd one goes behind."""
    widths = []
    for n, multiple, least in zip(size, divisor, min_size):
        target = -(-max(n, least) // multiple) * multiple
        widths.append(((target - n) // 2, target - n - (target - n) // 2))
    return widths


def pad(image: Tensor, widths: Sequence[tuple[int, int]]) -> Tensor:
    """``(N, C, *spatial)`` with zeros added before and after each axis."""
    if not any(before or after for before, after in widths):
        return image
    flat = [width for pair in reversed(list(widths)) for width in pair]
    return F.pad(image, flat)


def crop(image: Tensor, widths: Sequence[tuple[int, int]]) -> Tensor:
    """Undo :func:`pad` on ``(N, C, *spatial)``."""
    if not any(before or after for before, after in widths):
        return image
    sizes = image.shape[2:]
    window = (slice(None), slice(None), *(slice(b, n - a) for n, (b, a) in zip(sizes, widths)))
    return image[window]
