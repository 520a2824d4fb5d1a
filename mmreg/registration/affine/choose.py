"""Multi-start: every initialisation is climbed from at the coarsest level, the best place is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .images import AffineLevel
from .objective import AffineObjective
from .optimise import climb
from .parameters import about
from .result import AffineStage
from .search import search_starts
from .settings import AffineSettings
from .start import Body, Start, axis_starts, centre_pairs, find_body

#: Iterations of the climb from a start, and of the short one that sorts the findings of the search.
_STEPS, _SHORT = 12, 5
#: After a search the best few, if they have at least this share of the best score, are followed for longer.
_FINALISTS, _RIVAL, _LONG = 4, 0.85, 40
#: How many starts of each kind are climbed from, and how many findings of the search get a short climb.
_FEW, _MANY, _SORTED = 3, 6, 40
#: Matrices that move the points by less than this, in voxels of the level, lead to the same place.
_SAME_PLACE = 2.0
#: Automatic search: the best start is trusted if the best rotation looked at is nearer to it than this share of the
#: points' distance from their centre.
_CONFIRMED = 0.5
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
class AffineChoice:
    """The start to continue from, and what was tried."""

    best: Candidate
    stages: list[AffineStage]


def merit(objective: AffineObjective, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Similarity of each matrix, ``(B,)``."""
    return objective.score(np.stack(matrices))[0]


def choose_start(
    levels: tuple[AffineLevel, AffineLevel],
    objectives: tuple[AffineObjective, AffineObjective, AffineObjective],
    settings: AffineSettings,
    initial: np.ndarray | None,
    flat: np.ndarray | None,
    tried: Callable[[], None] = lambda: None,
) -> AffineChoice:
    """Try the starts that ``settings.search`` names at one level.

    Args:
        levels: fixed and moving image, coarse.
        objectives: similarity there with few, more, and all points.
        settings: see there.
        initial: given matrix; it takes the place of the headers.
        flat: directions without extent.
        tried: called after each climb from a start.
    """
    first = Start('headers', np.eye(len(levels[0].size) + 1)) if initial is None else Start('given', initial)
    quick, objective, full = objectives
    mode = 'none' if initial is not None and settings.search == 'auto' else settings.search
    if mode == 'none':
        value = float(merit(objective, [first.matrix])[0])
        return AffineChoice(Candidate(first.name, first.matrix, value, value), [])
    trial = _Trial(objective, 'translation' if settings.transform == 'translation' else 'rigid', flat, tried)
    bodies = find_body(levels[0]), find_body(levels[1])
    trial.follow([first])
    trial.follow_new(trial.ranked(_simple(*bodies, flat, initial))[:_FEW])
    if flat is not None or settings.transform == 'translation':
        return AffineChoice(trial.best(), trial.stages())
    axes = axis_starts(*bodies)
    if settings.reflections:
        axes += axis_starts(*bodies, mirrored=True)
    trial.follow_new(trial.ranked(axes)[:_FEW])
    extent = float((levels[0].spacing * levels[0].size).max())
    return _searched(trial, search_starts(*bodies, first.matrix, extent, settings.reflections), quick, full, mode)


def _searched(
    trial: _Trial, around: list[Start], quick: AffineObjective, full: AffineObjective, mode: str
) -> AffineChoice:
    """Look at rotations all around; follow them far if they do not point to the best place found before."""
    if mode == 'moments':
        return AffineChoice(trial.finish(full), trial.stages())
    sorter = _Trial(quick, trial.transform, trial.flat, trial.told)
    around = sorter.ranked(around)
    near = quick.points.distance(around[0].matrix, trial.best().matrix) < _CONFIRMED * quick.points.radius
    if mode == 'auto' and near:
        trial.follow_new(around[:_MANY], _FEW)
        return AffineChoice(trial.finish(full), trial.stages())
    sorter.follow_new(around, _SORTED, _SHORT)
    found = sorted(sorter.tried, key=lambda candidate: -candidate.after)
    trial.follow_new([Start(c.name, c.matrix) for c in found], _MANY)
    return AffineChoice(trial.finish(full), trial.stages())


def _simple(fixed: Body, moving: Body, flat: np.ndarray | None, initial: np.ndarray | None) -> list[Start]:
    """Centres on centres; a given matrix keeps its linear part, and flat directions their place."""
    ndim = len(fixed.middle)
    linear = np.eye(ndim) if initial is None else initial[:-1, :-1]
    first = np.eye(ndim + 1) if initial is None else initial
    keep = np.eye(ndim) if flat is None else np.eye(ndim) - flat @ flat.T
    starts = []
    for name, source, target in centre_pairs(fixed, moving):
        matrix = about(linear, source, target)
        matrix[:-1, -1] = first[:-1, -1] + keep @ (matrix[:-1, -1] - first[:-1, -1])
        starts.append(Start(name, matrix))
    return starts


class _Trial:
    """Candidates so far."""

    def __init__(self, objective: AffineObjective, transform: str, flat: np.ndarray | None, told: Callable[[], None]):
        self.objective, self.transform, self.flat, self.told = objective, transform, flat, told
        self.tried: list[Candidate] = []

    def ranked(self, starts: Sequence[Start]) -> list[Start]:
        """The starts, best score first."""
        scores = merit(self.objective, [start.matrix for start in starts])
        return [starts[i] for i in np.argsort(-scores, kind='stable')]

    def follow(self, starts: Sequence[Start], iterations: int = _STEPS) -> None:
        """Climb from each and remember where it led."""
        tolerance = 0.05 * self.objective.spacing
        for start in starts:
            top = climb(self.objective, start.matrix, self.transform, iterations, tolerance, self.flat)
            before, after = merit(self.objective, [start.matrix, top.matrix])
            self.tried.append(Candidate(start.name, top.matrix, float(before), float(after)))
            self.told()

    def follow_new(self, starts: Sequence[Start], count: int | None = None, iterations: int = _STEPS) -> None:
        """Climb, in order, from the first ``count`` that are far from all places reached so far."""
        before = len(self.tried)
        for start in starts:
            if count is not None and len(self.tried) - before == count:
                break
            if self._is_new(start.matrix):
                self.follow([start], iterations)

    def _is_new(self, matrix: np.ndarray) -> bool:
        far = _SAME_PLACE * self.objective.spacing
        return all(self.objective.points.distance(matrix, known.matrix) > far for known in self.tried)

    def finish(self, objective: AffineObjective) -> Candidate:
        """The best place after longer climbs from the best few with more points: first steps do not tell who wins."""
        order = sorted(self.tried, key=lambda candidate: -candidate.after)
        rivals = [c for c in order[:_FINALISTS] if c.after >= _RIVAL * order[0].after]
        if len(rivals) == 1:
            return rivals[0]
        finals = []
        for rival in rivals:
            top = climb(objective, rival.matrix, self.transform, _LONG, 0.01 * objective.spacing, self.flat)
            finals.append(replace(rival, matrix=top.matrix, after=float(merit(objective, [top.matrix])[0])))
        return _preferred(finals, rivals.index(self.tried[0]) if self.tried[0] in rivals else None)

    def best(self) -> Candidate:
        """The best place so far."""
        return _preferred(self.tried, 0)

    def stages(self) -> list[AffineStage]:
        level, spacing = self.objective.index, self.objective.spacing
        return [AffineStage(f'start: {c.name}', level, spacing, c.before, c.after, _STEPS) for c in self.tried]


def _preferred(candidates: Sequence[Candidate], first: int | None) -> Candidate:
    """The best, with a little preference for the one at ``first``: the headers or the given matrix."""
    best = max(candidates, key=lambda candidate: candidate.after)
    if first is None or best.after > candidates[first].after + _MARGIN * abs(candidates[first].after):
        return best
    return candidates[first]
