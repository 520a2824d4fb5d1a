"""Points of the fixed image at which an affine registration compares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmreg.errors import DataError
from mmreg.spatial import apply_affine, identity_grid, sample

from .images import AffineLevel

#: Blocks with less than this share of the mean variance tell nothing about position.
_FLAT = 0.05
#: A voxel of a small image is drawn at most so often.
_REPEATS = 4


@dataclass(frozen=True, eq=False)
class SampledPoints:
    """Places and intensities of the fixed image.

    Attributes:
        world: ``(ndim+1, P)`` float32 mm about ``centre`` and a row of ones; the points of a block follow one another.
        values: ``(C, P)`` intensities.
        weights: ``(P,)`` from the mask, or ones.
        centre: ``(ndim,)`` float64 world mm.
        block: points per block; ``P`` where they are one.
    """

    world: Tensor
    values: Tensor
    weights: Tensor
    centre: np.ndarray
    block: int

    @property
    def count(self) -> int:
        """Number of points."""
        return self.world.shape[1]

    def distance(self, first: np.ndarray, second: np.ndarray) -> float:
        """Mean distance in mm between the points after two maps, over a few hundred of them."""
        step = max(1, self.count // 300)
        world = self.world[:-1, ::step].double().cpu().numpy() + self.centre[:, None]
        change = np.asarray(first) - np.asarray(second)
        return float(np.linalg.norm(change[:-1, :-1] @ world + change[:-1, -1:], axis=0).mean())

    @property
    def radius(self) -> float:
        """Root mean square distance from the centre, mm."""
        return max(float(self.world[:-1].double().square().sum(0).mean().sqrt()), 1e-6)


def scattered_points(level: AffineLevel, count: int, seed: int) -> SampledPoints:
    """Voxels drawn at random (a small image several times), each moved at random within its voxel.

    The random part keeps points off the moving image's grid: a joint histogram of two equal grids has false optima
    at whole voxels.
    """
    generator = torch.Generator().manual_seed(seed)
    inside = _inside(level)
    turns = min(_REPEATS, -(-count // len(inside)))
    order = torch.cat([torch.randperm(len(inside), generator=generator) for _ in range(turns)])
    chosen = inside[order[:count].sort().values]
    voxels = chosen + torch.rand(chosen.shape, generator=generator, dtype=torch.float32) - 0.5
    return _points(level, voxels, block=len(voxels))


def block_points(level: AffineLevel, count: int, seed: int, window: int) -> SampledPoints:
    """Small blocks of neighbouring voxels at random places; blocks without structure are passed over."""
    generator = torch.Generator().manual_seed(seed)
    edges = [min(window, n) for n in level.size]
    offsets = identity_grid(edges).flatten(1).T - torch.tensor([(e - 1) / 2 for e in edges])
    inside = _inside(level)
    wanted = max(1, count // len(offsets))
    order = torch.randint(len(inside), (3 * wanted,), generator=generator)
    shift = torch.rand((len(order), offsets.shape[1]), generator=generator) - 0.5
    middle = (offsets.amax(0), torch.tensor(level.size) - 1 - offsets.amax(0))
    centres = torch.clamp(inside[order] + shift, *middle)
    points = _points(level, (centres[:, None] + offsets).flatten(0, 1), block=len(offsets))
    variance = points.values.view(points.values.shape[0], -1, points.block).var(2, unbiased=False).mean(0)
    kept = (variance > _FLAT * variance.mean()).nonzero()[:wanted, 0]
    return _subset(points, kept)


def _subset(points: SampledPoints, blocks: Tensor) -> SampledPoints:
    def of(tensor: Tensor) -> Tensor:
        return tensor.unflatten(-1, (-1, points.block))[..., blocks, :].flatten(-2)

    return SampledPoints(of(points.world), of(points.values), of(points.weights), points.centre, points.block)


def _inside(level: AffineLevel) -> Tensor:
    """``(V, ndim)`` voxels that count, on the CPU (random numbers are the same on every device)."""
    if level.weight is None:
        return identity_grid(level.size).flatten(1).T
    inside = (level.weight[0, 0].cpu() >= 0.5).nonzero().float()
    if not len(inside):
        inside = (level.weight[0, 0].cpu() > 0).nonzero().float()
    if not len(inside):
        raise DataError('fixed_mask: found no voxel above zero, expected a mask of what the similarity looks at')
    return inside


def _points(level: AffineLevel, voxels: Tensor, block: int) -> SampledPoints:
    device = level.image.device
    limit = torch.tensor(level.size) - 1.0
    voxels = torch.clamp(voxels, torch.zeros_like(limit), limit).to(device)
    world = apply_affine(torch.from_numpy(level.affine).to(device), voxels.double())
    centre = world.mean(0)
    values = sample(level.image, voxels[None], padding='border')[0]
    weights = torch.ones_like(values[0])
    if level.weight is not None:
        weights = sample(level.weight, voxels[None], padding='border')[0, 0]
    rows = torch.cat([(world - centre).T, torch.ones_like(world[:1, :1]).expand(1, len(world))])
    return SampledPoints(rows.float(), values, weights, centre.cpu().numpy(), block)
