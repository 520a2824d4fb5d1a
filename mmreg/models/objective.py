"""The objective: named losses over the levels of one forward pass.

``loss = sum_name weight * sum_level level_weight * loss_name(level)``. Losses are handed what their kind asks for:
image and label losses the warped moving and the fixed data of the level's own pyramid, field losses the field named by
``on``, consistency losses both directions, landmark losses both point sets.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial import image_pyramid, resize, sample, warp, warp_across
from mmreg.spatial.view import in_view
from mmreg.structures import Fields

from .losses.base import LabelLoss, Loss, one_hot

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
        rest = dict(config)
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


class Objective(nn.Module):
    """Named losses, evaluated together.

    Args:
        losses: Name -> config of a loss plus the objective's keys: ``weight`` (0: computed and logged, not trained
            with; None: not computed), ``levels`` (weight per level, finest first, default ``[1]``; None as for
            ``weight``), ``on`` (field losses: ``'velocity'``, ``'displacement'``, ``'inverse_displacement'``, and
            ``'inverse_velocity'``, ``'half'``, ``'inverse_half'``, ``'mean'``, ``'integrated'`` of heads that have
            them; consistency losses:
            ``'half'`` compares the halves), ``direction`` (image and label losses: ``'forward'``, ``'backward'``, the
            fixed image onto the moving one, or the mean of ``'both'``; image losses also ``'middle'``, both images
            half way; consistency losses: which field of the pair comes first), ``outside`` (image losses: what a
            warped image is outside, ``'zeros'`` or ``'border'``, or ``'hidden'``: both images are zero there),
            ``source`` (image losses: ``'full'`` reads the image to be warped at full resolution on every level),
            ``scaled_by`` (field losses: an entry of ``extras``, one number per sample, that multiplies the term) and
            ``per_level`` (constructor arguments that differ between levels, a list each).
        pyramid: Keyword arguments of :func:`mmreg.spatial.image_pyramid`: ``kernel`` and ``factors``.
        label_values: What one-hot channels stand for: a number ``n`` (values 0..n-1) or the values themselves.
    """

    def __init__(
        self,
        losses: Mapping[str, dict[str, Any]],
        pyramid: Mapping[str, Any] | None = None,
        label_values: int | Sequence[int] | None = None,
    ):
        super().__init__()
        self.terms = nn.ModuleDict(
            {name: Term(name, config) for name, config in losses.items() if config.get('weight', 1.0) is not None}
        )
        self.pyramid = dict(pyramid or {})
        self.label_values = list(range(label_values)) if isinstance(label_values, int) else label_values
        if self.label_values is None and any(self._term(name).kind == 'label' for name in self.terms):
            raise ConfigError('model.label_values is missing, expected the number of classes for the label losses.')

    def forward(self, fields: Fields, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """Weighted terms as ``loss_<name>`` (their sum is the loss) and the plain value of each as ``<name>``."""
        result: dict[str, Tensor] = {}
        for name, values in self.level_terms(fields, inputs).items():
            config = self._term(name).config
            value = torch.stack([w * v for w, v in zip(config.levels, values) if w is not None and v is not None]).sum()
            if config.weight:
                result[f'loss_{name}'] = config.weight * value
            result[name] = value.detach()
        if not any(key.startswith('loss_') for key in result):
            raise ConfigError(
                'model.losses has no term with a weight other than 0, expected at least one to train with.'
            )
        return result

    def level_terms(self, fields: Fields, inputs: Mapping[str, Any]) -> dict[str, list[Tensor | None]]:
        """Plain loss values per term and level, finest first; None where a level's weight is None."""
        data = _LevelData(fields, inputs, self.pyramid, self.label_values, self._depth)
        return {name: self._evaluate(self._term(name), data) for name in self.terms}

    def _term(self, name: str) -> Term:
        return cast(Term, self.terms[name])

    @property
    def _depth(self) -> int:
        terms = [self._term(name) for name in self.terms]
        return max((len(t.config.levels) for t in terms if t.kind in ('image', 'label')), default=1)

    def _evaluate(self, term: Term, data: _LevelData) -> list[Tensor | None]:
        handler = getattr(self, f'_{term.kind}')
        values: list[Tensor | None] = []
        for level, weight in enumerate(term.config.levels):
            if weight is None:
                values.append(None)
                continue
            with torch.set_grad_enabled(torch.is_grad_enabled() and bool(term.config.weight) and bool(weight)):
                values.append(handler(term, term.at(level), data, level))
        return values

    @staticmethod
    def _image(term: Term, loss: Loss, data: _LevelData, level: int) -> Tensor:
        if term.config.direction == 'middle':
            halves = data.named('half', term, level), data.named('inverse_half', term, level)
            moving, fixed = (data.warped(s, u, term, level) for s, u in zip(('moving', 'fixed'), halves))
            return loss(moving, fixed, mask=None, **data.known(loss, level))
        values = []
        for forward in DIRECTIONS[term.config.direction]:
            source, target = ('moving', 'fixed') if forward else ('fixed', 'moving')
            displacement, seen = data.displacement(term, level, forward), data.image(target, level)
            warped = data.warped(source, displacement, term, level)
            if term.config.outside == 'hidden':
                inside = in_view(displacement).to(warped)
                warped, seen = warped * inside, seen * inside
            values.append(loss(warped, seen, mask=data.mask(target, level), **data.known(loss, level)))
        return sum(values) / len(values)

    @staticmethod
    def _label(term: Term, loss: Loss, data: _LevelData, level: int) -> Tensor:
        values: list[Any] = []
        for forward in DIRECTIONS[term.config.direction]:
            source, target = ('moving', 'fixed') if forward else ('fixed', 'moving')
            displacement = data.displacement(term, level, forward)
            if level == 0 and isinstance(loss, LabelLoss):  # without the one-hot volume of full resolution
                moving, fixed = (data.need(f'{name}_labels', term) for name in (source, target))
                mask = data.mask(target, level)
                values.append(loss.from_labels(moving, fixed, displacement, data.label_values, mask))
            else:
                warped = warp(data.onehot(source, level, term), displacement)
                values.append(loss(warped, data.onehot(target, level, term), mask=data.mask(target, level)))
        return sum(values) / len(values)

    @staticmethod
    def _field(term: Term, loss: Loss, data: _LevelData, level: int) -> Tensor:
        field = data.field(term, level)
        labels = None
        if 'labels' in loss.requires:
            labels = data.labels_on(field, loss.label_frame, term)
        if term.config.scaled_by is None:
            extras = {name: data.extra(name, term) for name in loss.extras}
            return loss(field, labels=labels, mask=None, **extras)
        values = []
        for n, number in enumerate(data.numbers(term, len(field))):
            own = None if labels is None else labels[n : n + 1]
            values.append(number * loss(field[n : n + 1], labels=own, mask=None))
        return torch.stack(values).mean()

    @staticmethod
    def _consistency(term: Term, loss: Loss, data: _LevelData, level: int) -> Tensor:
        if term.config.on == 'half':
            return loss(data.named('half', term, level), data.named('inverse_half', term, level), mask=None)
        values = []
        for forward in DIRECTIONS[term.config.direction]:
            first, second = (data.displacement(term, level, way) for way in (forward, not forward))
            values.append(loss(first, second, mask=data.mask('fixed' if forward else 'moving', level)))
        return sum(values) / len(values)

    @staticmethod
    def _landmark(term: Term, loss: Loss, data: _LevelData, level: int) -> Tensor:
        fixed, moving = data.need('fixed_landmarks', term), data.need('moving_landmarks', term)
        displacement = data.displacement(term, 0)
        values = []
        for n, (start, target) in enumerate(zip(fixed, moving)):
            points = start[None].to(displacement)
            shift = sample(displacement[n : n + 1], points).transpose(1, 2)
            values.append(loss(points + shift, target[None].to(displacement)))
        return torch.stack(values).mean()


class _LevelData:
    """What the losses of one evaluation share: pyramids are made once, when the first loss asks."""

    def __init__(
        self, fields: Fields, inputs: Mapping[str, Any], pyramid: dict[str, Any], label_values: Any, depth: int
    ):
        self.fields = fields
        self.inputs = inputs
        self.label_values = label_values
        self._pyramid = pyramid
        self._depth = depth
        self._cache: dict[str, list[Tensor]] = {}

    def need(self, key: str, term: Term) -> Any:
        if key not in self.inputs:
            raise ConfigError(f'losses.{term.name} needs inputs[{key!r}], found {sorted(self.inputs)}.')
        return self.inputs[key]

    def displacement(self, term: Term, level: int, forward: bool = True) -> Tensor:
        if forward:
            return self._level(self.fields.displacements, 'displacements', term, level)
        if not self.fields.inverse_displacements:
            raise ConfigError(
                f'losses.{term.name} needs a backward field, found a flow head that has none; '
                'choose a bidirectional head or drop the term.'
            )
        return self._level(self.fields.inverse_displacements, 'inverse_displacements', term, level)

    def field(self, term: Term, level: int) -> Tensor:
        on = term.config.on
        if on == 'velocity' and not self.fields.velocities:  # a method without integration regularises what it has
            on = 'displacement'
        return self.named(on, term, level)

    def named(self, on: str, term: Term, level: int) -> Tensor:
        """The field of ``level`` that a config calls ``on``."""
        name = FIELDS[on]
        return self._level(getattr(self.fields, name), name, term, level)

    def numbers(self, term: Term, batch: int) -> Tensor:
        name = term.config.scaled_by
        value = self.fields.extras.get(name or '')
        if value is None:
            raise ConfigError(
                f'losses.{term.name}.scaled_by is {name!r}, found {sorted(self.fields.extras)} from the flow head.'
            )
        return value.detach().flatten().expand(batch)

    def warped(self, which: str, displacement: Tensor, term: Term, level: int) -> Tensor:
        padding = 'zeros' if term.config.outside == 'zeros' else 'border'
        if term.config.source == 'full':
            return warp_across(self.inputs[which], displacement, padding)
        return warp(self.image(which, level), displacement, padding=padding)

    def extra(self, name: str, term: Term) -> Tensor:
        """A tensor among the extras of the flow head."""
        if name not in self.fields.extras:
            raise ConfigError(
                f'losses.{term.name} needs extras[{name!r}] of the flow head, found {sorted(self.fields.extras)}.'
            )
        return self.fields.extras[name]

    def known(self, loss: Loss, level: int) -> dict[str, Any]:
        """What ``loss`` takes besides, as far as the data know it: the voxel size of the level's images."""
        spacing = self.inputs.get('spacing')
        if 'spacing' not in loss.takes or spacing is None:
            return {}
        sizes = zip(spacing, self.inputs['fixed'].shape[2:], self.image('fixed', level).shape[2:])
        return {'spacing': [step * (full - 1) / max(n - 1, 1) if n != full else step for step, full, n in sizes]}

    def image(self, which: str, level: int) -> Tensor:
        return self._levels(which, lambda: self.inputs[which])[level]

    def onehot(self, which: str, level: int, term: Term) -> Tensor:
        return self._levels(f'{which} one-hot', lambda: one_hot(self.need(f'{which}_labels', term), self.label_values))[
            level
        ]

    def mask(self, which: str, level: int) -> Tensor | None:
        mask = self.inputs.get(f'{which}_mask')
        if mask is None or level == 0:
            return mask
        return resize(mask.float(), size=list(self.image(which, level).shape[2:]))

    def labels_on(self, field: Tensor, which: str, term: Term) -> Tensor:
        """Labels of the ``which`` image on a grid of the size of ``field``, nearest neighbour."""
        labels = self.need(f'{which}_labels', term)
        if labels.shape[2:] == field.shape[2:]:
            return labels
        return resize(labels.float(), size=list(field.shape[2:]), mode='nearest').to(labels.dtype)

    def _levels(self, key: str, make: Any) -> list[Tensor]:
        if key not in self._cache:
            with torch.no_grad():
                self._cache[key] = image_pyramid(make(), self._depth, **self._pyramid)
        return self._cache[key]

    @staticmethod
    def _level(fields: Sequence[Tensor], name: str, term: Term, level: int) -> Tensor:
        if level >= len(fields):
            raise ConfigError(
                f'losses.{term.name}.levels has at least {level + 1} entries, '
                f'found {len(fields)} {name} from the flow head.'
            )
        return fields[level]
