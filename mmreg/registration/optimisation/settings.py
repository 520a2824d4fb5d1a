"""The ``optimisation`` section of a config: levels, steps and smoothing, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from mmreg.errors import ConfigError

#: Keys of a level that may stand beside ``levels``.
SHARED = ('step', 'last_step', 'smooth_update', 'smooth_field', 'smooth_alike', 'field')

#: What a level may look at first.
FOCI = ('lungs',)


@dataclass(frozen=True)
class Level:
    """One resolution.

    Attributes:
        spacing: Voxel size in mm of the level's images. An axis whose voxels are larger keeps them, so a level never
            has more voxels than the images; a level with the grid of the one before it is left out.
        scale: Instead of ``spacing``: how many times the finest voxel size of the images.
        iterations: At most so many.
        field: The field's voxels are so many times larger than the images' ones.
        step: Longest increment of an iteration, voxels of the field.
        last_step: The step shrinks evenly to this share of itself towards the end of the level.
        smooth_update: Standard deviation of the Gaussian on the increments, in units of the field's finest voxel size;
            the same length in mm along every axis.
        smooth_field: The same for the whole field after every iteration.
        smooth_alike: In place of ``smooth_field`` for pairs that are alike at the start of the level (the mean squared
            local correlation is 0.7 or more): what is left between scans of one person is noise rather than anatomy.
            None: no difference is made.
        least_update: In noise ``smooth_update`` is not below this times what noise asks for
            (:func:`mmreg.registration.optimisation.noise.widening`).
        least_field: The same for ``smooth_field`` and ``smooth_alike``.
        focus: The similarity of what ``Settings.focus`` names counts ten times as much as that of what is beside it,
            and neither sees the other.
    """

    iterations: int
    spacing: float | None = None
    scale: float | None = None
    field: float = 1.0
    step: float = 0.5
    last_step: float = 1.0
    smooth_update: float = 1.7
    smooth_field: float = 0.7
    smooth_alike: float | None = None
    least_update: float = 1.5
    least_field: float = 0.8
    focus: bool = False

    def smoother(self, factor: float) -> Level:
        """The same with all Gaussians ``factor`` times as wide."""
        alike = None if self.smooth_alike is None else factor * self.smooth_alike
        return replace(
            self,
            smooth_update=factor * self.smooth_update,
            smooth_field=factor * self.smooth_field,
            smooth_alike=alike,
            least_update=factor * self.least_update,
            least_field=factor * self.least_field,
        )

    def share(self, iteration: int) -> float:
        """The part of the step that an iteration may take."""
        done = iteration / max(self.iterations - 1, 1)
        return 1.0 - (1.0 - self.last_step) * done


@dataclass(frozen=True)
class Settings:
    """How a pair is optimised.

    Attributes:
        levels: Coarsest first.
        rule: Name of the update rule, see :mod:`mmreg.registration.optimisation.rules`.
        momentum: Weight of the past in the running mean of the gradient.
        memory: The same for its running square.
        floor: Added to the root of the running square, as a fraction of its largest value.
        metric: Where voxels are not cubes, lengths are compared in voxels (0), in mm (2) or half-way (1): an axis with
            voxels ``r`` times larger than the finest moves ``r ** metric`` times less readily, in voxels.
        inverse: Whether the inverse is computed.
        tolerance: A level ends when the mean of the loss over the last ``patience`` iterations has fallen by less than
            this fraction of the level's whole fall; None: never before ``iterations``.
        patience: See ``tolerance``.
        amp: The backbone runs in mixed precision; coordinates, losses and the field stay in float32.
        smoothness: Factor on the standard deviations of all Gaussians: 2 is stiffer, 0.5 follows finer differences.
        unfold: Most passes of local smoothing where the map folds; 0 leaves folds.
        landmark_pull: Share of what landmarks are off by that each iteration makes good, see
            :func:`mmreg.registration.optimisation.landmarks.pull`; 0: they do not steer.
        noise_stiffness: Where a level's images have noise (standard deviation of both together, as a share of their
            range of intensities) above 0.03, its Gaussians are at least ``least_update`` and ``least_field`` times
            1 + this times what is above, three times at most; 0: as the levels say.
        focus: What levels with ``focus=True`` look at first, one of :data:`FOCI`; None: everything alike.
        quick: A shorter way through the levels, see :func:`mmreg.registration.optimisation.levels.shortened`.
    """

    levels: tuple[Level, ...]
    rule: str = 'length'
    momentum: float = 0.9
    memory: float = 0.99
    floor: float = 1e-3
    metric: float = 1.0
    inverse: bool = True
    tolerance: float | None = None
    patience: int = 10
    amp: bool = False
    smoothness: float = 1.0
    unfold: int = 50
    landmark_pull: float = 0.0
    noise_stiffness: float = 16.0
    focus: str | None = None
    quick: bool = False

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> Settings:
        """Settings from the ``optimisation`` section of a config.

        A number that belongs to a level (``step``, ``smooth_update``, ``smooth_field``, ``field``) may also stand
        beside ``levels``: it then holds for the levels that say nothing.

        Raises:
            ConfigError: no level, an unknown key, or a number out of range.
        """
        rest = dict(config)
        given = rest.pop('levels', None)
        if not isinstance(given, Sequence) or not given:
            raise ConfigError(f'optimisation.levels is {given!r}, expected a list with at least one level.')
        shared: dict[str, Any] = {key: rest.pop(key) for key in SHARED if key in rest}
        levels = tuple(_level(k, {**shared, **level}) for k, level in enumerate(given))
        _refuse_unknown('optimisation', rest, cls, ('levels',))
        settings = cls(levels=levels, **rest)
        if settings.focus is not None and settings.focus not in FOCI:
            raise ConfigError(f'optimisation.focus is {settings.focus!r}, expected one of {list(FOCI)} or None.')
        _check_range('optimisation.smoothness', settings.smoothness, 0.05, 20)
        _check_range('optimisation.momentum', settings.momentum, 0, 0.9999)
        _check_range('optimisation.memory', settings.memory, 0, 0.9999)
        _check_range('optimisation.floor', settings.floor, 0, 1)
        _check_range('optimisation.metric', settings.metric, 0, 2)
        _check_range('optimisation.noise_stiffness', settings.noise_stiffness, 0, 1000)
        _check_range('optimisation.landmark_pull', settings.landmark_pull, 0, 1)
        return replace(settings, levels=tuple(level.smoother(settings.smoothness) for level in levels), smoothness=1.0)


def _level(number: int, config: Mapping[str, Any]) -> Level:
    name = f'optimisation.levels[{number}]'
    _refuse_unknown(name, config, Level)
    if 'iterations' not in config:
        raise ConfigError(f'{name}.iterations is missing, expected a number.')
    if ('spacing' in config) == ('scale' in config):
        raise ConfigError(f'{name} has both or neither of spacing (mm) and scale, expected exactly one of them.')
    level = Level(**config)
    _check_range(f'{name}.iterations', level.iterations, 0, 100_000)
    _check_range(f'{name}.step', level.step, 1e-6, 10)
    _check_range(f'{name}.last_step', level.last_step, 0, 1)
    _check_range(f'{name}.field', level.field, 1, 8)
    for key in ('smooth_update', 'smooth_field', 'smooth_alike', 'least_update', 'least_field'):
        if getattr(level, key) is not None:
            _check_range(f'{name}.{key}', getattr(level, key), 0, 100)
    for key in ('spacing', 'scale'):
        if getattr(level, key) is not None:
            _check_range(f'{name}.{key}', getattr(level, key), 1e-6, 1e6)
    return level


def _refuse_unknown(name: str, config: Mapping[str, Any], kind: type, skip: Sequence[str] = ()) -> None:
    known = [f.name for f in fields(kind) if f.name not in skip]
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise ConfigError(f'{name} has {", ".join(map(repr, unknown))}, expected some of {", ".join(known)}.')


def _check_range(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(f'{name} is {value!r}, expected a number from {low} to {high}.')
