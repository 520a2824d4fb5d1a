"""Images of brains of any contrast with the share of each tissue in every voxel, for networks that name tissues.

The membership of every voxel is soft from the beginning: it is read from the packaged tissue maps at the deformed
places, given folds, and sharpened by chance, so that an image has partial volumes and its truth knows them.
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

from mmreg.datasets.anatomies import (
    INNER_FLUID,
    INNER_GREY,
    MARROW,
    OUTER_FLUID,
    OUTER_GREY,
    SCALP,
    WHITE,
    brain_regions,
    parcels,
)
from mmreg.datasets.image_synthesis import Appearance, cropped, degraded
from mmreg.datasets.synthesis import smooth_noise
from mmreg.spatial import sample

from .folds import Folds, folded

#: What a network is to name: background with all coverings, fluid, outer grey, white and inner grey matter.
CLASSES = ('background', 'fluid', 'outer grey matter', 'white matter', 'inner grey matter')
_REGIONS = 8
_OF_CLASS = ((0, MARROW, SCALP), (INNER_FLUID, OUTER_FLUID), (OUTER_GREY,), (WHITE,), (INNER_GREY,))
#: Width of the borders between coverings, mm.
_SOFT = 0.6


@dataclass(frozen=True)
class Borders:
    """How tissues of one image differ from the packaged ones.

    Attributes:
        noise: Largest strength of the smooth noise that moves borders, as a share of the maps' range.
        knots: Range of its scale, mm.
        sharpness: Range of the temperature of the soft maximum over the maps; small is sharp.
    """

    noise: float = 0.35
    knots: tuple[float, float] = (4.0, 12.0)
    sharpness: tuple[float, float] = (0.03, 0.2)


@lru_cache(maxsize=1)
def packaged_maps(resolution: int, margin: int) -> Tensor:
    """``(1, 8, *spatial)``: weights of the six regions of a brain, distance from it (mm), whether there is a cortex."""
    weights, inside = brain_regions(resolution)
    widths = (margin, margin) * 3
    weights = F.pad(weights, widths)
    weights[0] = 1 - F.pad(inside, widths)
    brain = weights[0].numpy() < 0.5
    outside = ndimage.distance_transform_edt(~brain, sampling=resolution)
    distance = outside - ndimage.distance_transform_edt(brain, sampling=resolution)
    more = [torch.from_numpy(distance.astype(np.float32)), _cortex(weights, resolution)]
    return torch.cat([weights, torch.stack(more)])[None]


def _cortex(weights: Tensor, resolution: int) -> Tensor:
    """``(*spatial)`` in [0, 1]: whether outer grey matter is common around a voxel, and inner structures are not."""
    outer = ndimage.gaussian_filter(weights[OUTER_GREY].numpy(), 5 / resolution)
    inner = ndimage.gaussian_filter((weights[INNER_GREY] + weights[INNER_FLUID]).numpy(), 2 / resolution)
    return torch.from_numpy(((outer - 0.1) / 0.12).clip(0, 1) * (1 - 2.5 * inner).clip(0, 1)).float()


def source_size(resolution: int, margin: int) -> tuple[int, ...]:
    """Voxels per axis of the maps that are read."""
    return tuple(packaged_maps(resolution, margin).shape[2:])


def tissue_shares(
    rng: np.random.Generator,
    displacement: Tensor,
    affine: np.ndarray,
    borders: Borders,
    resolution: int = 1,
    margin: int = 24,
    covered: bool = True,
    folds: Folds | None = None,
) -> Tensor:
    """The share of each of the eight regions of an anatomy at ``A (x + d(x))``: ``(8, *size)``, sum 1.

    Args:
        rng: Decides everything.
        displacement: ``(3, *size)`` voxels.
        affine: ``(4, 4)``, voxels of the image to voxels of the maps.
        borders: How tissues differ.
        resolution: Voxel size of the maps, whole mm.
        margin: Voxels around the packaged brain, for coverings.
        covered: Whether marrow and scalp lie around the brain.
        folds: Of the cortex; None: as in the maps.
    """
    size = displacement.shape[1:]
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in size], indexing='ij')
    moved = torch.stack([x + d for x, d in zip(axes, displacement)], -1).reshape(1, -1, 3)
    matrix = torch.from_numpy(affine).float()
    places = moved @ matrix[:3, :3].T + matrix[:3, 3]
    found = sample(packaged_maps(resolution, margin), places, 'border')[0].view(8, *size)
    weights, distance, cortex = found[:6], found[6], found[7]
    voxel = float(np.abs(np.linalg.det(affine[:3, :3])) ** (1 / 3)) * resolution
    shares = None if folds is None else folded(rng, folds, distance, voxel)
    if shares is not None:
        cortex = cortex * (1 - weights[0])
        weights = weights * (1 - cortex)
        for region, share in zip((OUTER_FLUID, OUTER_GREY, WHITE), shares):
            weights[region] += cortex * share
    strength = rng.uniform(0.0, borders.noise)
    moved_borders = [weights[0]]
    for region in range(1, 6):
        knots = rng.uniform(*borders.knots) / voxel
        noise = strength * smooth_noise(rng, size, [knots] * 3)
        moved_borders.append(torch.addcmul(weights[region], noise, (weights[region] > 0.02).float()))
    temperature = float(np.exp(rng.uniform(*np.log(borders.sharpness))))
    shares = torch.zeros(_REGIONS, *size)
    shares[:6] = torch.softmax(torch.stack(moved_borders) / temperature, 0)
    _cover(rng, shares, distance, voxel, covered)
    return shares


def _cover(rng: np.random.Generator, shares: Tensor, distance: Tensor, voxel: float, covered: bool) -> None:
    """Divide the background's share: fluid around the brain, marrow, scalp; compact bone and air stay background."""
    size = distance.shape
    uneven = distance + rng.uniform(0.5, 2.0) * smooth_noise(rng, size, [n / 6 for n in size])
    fluid = rng.uniform(0.5, 4.0) if covered or rng.random() < 0.4 else 0.0
    edges = np.cumsum([fluid, rng.uniform(1.0, 3.0), rng.uniform(1.0, 5.0), rng.uniform(1.0, 2.5)])
    thick, soft = rng.uniform(3.0, 12.0), max(_SOFT, voxel / 3)

    def beyond(edge: float) -> Tensor:
        return torch.sigmoid((uneven - float(edge)) / soft)

    free = shares[0].clone()
    if fluid:
        shares[OUTER_FLUID] += free * (1 - beyond(edges[0]))
        shares[0] -= free * (1 - beyond(edges[0]))
    if covered:
        for region, low, high in ((MARROW, edges[1], edges[2]), (SCALP, edges[3], edges[3] + thick)):
            part = (beyond(low) - beyond(high)).clamp_min(0) * shares[0]
            shares[region] += part
            shares[0] -= part


def class_shares(shares: Tensor) -> Tensor:
    """``(8, *size)`` shares of regions to ``(5, *size)`` shares of :data:`CLASSES`."""
    return torch.stack([shares[list(regions)].sum(0) for regions in _OF_CLASS])


@dataclass(frozen=True)
class Painting:
    """How the regions of one image are painted.

    Attributes:
        apart: Least difference in brightness between fluid, grey and white matter.
        alike: How often fluid and white matter may be as bright as each other all the same.
        unlike: How often parts of a region are as unlike as the appearance's ``spread`` allows.
        bent: How often a random curve is put over all brightnesses, mixtures at borders included.
    """

    apart: float = 0.15
    alike: float = 0.15
    unlike: float = 0.3
    bent: float = 0.2


def paint_shares(
    rng: np.random.Generator, shares: Tensor, appearance: Appearance, painting: Painting
) -> tuple[Tensor, Tensor]:
    """An image ``(1, *size)`` in [0, 1], and ``(1, *size)`` bool: where it shows something.

    Args:
        rng: Decides everything.
        shares: ``(8, *size)``, see :func:`tissue_shares`.
        appearance: What the image may look like.
        painting: How its regions are painted.
    """
    size = shares.shape[1:]
    torch_rng = torch.Generator().manual_seed(int(rng.integers(2**31)))
    base = _brightness(rng, painting)
    clear = rng.random() < appearance.clear
    base[0] = 0.0 if clear else rng.uniform(0, 0.3)
    image = _patterned(rng, shares, base, appearance, painting.unlike)
    if rng.random() < painting.bent:
        image = _bent(rng, image)
    body = (shares[0] < 0.9) if clear else None
    image = degraded(rng, image, body, appearance, torch_rng)
    seen = torch.ones(size, dtype=torch.bool)
    for window in cropped(rng, size, appearance.crop):
        image[window], seen[window] = 0, False
    return image[None], seen[None]


def _brightness(rng: np.random.Generator, painting: Painting) -> np.ndarray:
    """Of every region, in [0, 1]: fluid, grey and white matter differ, inner grey matter lies between the last two."""
    alike = rng.random() < painting.alike
    while True:
        fluid, grey, white = rng.uniform(0, 1, 3)
        others = painting.apart if alike else min(abs(fluid - white), abs(fluid - grey))
        if min(abs(grey - white), others) >= painting.apart:
            break
    base = rng.uniform(0, 1, _REGIONS)
    base[[INNER_FLUID, OUTER_FLUID]] = fluid + np.array([0, rng.uniform(-0.1, 0.1)])
    base[[OUTER_GREY, WHITE]] = grey, white
    base[INNER_GREY] = grey + rng.uniform(0, 0.6) * (white - grey)
    return base.clip(0, 1)


def _patterned(
    rng: np.random.Generator, shares: Tensor, base: Sequence[float], appearance: Appearance, unlike: float
) -> Tensor:
    """Brightness of the mixture; every region has a smooth pattern, and now and then parcels of its own."""
    size = shares.shape[1:]
    spread = float(rng.uniform(0, appearance.spread))
    cells = parcels(rng, size, int(rng.integers(4, 15))) if rng.random() < unlike else None
    image = torch.zeros(size)
    for region, share in enumerate(shares):
        value = torch.full((), float(base[region]))
        if region:
            knots = [n / rng.uniform(2, 8) for n in size]
            value = value + 0.3 * spread * smooth_noise(rng, size, knots)
            if cells is not None:
                offsets = torch.from_numpy(rng.uniform(-0.5, 0.5, int(cells.max()) + 1).astype(np.float32))
                value = value + spread * offsets[cells]
        image += share * value.clamp(0, 1)
    return image


def _bent(rng: np.random.Generator, image: Tensor, knots: int = 6) -> Tensor:
    """A random curve over brightnesses in [0, 1], straight between its knots; what is 0 stays 0."""
    curve = np.linspace(0, 1, knots) + rng.uniform(0.1, 0.6) * rng.standard_normal(knots)
    curve[0] = 0
    places = image.clamp(0, 1).numpy() * (knots - 1)
    return torch.from_numpy(np.interp(places, np.arange(knots), curve.clip(0, 1.3)).astype(np.float32))
