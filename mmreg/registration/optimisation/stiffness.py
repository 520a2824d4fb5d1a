"""Regularisation by smoothing, and how much of it: more where two images are already alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from mmreg.spatial import box_sum, gaussian_filter

from .levels import Stage

Smoother = Callable[[Tensor], Tensor]
#: Radius of the Gaussians in standard deviations.
TRUNCATE = 3.0

#: Two images are alike from this mean squared local correlation on. Scans of one person in one contrast reach 0.8 and
#: more on coarse levels, those of two persons about 0.5.
ALIKE = 0.7
#: Window of that correlation, voxels of the level.
_WINDOW = 5
#: Variance, on intensities in [0, 1], below which a window shows nothing.
_NOISE = 1e-4


def likeness(warped: Tensor, fixed: Tensor, mask: Tensor | None) -> list[float]:
    """Squared local correlation of each pair, mean over places weighted by what the fixed image shows there.

    Args:
        warped: ``(N, C, *S)``.
        fixed: The same shape.
        mask: ``(N, 1, *S)`` zeros and ones: what both images show.
    """
    inside = torch.ones_like(fixed[:, :1]) if mask is None else mask
    count = box_sum(inside, _WINDOW).clamp(min=1)

    def mean(values: Tensor) -> Tensor:
        return box_sum(values * inside, _WINDOW) / count

    first, second = mean(warped), mean(fixed)
    cross = mean(warped * fixed) - first * second
    own = (mean(warped.square()) - first.square()).clamp(min=0)
    seen = (mean(fixed.square()) - second.square()).clamp(min=0)
    weight = seen.sqrt() * inside
    squared = cross.square() / ((own + _NOISE) * (seen + _NOISE))
    return [float(s.sum() / w.sum().clamp(min=1e-9)) for s, w in zip(squared * weight, weight)]


def lengths_of_field(stage: Stage, alike: Sequence[bool]) -> list[float]:
    """``smooth_alike`` for pairs that are alike, see :func:`likeness`, else ``smooth_field``."""
    level = stage.level
    return [level.smooth_alike if yes and level.smooth_alike is not None else level.smooth_field for yes in alike]


def make_smoother(stage: Stage, lengths: Sequence[float], padding: str = 'zeros') -> Smoother | None:
    """The Gaussian on fields ``(N, ndim, *S)`` of a level, pair by pair where they differ; None: no smoothing.

    Args:
        stage: The level.
        lengths: Standard deviation for each pair, in finest voxel sizes of the level's field.
        padding: What lies outside: ``'zeros'`` or ``'border'``.
    """

    def gaussian(length: float) -> Smoother:
        return partial(gaussian_filter, sigma=stage.sigma(length), truncate=TRUNCATE, padding=padding)

    if not any(lengths):
        return None
    if len(set(lengths)) == 1:
        return gaussian(lengths[0])

    def each(field: Tensor) -> Tensor:
        parts = zip(field.split(1), lengths)
        return torch.cat([gaussian(length)(part) if length else part for part, length in parts])

    return each
