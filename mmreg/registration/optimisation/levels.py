"""The multi-resolution pyramid: grids of the levels, and the images on them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from mmreg.spatial import gaussian_filter, resize

from .settings import Level, Settings

#: An axis is not made shorter than this by a level: a slab of few slices is coarsened as it is in plane, since both
#: Gaussians and windows have the same length in mm along every axis, and fine slices would make them small everywhere.
SHORTEST = 2
#: Voxels that are almost as large as those of the level stay as they are.
_ALMOST = 1.25
#: In a hurry no level but the coarsest has more voxels than this.
MOST_VOXELS = 1_200_000
#: In a hurry a level moves about so many voxels, over all its iterations, but does at least this share of them.
MOST_WORK, LEAST_SHARE = 1_000_000, 0.22


@dataclass(frozen=True)
class Grid:
    """Size and voxel size in mm of a grid that spans the working grid corner to corner."""

    size: tuple[int, ...]
    spacing: tuple[float, ...]

    def coarser(self, spacing: float) -> Grid:
        """The grid with voxels of ``spacing`` mm; axes that have larger voxels, or few, stay as they are."""
        size, steps = [], []
        for n, step in zip(self.size, self.spacing):
            wanted = n if spacing < _ALMOST * step else round((n - 1) * step / spacing) + 1
            m = max(min(n, SHORTEST), min(n, wanted))
            size.append(m)
            steps.append(step * (n - 1) / (m - 1) if m > 1 else step)
        return Grid(tuple(size), tuple(steps))

    @property
    def finest(self) -> float:
        """Smallest voxel size, of axes with more than one voxel."""
        return min(step for n, step in zip(self.size, self.spacing) if n > 1)


@dataclass(frozen=True)
class Stage:
    """A level with its grids.

    Attributes:
        level: What was asked for.
        images: Grid of the images.
        field: Grid of the field.
    """

    level: Level
    images: Grid
    field: Grid

    def sigma(self, factor: float) -> list[float]:
        """A length of ``factor`` times the field's finest voxel size, in voxels per axis."""
        return [factor * self.field.finest / step for step in self.field.spacing]

    def mobility(self, metric: float) -> list[float]:
        """How readily a component moves, per axis: finest over own voxel size to the power of ``metric``."""
        return [min(1.0, self.field.finest / step) ** metric for step in self.field.spacing]


def make_stages(settings: Settings, full: Grid) -> list[Stage]:
    """The levels that run on a working grid, coarsest first."""
    stages: list[Stage] = []
    for level in settings.levels:
        step = level.spacing if level.spacing is not None else (level.scale or 1.0) * full.finest
        images = full.coarser(step)
        coarseness = max(step, images.finest) * level.field
        if stages:  # what the level before has resolved is not given up
            coarseness = min(coarseness, stages[-1].field.finest)
        stage = Stage(level, images, full.coarser(coarseness))
        if stages and (stages[-1].images, stages[-1].field) == (stage.images, stage.field):
            continue
        stages.append(stage)
    return shortened(stages) if settings.quick else stages


def shortened(stages: Sequence[Stage]) -> list[Stage]:
    """The levels of at most :data:`MOST_VOXELS` voxels, with fewer iterations where there are many voxels."""
    voxels = [math.prod(stage.images.size) for stage in stages]
    return [_shorter(s, n) for k, (s, n) in enumerate(zip(stages, voxels)) if k == 0 or n <= MOST_VOXELS]


def _shorter(stage: Stage, voxels: int) -> Stage:
    wanted = stage.level.iterations
    iterations = min(wanted, max(MOST_WORK // voxels, math.ceil(LEAST_SHARE * wanted)))
    return replace(stage, level=replace(stage.level, iterations=iterations))


def on_grid(inputs: Mapping[str, Any], full: Grid, grid: Grid) -> dict[str, Any]:
    """The tensors of ``inputs`` on a coarser grid: images smoothed first, labels to the nearest voxel."""
    if grid.size == full.size:
        return dict(inputs)
    sigma = [0.5 * b / a if b > 1.01 * a else 0.0 for a, b in zip(full.spacing, grid.spacing)]
    result: dict[str, Any] = {}
    for key, value in inputs.items():
        if key.endswith('_landmarks'):
            result[key] = [points * points.new_tensor(_ratio(full.size, grid.size)) for points in value]
        elif not isinstance(value, Tensor) or value.shape[2:] != full.size:
            result[key] = value
        elif key.endswith('_labels'):
            result[key] = resize(value.float(), size=grid.size, mode='nearest').to(value.dtype)
        elif key.endswith('_mask'):
            result[key] = resize(value.float(), size=grid.size)
        else:
            result[key] = resize(gaussian_filter(value, sigma, padding='border'), size=grid.size)
    return result


def _ratio(old: Sequence[int], new: Sequence[int]) -> list[float]:
    return [(m - 1) / (n - 1) if n > 1 else 1.0 for n, m in zip(old, new)]
