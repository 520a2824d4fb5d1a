"""Affine registration of two volumes on any two grids."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mmreg.errors import DataError
from mmreg.io import Volume, affine_transform

from .choose import AffineChoice, choose_start
from .images import AffineLevel, make_levels, working_spacings
from .objective import make_objective
from .optimise import climb
from .result import AffineResult, AffineStage, stretches
from .settings import AffineSettings, make_settings

#: Points of the trials and of the coarse search.
_TRIAL_POINTS, _QUICK_POINTS = 4000, 1200
#: Points that no optimisation has seen, by which the result is judged, and what is added to the seed for them.
_UNSEEN_POINTS, _UNSEEN = 20000, 1000
#: A search that ends at a similarity below this many times that of the headers is told with doubt.
_CLEAR = 1.3
#: Share of the points of each level with respect to the next finer one.
_FEWER = 0.5
#: A moving image whose field of view is less than this share of the fixed one's is compared at points of its own.
_SMALLER = 0.7
#: Told after every iteration: (stage, level, iteration, similarity).
Progress = Callable[[str, int, int, float], None]
#: Told what is being done and how much of the search is done, 0 to 1.
Watch = Callable[[str, float], None]
#: Share of the time that the choice of a start takes, and so many starts are usually climbed from.
_CHOOSING, _USUAL = 0.4, 14


def register_affine(
    fixed: Volume,
    moving: Volume,
    *,
    fixed_mask: Volume | None = None,
    moving_mask: Volume | None = None,
    initial: np.ndarray | None = None,
    device: str = 'cpu',
    seed: int = 0,
    progress: Progress | None = None,
    watch: Watch | None = None,
    **settings: Any,
) -> AffineResult:
    """Find the affine map between two images, each on its own grid, in 2-D or 3-D.

    Args:
        fixed: intensities, with or without channels (the similarity is the mean over channels).
        moving: the same number of axes and channels.
        fixed_mask: where points are taken, on the grid of ``fixed``; any value above zero.
        moving_mask: what counts in the moving image, on its grid.
        initial: ``(ndim+1, ndim+1)``, fixed world -> moving world in RAS+ mm, to start from.
        device: where images are sampled.
        seed: of the points that are compared.
        progress: told after every iteration.
        watch: told what is being done and how much is done, 0 to 1, also while starts are tried.
        **settings: ``transform``, ``similarity``, ``search`` ..., see
            :class:`mmreg.registration.affine.settings.AffineSettings`.

    Returns:
        the matrix, fixed world -> moving world in RAS+ mm, and how it was found. Where no optimised map is better than
        the start, it is the start. Where the moving image shows much less than the fixed one, its own points are
        compared, and what the result says of points is of those.

    Raises:
        DataError: images that cannot be compared, a mask or matrix that does not belong to them.
        ConfigError: a setting that does not exist or cannot work.
    """
    begin = time.perf_counter()
    made = make_settings(settings)
    if _shows_less(moving, fixed):
        given = None if initial is None else np.linalg.inv(checked_initial(initial, fixed.ndim))
        run = _Run(moving, fixed, made, given, progress, watch, ('moving', 'fixed'))
        run.prepare(moving_mask, fixed_mask, device, seed)
        found = run.result()
        found = replace(found, matrix=np.linalg.inv(found.matrix), points='moving')
    else:
        run = _Run(fixed, moving, made, initial, progress, watch)
        run.prepare(fixed_mask, moving_mask, device, seed)
        found = run.result()
    return replace(found, seconds=time.perf_counter() - begin)


def _shows_less(first: Volume, second: Volume) -> bool:
    """Whether the field of view of the first is much smaller; images that cannot be compared are refused later."""
    sizes = [np.prod([n * step for n, step in zip(v.geometry.shape, v.geometry.spacing)]) for v in (first, second)]
    return first.ndim == second.ndim and bool(sizes[0] < _SMALLER * sizes[1])


class _Run:
    """One registration: levels, stages so far, and warnings.

    ``fixed`` is the image whose points are compared; ``roles`` are the names of both for the user.
    """

    def __init__(
        self,
        fixed: Volume,
        moving: Volume,
        settings: AffineSettings,
        initial: np.ndarray | None,
        progress: Progress | None,
        watch: Watch | None,
        roles: tuple[str, str] = ('fixed', 'moving'),
    ):
        self.roles = roles
        _check_pair(*((fixed, moving) if roles[0] == 'fixed' else (moving, fixed)))
        self.watch, self.started, self.climbed = watch, 0, 0
        self.fixed, self.moving, self.settings, self.progress = fixed, moving, settings, progress
        self.initial = None if initial is None else checked_initial(initial, fixed.ndim)
        self.first = np.eye(fixed.ndim + 1) if self.initial is None else self.initial
        self.stages: list[AffineStage] = []
        self.curves: dict[str, list[float]] = {}
        self.warnings: list[str] = []

    def prepare(self, fixed_mask: Volume | None, moving_mask: Volume | None, device: str, seed: int) -> None:
        settings = self.settings
        spacings = working_spacings(self.fixed.geometry, self.moving.geometry, settings.levels, settings.finest)
        equalise = settings.similarity in ('mi', 'nmi')
        levels = [
            make_levels(volume, mask, spacings, device, name, equalise)
            for volume, mask, name in zip((self.fixed, self.moving), (fixed_mask, moving_mask), self.roles)
        ]
        self.objectives = [
            make_objective(f, m, settings, i, spacings[i], max(100, int(settings.samples * _FEWER**i)), seed + i)
            for i, (f, m) in enumerate(zip(*levels))
        ]
        self.coarsest: tuple[AffineLevel, AffineLevel] = (levels[0][-1], levels[1][-1])
        self.unseen = make_objective(
            levels[0][0], levels[1][0], settings, 0, spacings[0], min(settings.samples, _UNSEEN_POINTS), seed + _UNSEEN
        )
        last = len(spacings) - 1
        few, more = (
            make_objective(*self.coarsest, settings, last, spacings[last], min(count, settings.samples), seed + last)
            for count in (_QUICK_POINTS, _TRIAL_POINTS)
        )
        self.trials = (few, more, self.objectives[-1])
        self.flat = flat_directions(self.fixed, self.moving)

    def result(self) -> AffineResult:
        choice = choose_start(self.coarsest, self.trials, self.settings, self.initial, self.flat, self._tried)
        self.stages += choice.stages
        matrix = self._optimised(choice.best.matrix)
        return self._judged(matrix, choice)

    def _tried(self) -> None:
        """One more start was climbed from; how many there will be is not known before."""
        self.started += 1
        self._tell('choosing a start', _CHOOSING * min(1.0, self.started / _USUAL))

    def _tell(self, what: str, done: float) -> None:
        if self.watch is not None:
            self.watch(what, min(1.0, done))

    def _optimised(self, matrix: np.ndarray) -> np.ndarray:
        """Rigid down to the middle level, then the wanted transform down to the finest (either alone: all levels)."""
        wanted = self.settings.transform
        levels = list(range(len(self.objectives)))[::-1]
        if wanted in ('translation', 'rigid'):
            return self._stage(wanted, levels, matrix)
        matrix = self._stage('rigid', levels[: max(1, len(levels) - 1)], matrix)
        stretched = self._stage(wanted, levels[-2:], matrix)
        low, high = self.settings.scale_limits
        scales = np.asarray(stretches(stretched)) / np.asarray(stretches(self.first))
        if low <= scales.min() and scales.max() <= high:
            return stretched
        self.warnings.append(
            f'The {wanted} stage stretched by {scales.min():.2f} to {scales.max():.2f}, outside of {low:g} to '
            f'{high:g}; the rigid result is kept.'
        )
        return self._stage('rigid', levels[-1:], matrix)

    def _stage(self, name: str, levels: list[int], matrix: np.ndarray) -> np.ndarray:
        for level in levels:
            start = matrix
            matrix = self._climb(name, level, start, last=level == levels[-1])
            moved = self.objectives[level].points.distance(start, matrix)
            if level == levels[-1] and moved > 0.1 * self.objectives[level].spacing:
                # The points that lie inside the moving image are others by now.
                matrix = self._climb(name, level, matrix, last=True)
        return matrix

    def _climb(self, name: str, level: int, start: np.ndarray, last: bool) -> np.ndarray:
        objective = self.objectives[level].within(start, self.settings.minimum_overlap)
        # Coarse levels only have to hand over a good start.
        tolerance = self.settings.tolerance * objective.spacing * (1 if last else 10)
        curve = self.curves.setdefault(f'{name} {level}', [])
        self.climbed += 1
        usual = len(self.objectives) + (0 if self.settings.transform in ('translation', 'rigid') else 1)

        def watch(iteration: int, value: float) -> None:
            curve.append(value)
            share = (self.climbed - 1 + iteration / self.settings.iterations) / usual
            self._tell(f'{name}, level {level}', _CHOOSING + (1 - _CHOOSING) * share)
            if self.progress is not None:
                self.progress(name, level, len(curve), value)

        top = climb(objective, start, name, self.settings.iterations, tolerance, self.flat, watch)
        self.stages.append(AffineStage(name, level, objective.spacing, top.before, top.after, len(top.curve)))
        return top.matrix

    def _judged(self, matrix: np.ndarray, choice: AffineChoice) -> AffineResult:
        """Keep the start if nothing better was found; say what a user should know."""
        pair = np.stack([self.first, matrix])
        shared, overlap = self.objectives[0].score(pair)[1]
        before, after = self.objectives[0].within(matrix, self.settings.minimum_overlap).score(pair)[0]
        again = self.unseen.within(matrix, self.settings.minimum_overlap).score(pair)[0]
        start = choice.best.name
        refused = overlap < self.settings.minimum_overlap and overlap < shared
        # Points that were optimised gain by chance; the start is left for what others gain as well.
        needed = (1 + self.settings.margin) * again[0] if again[0] > 0 else again[0]
        if refused or not after > before or not again[1] > needed:
            reason = (
                f'only {100 * overlap:.0f} % of the {self.roles[0]} image lay inside the {self.roles[1]} image'
                if refused
                else f'the similarity of other points went from {again[0]:.4f} to {again[1]:.4f}'
            )
            kept = 'headers' if self.initial is None else 'given matrix'
            self.warnings.append(f'No affine map was found that is better than the {kept} ({reason}); it is kept.')
            matrix, after, overlap, start = self.first, before, shared, kept
        self._remark(matrix, overlap, start, float(after), float(before))
        return AffineResult(
            matrix=matrix,
            start=start,
            similarity=self.settings.similarity,
            before=float(before),
            after=float(after),
            overlap=float(overlap),
            stages=tuple(self.stages),
            curves=self.curves,
            warnings=tuple(self.warnings),
        )

    def _remark(self, matrix: np.ndarray, overlap: float, start: str, after: float, before: float) -> None:
        if overlap < 0.5:
            self.warnings.append(
                f'Only {100 * overlap:.0f} % of the compared points of the {self.roles[0]} image lie inside the '
                f'{self.roles[1]} image.'
            )
        if 'search' in start and after < _CLEAR * before:
            self.warnings.append(
                'It is not sure that the images lie right: a search over rotations reached a similarity of '
                f'{after:.3f}, the headers have {before:.3f}; look at the overview, or give an affine.'
            )
        elif 'search' in start:
            self.warnings.append('The headers do not bring the images together; a search over rotations did.')
        elif start not in ('headers', 'given', 'given matrix'):
            self.warnings.append(f'The headers do not bring the images together; it started from the {start}.')
        if np.linalg.det(matrix[:-1, :-1]) < 0:
            self.warnings.append('The affine map mirrors the image.')


def _check_pair(fixed: Volume, moving: Volume) -> None:
    if fixed.ndim != moving.ndim:
        raise DataError(f'moving: found a {moving.ndim}-D image, expected {fixed.ndim} axes as in the fixed image')
    if fixed.channels != moving.channels:
        raise DataError(f'moving: found {moving.channels} channels, expected {fixed.channels} as in the fixed image')


def checked_initial(initial: Any, ndim: int) -> np.ndarray:
    """A given matrix as float64.

    Raises:
        DataError: wrong shape, not finite or not invertible.
    """
    matrix = np.asarray(initial, dtype=np.float64)
    if matrix.shape != (ndim + 1, ndim + 1):
        raise DataError(f'initial: found a matrix of shape {matrix.shape}, expected {(ndim + 1, ndim + 1)}')
    affine_transform(matrix)  # refuses what cannot be inverted
    return matrix


def flat_directions(fixed: Volume, moving: Volume) -> np.ndarray | None:
    """``(ndim, M)`` fixed-world directions in which an image has a single voxel, or None."""
    found = [
        volume.geometry.direction[:, axis]
        for volume in (fixed, moving)
        for axis, n in enumerate(volume.geometry.shape)
        if n == 1
    ]
    if not found:
        return None
    u, sizes, _ = np.linalg.svd(np.stack(found, axis=1), full_matrices=False)
    kept = u[:, sizes > 1e-3]
    return kept if kept.shape[1] < fixed.ndim else None
