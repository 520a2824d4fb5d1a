"""How alike two images of one grid are, told without labels and independent of what a registration minimised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mmreg.errors import DataError
from mmreg.spatial.histogram import normalised_information
from mmreg.spatial.local_ncc import LocalCorrelation
from mmreg.spatial.windows import build_window

#: Ends of the range that intensities are scaled by, percentiles.
_RANGE = (0.5, 99.5)
_BINS = 64


def local_correlation(
    first: np.ndarray,
    second: np.ndarray,
    where: np.ndarray | None = None,
    spacing: Sequence[float] | None = None,
    window: int = 9,
) -> float:
    """Mean squared local correlation of two images, 0 (no linear relation in any window) to 1.

    Args:
        first: ``(*S)`` intensities.
        second: The same shape.
        where: ``(*S)`` bool: voxels that count; all by default.
        spacing: Voxel size in mm: the window is ``window`` voxels along the finest axis and as long, in mm, along the
            others. Without it, ``window`` voxels along each.
        window: Odd number of voxels.

    Returns:
        NaN where nothing counts.

    Source: Avants et al., Med. Image Anal. 2008 (the measure).
    """
    inside = _checked(first, second, where)
    if not inside.any():
        return float('nan')
    return _local((_scaled(first, inside), _scaled(second, inside)), inside, _window(spacing, window, first.ndim))


def both_similarities(
    first: np.ndarray, second: np.ndarray, where: np.ndarray | None = None, spacing: Sequence[float] | None = None
) -> tuple[float, float]:
    """:func:`local_correlation` and :func:`mutual_information` of two images, whose ranges are looked up once.

    Args:
        first: ``(*S)`` intensities.
        second: The same shape.
        where: ``(*S)`` bool: voxels that count; all by default.
        spacing: Voxel size in mm.
    """
    inside = _checked(first, second, where)
    if not inside.any():
        return float('nan'), float('nan')
    scaled = _scaled(first, inside), _scaled(second, inside)
    return _local(scaled, inside, _window(spacing, 9, first.ndim)), _mutual(scaled, inside)


def _local(scaled: tuple[np.ndarray, np.ndarray], inside: np.ndarray, sizes: Sequence[int]) -> float:
    first, second, mask = (torch.from_numpy(x)[None, None] for x in (*scaled, inside))
    window = build_window(sizes, 'box', None, inside.ndim)
    return float(LocalCorrelation().mean(first, second, window, mask.float()))


def mutual_information(first: np.ndarray, second: np.ndarray, where: np.ndarray | None = None) -> float:
    """Normalised mutual information ``(H1 + H2) / H12 - 1`` of two images, 0 (independent) to 1 (one tells the other).

    Args:
        first: ``(*S)`` intensities.
        second: The same shape; any contrast.
        where: ``(*S)`` bool: voxels that count; all by default.

    Returns:
        NaN where nothing counts.

    Source: Studholme et al., Pattern Recognition 1999.
    """
    inside = _checked(first, second, where)
    if not inside.any():
        return float('nan')
    return _mutual((_scaled(first, inside), _scaled(second, inside)), inside)


def _mutual(scaled: tuple[np.ndarray, np.ndarray], inside: np.ndarray) -> float:
    bins = [np.minimum((image[inside] * _BINS).astype(np.int64), _BINS - 1) for image in scaled]
    joint = np.bincount(bins[0] * _BINS + bins[1], minlength=_BINS**2).reshape(1, _BINS, _BINS)
    return float(normalised_information(torch.from_numpy(joint.astype(np.float64)))[0])


def foreground_overlap(first: np.ndarray, second: np.ndarray, where: np.ndarray | None = None) -> float:
    """Dice overlap of what two images show, each brighter than a tenth of its own range; 0 to 1.

    Args:
        first: ``(*S)`` intensities.
        second: The same shape.
        where: ``(*S)`` bool: voxels that count; all by default.

    Returns:
        NaN where neither shows anything.
    """
    inside = _checked(first, second, where)
    shown = [foreground(image) & inside for image in (first, second)]
    total = int(shown[0].sum() + shown[1].sum())
    return 2.0 * int((shown[0] & shown[1]).sum()) / total if total else float('nan')


def foreground(image: np.ndarray) -> np.ndarray:
    """Where an image ``(*S)`` shows something, bool: a tenth of its range above the dark end."""
    finite = image[np.isfinite(image)]
    if not finite.size:
        return np.zeros(image.shape, bool)
    low, high = np.percentile(finite, (1, 99))
    return np.nan_to_num(image, nan=low) > low + 0.1 * (high - low) if high > low else np.isfinite(image)


def _checked(first: np.ndarray, second: np.ndarray, where: np.ndarray | None) -> np.ndarray:
    if first.shape != second.shape or (where is not None and where.shape != first.shape):
        shapes = [first.shape, second.shape] + ([] if where is None else [where.shape])
        raise DataError(f'images of shapes {shapes} cannot be compared, expected one grid.')
    finite = np.isfinite(first) & np.isfinite(second)
    return finite if where is None else finite & where


def _scaled(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Intensities in [0, 1], float32; 0 where the image holds no number."""
    low, high = np.percentile(image[inside], _RANGE)
    scaled = (np.nan_to_num(image, nan=low) - low) / max(float(high - low), 1e-12)
    return np.clip(scaled, 0.0, 1.0).astype(np.float32)


def _window(spacing: Sequence[float] | None, window: int, ndim: int) -> list[int]:
    steps = np.ones(ndim) if spacing is None else np.asarray(spacing, np.float64)
    half = np.floor((window // 2) * steps.min() / steps + 0.5).astype(int)
    return [2 * int(n) + 1 for n in half]
