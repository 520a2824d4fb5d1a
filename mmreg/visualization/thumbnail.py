"""A small picture of one pair: fixed, warped, and where they differ, in one plane."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .figures import save_png
from .report_images import upright
from .slices import grey, intensity_range, planes_of, to_image

#: Pixels of its height, and of the longest width of one of the three parts.
HEIGHT, WIDEST = 96, 144


def thumbnail(
    fixed: Any, warped: Any, path: str | Path | None = None, spacing: Sequence[float] | None = None
) -> np.ndarray:
    """The middle slice across the last axis of both images and of their difference, beside each other.

    Args:
        fixed: ``(C, *spatial)`` or ``spatial``.
        warped: The same, on the same grid.
        path: PNG to write, atomically.
        spacing: Voxel size in mm per axis.

    Returns:
        ``(HEIGHT, width, 3)`` uint8.
    """
    ndim = np.ndim(fixed) if spacing is None else len(spacing)
    images = [to_image(image, ndim) for image in (fixed, warped)]
    plane = planes_of(images[0].shape, axes=(2,))[0]
    first, second = (grey(upright(plane.cut(image)), *intensity_range(image)) for image in images)
    steps = np.ones(ndim) if spacing is None else np.asarray(spacing, float)
    across, up = plane.in_plane
    ratio = first.shape[1] * steps[across] / (first.shape[0] * steps[up])
    size = (int(np.clip(round(HEIGHT * ratio), 1, WIDEST)), HEIGHT)
    tiles = [_resized(tile, size) for tile in (first, second, np.abs(first - second))]
    picture = np.repeat(np.concatenate(tiles, axis=1)[..., None], 3, axis=2)
    if path is not None:
        save_png(picture, path)
    return picture


def _resized(tile: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    picture = Image.fromarray((255 * tile).round().astype(np.uint8))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))
