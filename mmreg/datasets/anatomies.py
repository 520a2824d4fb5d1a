"""Label maps that images are made from: random shapes, or a brain with random tissue borders, parcels and coverings.

A :class:`LabelledAnatomy` holds two label maps of one grid: what an image gets its grey values from, and what a loss
compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from .synthesis import smooth_noise
from .templates import brain_template

#: Regions of the brain's anatomy: background, the template's four tissues, fluid near the surface, and the coverings.
BACKGROUND, INNER_FLUID, OUTER_GREY, WHITE, INNER_GREY, OUTER_FLUID, MARROW, SCALP = range(8)
#: Regions that belong to no brain from which the skull was taken away.
COVERINGS = (MARROW, SCALP)
_PARCELLED = (OUTER_GREY, WHITE, INNER_GREY)


@dataclass(frozen=True)
class LabelledAnatomy:
    """Two label maps of one grid.

    Attributes:
        parts: ``(*spatial)`` int64, 0 is background: every part has a brightness of its own.
        scored: ``(*spatial)`` int64, 0 is background: what fixed and moving labels are, consecutive values.
        region: ``(number of parts)`` int64: the region of each part, where ``BACKGROUND`` is region 0.
    """

    parts: Tensor
    scored: Tensor
    region: Tensor

    @property
    def size(self) -> tuple[int, ...]:
        """Voxels per axis."""
        return tuple(self.parts.shape)


def random_shapes(rng: np.random.Generator, size: Sequence[int], most: int = 24) -> LabelledAnatomy:
    """Smooth random regions of random number and scale; in half of the cases inside a body, background around it.

    Args:
        rng: Decides everything.
        size: Spatial size, 2-D or 3-D.
        most: Largest number of regions.
    """
    count = int(rng.integers(6, most + 1))
    knots = float(np.exp(rng.uniform(np.log(5), np.log(max(size) / 2))))
    best = torch.full(tuple(size), -np.inf)
    parts = torch.zeros(tuple(size), dtype=torch.int64)
    for part in range(1, count + 1):
        field = smooth_noise(rng, size, [knots] * len(size))
        parts = torch.where(field > best, part, parts)
        best = torch.maximum(best, field)
    if rng.random() < 0.5:
        parts = parts * (_body(rng, size) < 1)
    return LabelledAnatomy(parts, parts, torch.arange(count + 1))


def _body(rng: np.random.Generator, size: Sequence[int]) -> Tensor:
    """Below 1 inside a deformed ellipsoid."""
    axes = [(np.arange(n) - (n - 1) / 2) / (n / 2 * rng.uniform(0.55, 0.95)) for n in size]
    square = sum(a**2 for a in np.meshgrid(*axes, indexing='ij'))
    return torch.from_numpy(square.astype(np.float32)) + 0.3 * smooth_noise(rng, size, [n / 3 for n in size])


def brain_regions(resolution: int) -> tuple[Tensor, Tensor]:
    """Weights of six regions ``(6, *spatial)`` of the packaged brain, and whether a voxel is inside ``(*spatial)``."""
    template = brain_template(resolution)
    brain = ndimage.binary_fill_holes(template.image[0].numpy() > 0.1)
    inside = torch.from_numpy(brain.astype(np.float32))
    missing = (1 - template.tissues.sum(0)).clamp_min(0) * inside
    return torch.cat([(1 - inside)[None], template.tissues, missing[None]]), inside


@lru_cache(maxsize=1)
def _brain(resolution: int) -> tuple[Tensor, Tensor]:
    """Weights of six regions ``(6, *spatial)``, and the distance from the brain in mm (negative inside)."""
    weights, inside = brain_regions(resolution)
    brain = inside.numpy() > 0
    outside = ndimage.distance_transform_edt(~brain, sampling=resolution)
    distance = outside - ndimage.distance_transform_edt(brain, sampling=resolution)
    return weights, torch.from_numpy(distance.astype(np.float32))


def random_brain(rng: np.random.Generator, resolution: int = 2, most: int = 14) -> LabelledAnatomy:
    """The packaged brain with random borders between its tissues, cut into random parcels, in random coverings.

    Args:
        rng: Decides everything.
        resolution: Voxel size in whole mm.
        most: Largest number of parcels.

    Raises:
        ConfigError: nilearn is not installed.
    """
    weights, distance = _brain(resolution)
    size = tuple(distance.shape)
    region = _tissues(rng, weights, resolution)
    region[(region == BACKGROUND) & (distance < 0)] = OUTER_FLUID
    count = int(rng.integers(4, most + 1))
    parcel = parcels(rng, size, count)
    scored = torch.where(region == INNER_FLUID, 1, torch.zeros_like(region))
    for index, tissue in enumerate(_PARCELLED):
        scored = torch.where(region == tissue, 2 + index * most + parcel, scored)
    _cover(rng, region, distance)
    return LabelledAnatomy(region * most + parcel * (region > 0), scored, torch.arange(8 * most) // most)


def _tissues(rng: np.random.Generator, weights: Tensor, resolution: int) -> Tensor:
    """The most likely region at every voxel after smooth noise moved the borders inside the brain."""
    size = weights.shape[1:]
    strength = rng.uniform(0.0, 0.35)
    best, region = weights[BACKGROUND], torch.zeros(size, dtype=torch.int64)
    for tissue in (INNER_FLUID, OUTER_GREY, WHITE, INNER_GREY, OUTER_FLUID):
        knots = float(rng.uniform(5.0, 12.0)) / resolution
        noise = strength * smooth_noise(rng, size, [knots] * len(size))
        weight = torch.addcmul(weights[tissue], noise, (weights[tissue] > 0.02).float())
        region[weight > best] = tissue
        best = torch.maximum(best, weight)
    return region


def parcels(rng: np.random.Generator, size: Sequence[int], count: int) -> Tensor:
    """``(*size)`` in 0..count-1: cells around random points, with borders bent at random."""
    coarse = [max(4, n // 2) for n in size]
    axes = [torch.linspace(0, n - 1, m) for n, m in zip(size, coarse)]
    bend = [8 * smooth_noise(rng, coarse, [n / 4 for n in coarse]) for _ in size]
    place = torch.stack([a + b for a, b in zip(torch.meshgrid(*axes, indexing='ij'), bend)])
    cell, nearest = torch.zeros(*coarse, dtype=torch.int64), torch.full(tuple(coarse), np.inf)
    for index in range(count):
        centre = torch.tensor([rng.uniform(0.1, 0.9) * n for n in size]).view(-1, *[1] * len(size))
        square = (place - centre).square().sum(0)
        cell = torch.where(square < nearest, index, cell)
        nearest = torch.minimum(square, nearest)
    return F.interpolate(cell[None, None].float(), size=tuple(size), mode='nearest')[0, 0].long()


def _cover(rng: np.random.Generator, region: Tensor, distance: Tensor) -> None:
    """Add fluid, bone with marrow and scalp around the brain, in place; dark compact bone stays background."""
    size = distance.shape
    uneven = distance + rng.uniform(0.5, 2.0) * smooth_noise(rng, size, [n / 6 for n in size])
    edges = np.cumsum([rng.uniform(0.5, 4.0), rng.uniform(1.0, 3.0), rng.uniform(1.0, 5.0), rng.uniform(1.0, 2.5)])
    thick = rng.uniform(3.0, 12.0)
    outside = region == BACKGROUND
    region[outside & (uneven < edges[0])] = OUTER_FLUID
    region[outside & (uneven > edges[1]) & (uneven < edges[2])] = MARROW
    region[outside & (uneven > edges[3]) & (uneven < edges[3] + thick)] = SCALP
