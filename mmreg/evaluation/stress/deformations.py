"""Known deformations of chosen size: translations and stationary velocity fields.

Source: ``pyramid_designs.md`` section 9, golden ``stress_deformations``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.evaluation.functional.field_error import lengths
from mmreg.spatial import gaussian_filter, scaling_and_squaring

#: Squarings of the integration.
STEPS = 5
#: How often the velocity is rescaled towards the wanted size.
ROUNDS = 3

STATISTICS: dict[str, Callable[[Tensor], float]] = {
    'mean': lambda values: float(values.double().mean()),
    'p95': lambda values: quantile(values, 0.95),
    'max': lambda values: float(values.max()),
}


@dataclass(frozen=True)
class VelocityRecipe:
    """How a random velocity field is made.

    Attributes:
        control: Points of the lattice per axis, at least 2.
        smoothing: Sigma of the Gaussian over the lattice, in lattice points; 0 for none.
        mask_smoothing: Sigma of the Gaussian over the foreground mask that weights the field, in voxels.
        statistic: What is brought to the wanted size: ``'mean'``, ``'p95'`` or ``'max'`` of the displacement in mm.
    """

    control: int = 5
    smoothing: float = 0.0
    mask_smoothing: float = 5.0
    statistic: str = 'p95'

    def __post_init__(self) -> None:
        if self.control < 2 or self.statistic not in STATISTICS:
            raise ConfigError(
                f'control={self.control}, statistic={self.statistic!r}, '
                f'expected at least 2 control points and a statistic of {tuple(STATISTICS)}.'
            )


def translation_vectors(
    magnitudes: Sequence[float], cases: int, spacing: Sequence[float], generator: torch.Generator
) -> Tensor:
    """Translations in voxels ``(levels, cases, ndim)``: one random direction per case, the same for every magnitude.

    Args:
        magnitudes: Lengths in mm.
        cases: Number of cases.
        spacing: Voxel size in mm.
        generator: Of random numbers, on the CPU; one draw of ``(cases, ndim)``.
    """
    directions = torch.randn(cases, len(spacing), generator=generator)
    directions = directions / directions.norm(dim=1, keepdim=True)
    lengths_mm = torch.tensor(tuple(magnitudes), dtype=torch.float32).view(-1, 1, 1)
    return lengths_mm * directions / torch.tensor(tuple(spacing), dtype=torch.float32)


def velocity_fields(
    size: Sequence[int],
    spacing: Sequence[float],
    target_mm: float,
    generator: torch.Generator,
    recipe: VelocityRecipe,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """A random diffeomorphism of a given size and its inverse.

    Args:
        size: Of the grid.
        spacing: Voxel size in mm.
        target_mm: Wanted value of the recipe's statistic; 0 gives zero fields.
        generator: Of random numbers, on the CPU; one draw of ``(1, ndim, c, ...)``.
        recipe: How it is made.
        mask: ``(*size)`` foreground; the field fades out outside and the statistic is taken inside.

    Returns:
        forward and inverse displacement, ``(1, ndim, *size)`` float32 voxels.
    """
    ndim = len(size)
    control = torch.randn((1, ndim, *(recipe.control,) * ndim), generator=generator)
    if recipe.smoothing > 0:
        control = smooth(control, recipe.smoothing)
    velocity = bspline_upsample(control * envelope(recipe.control, ndim), size)
    if mask is not None:
        velocity = velocity * smooth(mask.to(velocity)[None, None], recipe.mask_smoothing)
    velocity = _calibrate(velocity, spacing, target_mm, recipe.statistic, mask)
    return scaling_and_squaring(velocity, STEPS), scaling_and_squaring(-velocity, STEPS)


def quantile(values: Tensor, share: float) -> float:
    """Quantile of ``(*S)`` with linear interpolation between neighbours, for any number of values."""
    ordered = values.flatten().sort().values
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (position - low) * (ordered[high] - ordered[low]))


def smooth(x: Tensor, sigma: float) -> Tensor:
    """Gaussian with zeros outside and radius ``max(1, round(3 sigma))``; ``(N, C, *spatial)``."""
    return gaussian_filter(x, sigma, size=2 * max(1, round(3 * sigma)) + 1)


def envelope(points: int, ndim: int) -> Tensor:
    """Weight of the control points ``(c, ...)``: the product over axes of ``0.25 + 0.75 sin(pi t)``, t from 0 to 1."""
    line = 0.25 + 0.75 * torch.sin(torch.pi * torch.linspace(0, 1, points))
    weight = line
    for _ in range(ndim - 1):
        weight = weight.unsqueeze(-1) * line
    return weight


def bspline_upsample(control: Tensor, size: Sequence[int]) -> Tensor:
    """Cubic B-spline with the coefficients ``control`` ``(N, C, c, ...)`` on a grid of ``size``, axis after axis.

    Voxel j of n sits at lattice coordinate ``j (c - 1) / (n - 1)``; lattice points outside repeat the edge.
    """
    for axis, n in enumerate(size, start=2):
        basis = _basis(control.shape[axis], n).to(control)
        control = torch.movedim(torch.tensordot(control, basis, dims=([axis], [1])), -1, axis)
    return control


def foreground_overlap(first: Tensor, second: Tensor) -> float:
    """Share of the first foreground ``(*S)`` that lies inside the second: how much a shifted pair still has in
    common.
    """
    return float((first & second).sum() / first.sum().clamp(min=1))


def _basis(points: int, n: int) -> Tensor:
    """``(n, points)`` weights of the coefficients at each voxel."""
    where = torch.arange(n, dtype=torch.float64) * ((points - 1) / max(n - 1, 1))
    first = where.floor()
    t = where - first
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    basis = torch.zeros(n, points, dtype=torch.float64)
    for offset, weight in zip((-1, 0, 1, 2), weights):
        index = (first.long() + offset).clamp(0, points - 1)
        basis.scatter_add_(1, index[:, None], weight[:, None] / 6)
    return basis


def _calibrate(
    velocity: Tensor, spacing: Sequence[float], target_mm: float, statistic: str, mask: Tensor | None
) -> Tensor:
    for _ in range(ROUNDS):
        size = lengths(scaling_and_squaring(velocity, STEPS)[0], spacing, batched=False)
        found = STATISTICS[statistic](size if mask is None else size[mask > 0])
        velocity = velocity * (target_mm / max(found, 1e-8))
    return velocity
