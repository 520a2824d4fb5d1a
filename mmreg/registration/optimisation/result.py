"""What the optimisation hands its progress callback while it runs, and returns when it is done."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from mmreg.spatial import Residual

#: One point of a convergence curve: level (0 is the coarsest that ran), iteration within it, value.
Point = tuple[int, int, float]


@dataclass(frozen=True)
class Progress:
    """One iteration.

    Attributes:
        level, levels: Which of how many levels, 0 is the coarsest.
        iteration, iterations: Within the level, from 0.
        losses: Value of every term, plain, and their weighted sum as ``'loss'``.
        rate: Longest increment of this iteration, voxels of the field's grid.
        spacing: Of the level's images, mm.
    """

    level: int
    levels: int
    iteration: int
    iterations: int
    losses: dict[str, float]
    rate: float
    spacing: tuple[float, ...]


@dataclass
class Optimised:
    """The result for a batch of pairs.

    Attributes:
        displacement: ``(N, ndim, *S)``, voxels of the working grid, pull-back.
        inverse_displacement: The same for moving -> fixed; None where it was not asked for.
        residual: How well it inverts, voxels; None without it.
        curves: Name of a term -> its values over all iterations; ``'loss'`` is the weighted sum.
        seconds: Wall-clock time, ``'total'``, one entry per level, and ``'inverse'``.
        likeness: Per level that asks for it, how alike the images of each pair were at its start, 0 to 1.
        noise: Standard deviation of the noise of each pair, both images together, as a share of their range.
        widening: Per level how many times as wide as without noise the Gaussians had to be for each pair.
        folds: Fraction of voxels with a Jacobian determinant of 0 or less, per pair.
        blurred: Of each pair the standard deviations by which ``fixed`` or ``moving`` was blurred on the finest level
            to be as sharp as the other, voxels along each axis; None where none was; empty where it was not asked.
        taken_back: Per pair the levels that its own loss called worse than where they began.
    """

    displacement: Tensor
    inverse_displacement: Tensor | None = None
    residual: Residual | None = None
    curves: dict[str, list[Point]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    likeness: list[list[float]] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    widening: list[list[float]] = field(default_factory=list)
    folds: list[float] = field(default_factory=list)
    blurred: list[dict[str, list[float]] | None] = field(default_factory=list)
    taken_back: list[list[int]] = field(default_factory=list)
