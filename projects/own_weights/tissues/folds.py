"""A folded cortex for brains whose maps are averages of many people, in which the folds of each have been lost.

Fissures are the zero level of noise that is read at the nearest place of the brain's surface, so that they run inwards
along the normals; the cortex is what lies within its thickness of the surface or of a fissure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmreg.datasets.synthesis import smooth_noise
from mmreg.spatial import sample


@dataclass(frozen=True)
class Folds:
    """Ranges of what a cortex looks like, in mm; one draw an anatomy.

    Attributes:
        apart: Distance of the control points of the noise whose zeros are fissures.
        depth: How far fissures reach below the surface.
        width: Half of their width.
        thickness: Of the cortex.
        wobble: Largest bend of a fissure from the normal.
        often: How often an anatomy is folded; otherwise it stays as the maps have it.
    """

    apart: tuple[float, float] = (6.5, 14.0)
    depth: tuple[float, float] = (10.0, 28.0)
    width: tuple[float, float] = (0.1, 1.2)
    thickness: tuple[float, float] = (2.0, 3.6)
    wobble: float = 4.0
    often: float = 0.8


def folded(
    rng: np.random.Generator, folds: Folds, distance: Tensor, voxel: float
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Shares of fluid, cortex and white matter ``(*size)`` each, sum 1, as if all below the surface were cerebrum.

    Args:
        rng: Decides everything.
        folds: What the cortex may look like.
        distance: ``(*size)``, from the brain's surface in mm, negative inside.
        voxel: Edge of a voxel, mm.

    Returns:
        The shares; None: this anatomy stays as it is.
    """
    if rng.random() >= folds.often:
        return None
    size = distance.shape
    depth = -distance
    apart, reach = float(rng.uniform(*folds.apart)), float(rng.uniform(*folds.depth))
    fissure = torch.full(size, torch.inf)
    for finer in (1.0, rng.uniform(0.5, 0.8)):
        one = _distance_from_fissures(rng, apart * finer / voxel, folds.wobble / voxel, distance / voxel) * voxel
        deep = reach * finer**2 * (1 + 0.35 * smooth_noise(rng, size, [20 / voxel] * 3))
        fissure = torch.minimum(fissure, one + (depth - deep).clamp_min(0))
    near = torch.minimum(fissure, depth.clamp_min(0))
    width = float(rng.uniform(*folds.width)) * (1 + 0.4 * smooth_noise(rng, size, [12 / voxel] * 3)).clamp_min(0)
    thick = float(rng.uniform(*folds.thickness)) * (1 + 0.15 * smooth_noise(rng, size, [15 / voxel] * 3))
    soft = max(0.3, 0.25 * voxel)
    fluid = torch.sigmoid((torch.where(fissure < depth, width, -1.0) - near) / soft)
    below = torch.sigmoid((near - width - thick) / soft)
    return fluid, (1 - fluid - below).clamp_min(0), torch.minimum(below, 1 - fluid)


def _distance_from_fissures(rng: np.random.Generator, apart: float, wobble: float, distance: Tensor) -> Tensor:
    """``(*size)``, about: noise at the nearest place of the surface, divided by how steep it is; all in voxels."""
    size = distance.shape
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in size], indexing='ij')
    slopes = torch.stack(torch.gradient(distance))
    normal = slopes / slopes.square().sum(0).sqrt().clamp_min(1e-3)
    bend = rng.uniform(0, wobble) * torch.stack([smooth_noise(rng, size, [1.5 * apart] * 3) for _ in size])
    places = torch.stack(axes) - distance * normal + bend
    noise = smooth_noise(rng, size, [apart] * 3)
    found = sample(noise[None, None], places.reshape(1, 3, -1).mT, 'border')[0, 0].view(size)
    steep = torch.stack(torch.gradient(found)).square().sum(0).sqrt()
    return found.abs() / steep.clamp_min(float(noise.std()) / apart)
