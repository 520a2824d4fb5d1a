"""The start that wins: every candidate is climbed from at the coarsest level, the best place is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .images import Level
from .objective import Objective
from .optimise import climb
from .parameters import translation_matrix
from .result import AffineStage
from .search import angle_between, search_starts
from .settings import AffineSettings
from .start import Body, Start, axis_starts, find_body, simple_starts

#: Iterations of the climb from each candidate, and how many candidates of each kind are climbed from.
_STEPS, _FEW, _MANY = 12, 3, 6
#: Candidates closer than this (degrees) climb the same hill.
_SAME_HILL = 35.0
#: Automatic search: rotations are followed up whose score, before any climb, is at least this share of the best found.
_PROMISING = 0.5
#: The headers are left for a start only if its score is better by this share.
_MARGIN = 0.02


@dataclass(frozen=True, eq=False)
class Candidate:
    """A start and where it led.

    Attributes:
        name: of the start.
        matrix: fixed world -> moving world.
        before: score of the start.
        after: score of the matrix.
    """

    name: str
    matrix: np.ndarray
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class Choice:
    """The start to continue from, and what was tried."""

    best: Candidate
    stages: list[AffineStage]
    searched: bool


def merit(objective: Objective, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Similarity times overlap, ``(B,)``: a map that moves the images apart gathers little."""
    similarity, overlap = objective.score(np.stack(matrices))
    return similarity * overlap


def choose_start(
    fixed: Level,
    moving: Level,
    objective: Objective,
    settings: AffineSettings,
    initial: np.ndarray | None,
    flat: np.ndarray | None,
) -> Choice:
    """Try the starts that ``settings.search`` names at one level.

    Args:
        fixed: coarse level.
        moving: coarse level.
        objective: similarity there.
        settings: see there.
        initial: given matrix; it takes the place of the headers.
        flat: directions without extent.
    """
    first = Start('headers', np.eye(len(fixed.size) + 1)) if initial is None else Start('given', initial)
    trial = _Trial(objective, settings, flat)
    mode = 'none' if initial is not None and settings.search == 'auto' else settings.search
    if mode == 'none':
        value = float(merit(objective, [first.matrix])[0])
        return Choice(Candidate(first.name, first.matrix, value, value), [], False)
    bodies = find_body(fixed), find_body(moving)
    trial.follow([first])
    for start in trial.most_promising(_simple(*bodies, flat), _FEW):
        if trial.leads_elsewhere(start):
            trial.follow([start])
    if flat is None:
        axes = axis_starts(*bodies)
        if settings.reflections:
            axes += axis_starts(*bodies, mirrored=True)
        trial.follow(trial.most_promising(axes, _FEW, apart=_SAME_HILL))
    searched = mode != 'moments' and flat is None
    if searched:
        around = search_starts(*bodies, mirrored=settings.reflections)
        least = -np.inf if mode == 'coarse' else _PROMISING * trial.best().after
        trial.follow(trial.most_promising(around, _MANY, least, apart=_SAME_HILL))
    return Choice(trial.best(), trial.stages(), searched)


def _simple(fixed: Body, moving: Body, flat: np.ndarray | None) -> list[Start]:
    starts = simple_starts(fixed, moving)[1:]
    if flat is None:
        return starts
    # Along directions without extent the headers are all there is to know.
    keep = np.eye(len(fixed.middle)) - flat @ flat.T
    return [Start(s.name, translation_matrix(keep @ s.matrix[:-1, -1])) for s in starts]


class _Trial:
    """Candidates so far, the first being the headers or the given matrix."""

    def __init__(self, objective: Objective, settings: AffineSettings, flat: np.ndarray | None):
        self.objective, self.settings, self.flat = objective, settings, flat
        self.tried: list[Candidate] = []

    def follow(self, starts: Sequence[Start]) -> None:
        """Climb from each and remember where it led."""
        transform = 'translation' if self.settings.transform == 'translation' else 'rigid'
        tolerance = 0.05 * self.objective.spacing
        for start in starts:
            top = climb(self.objective, start.matrix, transform, _STEPS, tolerance, self.flat)
            before, after = merit(self.objective, [start.matrix, top.matrix])
            self.tried.append(Candidate(start.name, top.matrix, float(before), float(after)))

    def most_promising(
        self, starts: Sequence[Start], count: int, least: float = -np.inf, apart: float | None = None
    ) -> list[Start]:
        """The best by score, at least ``least``; with ``apart``, turned that far from each other and from the tried."""
        scores = merit(self.objective, [start.matrix for start in starts])
        known = [candidate.matrix for candidate in self.tried]
        chosen: list[Start] = []
        for i in np.argsort(-scores, kind='stable'):
            if len(chosen) == count or scores[i] < least:
                break
            matrix = starts[i].matrix
            if apart is None or all(angle_between(matrix, other) > apart for other in known):
                chosen.append(starts[i])
                known.append(matrix)
        return chosen

    def leads_elsewhere(self, start: Start) -> bool:
        """Whether the start is far from every place that was reached: not within two voxels in the mean."""
        points = self.objective.points
        mapped = [points.mapped(m) for m in (start.matrix, *(c.matrix for c in self.tried))]
        return all(
            np.linalg.norm(mapped[0] - other, axis=0).mean() > 2 * self.objective.spacing for other in mapped[1:]
        )

    def best(self) -> Candidate:
        """The best place, with a little preference for the headers."""
        first = self.tried[0]
        best = max(self.tried, key=lambda candidate: candidate.after)
        return best if best.after > first.after + _MARGIN * abs(first.after) else first

    def stages(self) -> list[AffineStage]:
        level, spacing = self.objective.index, self.objective.spacing
        return [AffineStage(f'start: {c.name}', level, spacing, c.before, c.after, _STEPS) for c in self.tried]
