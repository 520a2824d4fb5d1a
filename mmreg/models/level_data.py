"""What the losses of one evaluation are given, level by level: fields, images, labels, masks, voxel size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.spatial import image_pyramid, resize, warp, warp_across
from mmreg.structures import Fields

from .losses.base import Loss, one_hot
from .terms import FIELDS, Term


class LevelData:
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
        """An entry of the inputs that the term cannot do without."""
        if key not in self.inputs:
            raise ConfigError(f'losses.{term.name} needs inputs[{key!r}], found {sorted(self.inputs)}.')
        return self.inputs[key]

    def displacement(self, term: Term, level: int, forward: bool = True) -> Tensor:
        """Displacement ``(N, ndim, *spatial_l)`` of ``level``, forward or backward."""
        if forward:
            return self._level(self.fields.displacements, 'displacements', term, level)
        if not self.fields.inverse_displacements:
            raise ConfigError(
                f'losses.{term.name} needs a backward field, found a flow head that has none; '
                'choose a bidirectional head or drop the term.'
            )
        return self._level(self.fields.inverse_displacements, 'inverse_displacements', term, level)

    def field(self, term: Term, level: int) -> Tensor:
        """The field of ``level`` that the term acts on."""
        on = term.config.on
        if on == 'velocity' and not self.fields.velocities:  # a method without integration regularises what it has
            on = 'displacement'
        return self.named(on, term, level)

    def named(self, on: str, term: Term, level: int) -> Tensor:
        """The field of ``level`` that a config calls ``on``."""
        name = FIELDS[on]
        return self._level(getattr(self.fields, name), name, term, level)

    def numbers(self, term: Term, batch: int) -> Tensor:
        """The numbers ``(N,)`` by which the term's samples are multiplied."""
        name = term.config.scaled_by
        value = self.fields.extras.get(name or '')
        if value is None:
            raise ConfigError(
                f'losses.{term.name}.scaled_by is {name!r}, found {sorted(self.fields.extras)} from the flow head.'
            )
        return value.detach().flatten().expand(batch)

    def warped(self, which: str, displacement: Tensor, term: Term, level: int) -> Tensor:
        """The fixed or moving image warped by ``displacement`` ``(N, ndim, *spatial_l)``."""
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
        """The fixed or moving image of ``level``, ``(N, C, *spatial_l)``."""
        return self._levels(which, lambda: self.inputs[which])[level]

    def onehot(self, which: str, level: int, term: Term) -> Tensor:
        """The one-hot labels of ``level``, ``(N, K, *spatial_l)``."""
        return self._levels(f'{which} one-hot', lambda: one_hot(self.need(f'{which}_labels', term), self.label_values))[
            level
        ]

    def mask(self, which: str, level: int) -> Tensor | None:
        """The mask of ``level``, ``(N, 1, *spatial_l)``, where there is one."""
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
