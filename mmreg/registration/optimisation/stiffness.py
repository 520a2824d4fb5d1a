"""Regularisation by smoothing, and how much of it: more where two images are already alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from mmreg.spatial import box_sum, gaussian_filter

from .levels import Stage
from .rules import TRUNCATE

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


def field_smoother(stage: Stage, alike: Sequence[bool]) -> Callable[[Tensor], Tensor] | None:
    """The Gaussian on the field of a level, pair by pair where they differ; None: no smoothing.

    Args:
        stage: The level.
        alike: Which pairs are, see :func:`likeness`.
    """
    level = stage.level
    lengths = [level.smooth_alike if yes and level.smooth_alike is not None else level.smooth_field for yes in alike]
    if not any(lengths):
        return None
    if len(set(lengths)) == 1:
        return _gaussian(stage, lengths[0])

    def each(field: Tensor) -> Tensor:
        parts = zip(field.split(1), lengths)
        return torch.cat([_gaussian(stage, length)(part) if length else part for part, length in parts])

    return each


def _gaussian(stage: Stage, length: float) -> Callable[[Tensor], Tensor]:
    return partial(gaussian_filter, sigma=stage.sigma(length), truncate=TRUNCATE, padding='border')
