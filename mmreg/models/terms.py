"""Named losses of an objective: the keys of a config that say what a loss is given, and the losses themselves."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from torch import nn

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES

from .losses.base import Loss

#: Directions of an image or label loss; True: the moving image onto the fixed one. ``'middle'``: both half way.
DIRECTIONS = {'forward': (True,), 'backward': (False,), 'both': (True, False), 'middle': ()}
#: Lists of ``Fields`` that a field or consistency loss can act on.
FIELDS = {
    'velocity': 'velocities',
    'displacement': 'displacements',
    'inverse_displacement': 'inverse_displacements',
    'inverse_velocity': 'inverse_velocities',
    'half': 'halves',
    'inverse_half': 'inverse_halves',
    'mean': 'means',
    'integrated': 'integrated',
}
#: Padding of warped images (``'hidden'``: neither image counts where the warped one ends), and the resolution they are
#: read from: that of the level, or the full one.
OUTSIDE = ('zeros', 'border', 'hidden')
SOURCES = ('level', 'full')
_CHOICES: dict[str, Collection[str]] = {
    'direction': DIRECTIONS,
    'on': FIELDS,
    'outside': OUTSIDE,
    'source': SOURCES,
}


@dataclass(frozen=True)
class TermConfig:
    """The part of a loss's config that belongs to the objective."""

    weight: float | None
    levels: tuple[float | None, ...]
    on: str
    per_level: Mapping[str, Sequence[Any]]
    direction: str
    outside: str
    source: str
    scaled_by: str | None

    @classmethod
    def split(cls, name: str, config: dict[str, Any]) -> tuple[TermConfig, dict[str, Any]]:
        """The objective's keys of ``config``, and what is left for the constructor of the loss."""
        if not isinstance(config, Mapping):
            raise ConfigError(f'losses.{name} is {config!r:.60}, expected the config of a loss with its type.')
        rest = dict(config)
        _check_numbers(name, rest)
        term = cls(
            weight=rest.pop('weight', 1.0),
            levels=tuple(rest.pop('levels', (1.0,))),
            on=rest.pop('on', 'velocity'),
            per_level=rest.pop('per_level', {}),
            direction=rest.pop('direction', 'forward'),
            outside=rest.pop('outside', 'zeros'),
            source=rest.pop('source', 'level'),
            scaled_by=rest.pop('scaled_by', None),
        )
        for key, allowed in _CHOICES.items():
            if getattr(term, key) not in allowed:
                raise ConfigError(f'losses.{name}.{key} is {getattr(term, key)!r}, expected one of {sorted(allowed)}.')
        if all(weight is None for weight in term.levels):
            raise ConfigError(f'losses.{name}.levels is {list(term.levels)}, expected a number for at least one level.')
        for key, values in term.per_level.items():
            if len(values) != len(term.levels):
                raise ConfigError(
                    f'losses.{name}.per_level.{key} has {len(values)} entries, '
                    f'expected one per level ({len(term.levels)}).'
                )
        return term, rest


def _check_numbers(name: str, config: Mapping[str, Any]) -> None:
    """The weight is a number, or None; levels are numbers or None, per level an entry."""
    levels, per_level = config.get('levels', (1.0,)), config.get('per_level', {})
    if not _is_weight(config.get('weight', 1.0)):
        raise ConfigError(f'losses.{name}.weight is {config["weight"]!r:.60}, expected a number.')
    if not isinstance(levels, list | tuple) or not levels or not all(map(_is_weight, levels)):
        raise ConfigError(f'losses.{name}.levels is {levels!r:.60}, expected a weight per level, the finest first.')
    if not isinstance(per_level, Mapping) or not all(isinstance(v, list | tuple) for v in per_level.values()):
        raise ConfigError(f'losses.{name}.per_level is {per_level!r:.60}, expected lists by argument.')


def _is_weight(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))


class Term(nn.Module):
    """One named loss: one module per level (the same one where nothing differs)."""

    def __init__(self, name: str, config: dict[str, Any]):
        super().__init__()
        self.name = name
        self.config, rest = TermConfig.split(name, config)
        if self.config.per_level:
            built = [
                LOSSES.build({**rest, **{key: values[level] for key, values in self.config.per_level.items()}})
                for level in range(len(self.config.levels))
            ]
        else:
            built = [LOSSES.build(rest)]
        if not all(isinstance(one, Loss) for one in built):
            raise ConfigError(
                f'losses.{name}.type is {type(built[0]).__name__}, expected a subclass of mmreg.models.losses.Loss.'
            )
        self.losses = nn.ModuleList(built)
        self.kind: str = built[0].kind
        if self.config.direction == 'middle' and self.kind != 'image':
            raise ConfigError(f"losses.{name}.direction is 'middle', expected that of image losses only.")
        if self.config.scaled_by and self.kind != 'field':
            raise ConfigError(f'losses.{name}.scaled_by is given, expected it for field losses only.')

    def at(self, level: int) -> Loss:
        """The loss of ``level``."""
        return cast(Loss, self.losses[min(level, len(self.losses) - 1)])
