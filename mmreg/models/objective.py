"""The objective: named losses over the levels of one forward pass.

``loss = sum_name weight * sum_level level_weight * loss_name(level)``. Losses are handed what their kind asks for:
image and label losses the warped moving and the fixed data of the level's own pyramid, field losses the field named by
``on``, consistency losses both directions, landmark losses both point sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from mmreg.errors import ConfigError
from mmreg.spatial import sample, warp
from mmreg.spatial.view import in_view
from mmreg.structures import Fields

from .level_data import LevelData
from .losses.base import LabelLoss, Loss
from .terms import DIRECTIONS, Term


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
        data = LevelData(fields, inputs, self.pyramid, self.label_values, self._depth)
        return {name: self._evaluate(self._term(name), data) for name in self.terms}

    def _term(self, name: str) -> Term:
        return cast(Term, self.terms[name])

    @property
    def _depth(self) -> int:
        terms = [self._term(name) for name in self.terms]
        return max((len(t.config.levels) for t in terms if t.kind in ('image', 'label')), default=1)

    def _evaluate(self, term: Term, data: LevelData) -> list[Tensor | None]:
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
    def _image(term: Term, loss: Loss, data: LevelData, level: int) -> Tensor:
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
    def _label(term: Term, loss: Loss, data: LevelData, level: int) -> Tensor:
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
    def _field(term: Term, loss: Loss, data: LevelData, level: int) -> Tensor:
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
    def _consistency(term: Term, loss: Loss, data: LevelData, level: int) -> Tensor:
        if term.config.on == 'half':
            return loss(data.named('half', term, level), data.named('inverse_half', term, level), mask=None)
        values = []
        for forward in DIRECTIONS[term.config.direction]:
            first, second = (data.displacement(term, level, way) for way in (forward, not forward))
            values.append(loss(first, second, mask=data.mask('fixed' if forward else 'moving', level)))
        return sum(values) / len(values)

    @staticmethod
    def _landmark(term: Term, loss: Loss, data: LevelData, level: int) -> Tensor:
        fixed, moving = data.need('fixed_landmarks', term), data.need('moving_landmarks', term)
        displacement = data.displacement(term, 0)
        values = []
        for n, (start, target) in enumerate(zip(fixed, moving)):
            points = start[None].to(displacement)
            shift = sample(displacement[n : n + 1], points).transpose(1, 2)
            values.append(loss(points + shift, target[None].to(displacement)))
        return torch.stack(values).mean()
