"""What an affine registration returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class AffineStage:
    """One step: a start, the search, or the optimisation of one kind of transform at one level.

    Attributes:
        name: such as ``'start: centre of mass'`` or ``'rigid'``.
        level: 0 is the finest.
        spacing: working spacing in mm.
        before: similarity at the begin of the step, higher is better.
        after: and at its end.
        iterations: of the optimiser.
    """

    name: str
    level: int
    spacing: float
    before: float
    after: float
    iterations: int = 0


@dataclass(frozen=True, eq=False)
class AffineResult:
    """An affine map and how it was found.

    Attributes:
        matrix: ``(ndim+1, ndim+1)`` float64, fixed world -> moving world, RAS+ mm.
        start: name of the start that won.
        similarity: its name; its numbers (times the overlap) are such that higher is better.
        before: similarity of the headers alone (or of the given matrix) at the finest level.
        after: similarity of ``matrix`` there.
        overlap: share of the compared points inside the other image.
        stages: what was done, in order.
        curves: per stage ``'<name> <level>'``, the similarity after each iteration.
        warnings: sentences for the user.
        seconds: wall time.
        points: whose points were compared, ``'fixed'``, or ``'moving'`` where that image shows much less.
    """

    matrix: np.ndarray
    start: str
    similarity: str
    before: float
    after: float
    overlap: float
    stages: tuple[AffineStage, ...] = ()
    curves: dict[str, list[float]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    points: str = 'fixed'

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.matrix) - 1

    @property
    def scales(self) -> tuple[float, ...]:
        """Stretch factors: the singular values of the linear part, largest first."""
        return stretches(self.matrix)


def stretches(matrix: np.ndarray) -> tuple[float, ...]:
    """Singular values of the linear part of a homogeneous matrix, largest first."""
    linear = np.asarray(matrix)[:-1, :-1]
    return tuple(float(s) for s in np.linalg.svd(linear, compute_uv=False))
