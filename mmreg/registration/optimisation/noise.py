"""How much noise two images have, and how much wider Gaussians have to be because of it.

A gradient is signal and noise; the mean over a wider neighbourhood keeps the first where the motion is smooth, and
averages out the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmreg.spatial import box_sum

from .levels import Grid

#: Noise of a pair, in units of the intensity range, up to which nothing is widened. Scans without visible noise, and
#: what anatomy leaves in the second differences, stay below it.
QUIET = 0.03
#: Gaussians become at most so many times as wide.
WIDEST = 3.0
#: Median of the absolute value of a normal variable with a standard deviation of 1.
_MEDIAN = 0.6745


def noise_of(image: Tensor, mask: Tensor | None = None) -> list[float]:
    """Standard deviation of the noise of each image of a batch, as a share of its range; 0 where it cannot be told.

    The median of the second differences along all axes, one after the other: anatomy that is smooth along any of them
    leaves nothing there, and corners are few. Only what is brighter than the image's mean counts, since magnitude
    images have less noise in air. Source: Immerkaer, Computer Vision and Image Understanding 64(2), 1996, with the
    median in place of the mean.

    Args:
        image: ``(N, C, *S)``.
        mask: ``(N, 1, *S)``, where the image shows something (from 0.5 on).
    """
    shown = torch.ones_like(image[:, :1], dtype=torch.bool) if mask is None else mask >= 0.5
    differences, used = image, 0
    inside = [slice(None)] * image.dim()
    for axis in range(2, image.dim()):
        n = image.shape[axis]
        if n < 3:
            continue
        before, here, after = (differences.narrow(axis, start, n - 2) for start in range(3))
        differences = torch.sub(before, here, alpha=2).add_(after).div_(6**0.5)
        inside[axis], used = slice(1, -1), used + 1
    if used < 2:
        return [0.0] * len(image)
    # A voxel's own noise must not decide whether it counts: its neighbourhood does.
    values, shown = box_sum(image, 3)[tuple(inside)], shown[tuple(inside)]
    found = []
    for own, whole, difference, there in zip(values, image, differences, shown.expand_as(values)):
        bright = there & (own > own[there].mean())
        if bright.any():
            found.append(float(difference[bright].abs().median() / (whole.amax() - whole.amin())) / _MEDIAN)
        else:
            found.append(0.0)
    return found


def noise_of_pairs(inputs: Mapping[str, Any]) -> list[float]:
    """Noise of each pair of a batch: the root of the sum of both images' squares.

    Args:
        inputs: ``fixed``, ``moving`` ``(N, C, *S)``, and their masks ``(N, 1, *S)`` where there are any.
    """
    fixed, moving = (noise_of(inputs[role], inputs.get(f'{role}_mask')) for role in ('fixed', 'moving'))
    return [(a * a + b * b) ** 0.5 for a, b in zip(fixed, moving)]


def widening(noise: float, slope: float, full: Grid, images: Grid) -> float:
    """How many times as wide as without noise the Gaussians of a level should be for a pair, 1 to :data:`WIDEST`.

    Args:
        noise: On the working grid, as a share of the range of intensities.
        slope: Widening per unit of noise above :data:`QUIET`.
        full: The working grid.
        images: That of the level: the smoothing before it is made coarser takes noise away.
    """
    for own, coarse in zip(full.spacing, images.spacing):
        sigma = 0.5 * coarse / own
        if sigma > 0.5:  # as levels.on_grid smooths; white noise keeps this share of its standard deviation
            noise *= min(1.0, (2 * torch.pi**0.5 * sigma) ** -0.5)
    return min(WIDEST, 1 + slope * max(0.0, noise - QUIET))


def at_least(lengths: Sequence[float], least: float, factors: Sequence[float]) -> list[float]:
    """Lengths of Gaussians, one per pair, in noise (a factor above 1) not below ``least`` times the factor.

    What is stiff already stays as it is: there the noise is averaged out without more.
    """
    return [length if factor == 1 else max(length, least * factor) for length, factor in zip(lengths, factors)]
