"""Gradient descent, level by level: the model's own loss moves the free field of its head."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from mmreg.errors import ConfigError, DataError
from mmreg.models.flow_heads.free_field import FreeField
from mmreg.models.losses.lncc import LNCC
from mmreg.models.objective import Objective
from mmreg.models.registrars.registrar import Registrar
from mmreg.spatial import invert_multilevel, resize_field, warp
from mmreg.spatial.warp import keeping_slopes
from mmreg.utils.memory import give_back

from .folding import folded, unfold
from .landmarks import pull
from .levels import Grid, Stage, make_stages, on_grid
from .noise import at_least, noise_of_pairs, widening
from .result import Optimised, Progress
from .rules import make_rule
from .settings import Settings
from .sharpness import equally_sharp
from .stiffness import ALIKE, lengths_of_field, likeness, make_smoother

#: At the end of a level landmarks move the field alone, at most so often, until they are off by so many voxels.
SETTLING, NEAR = 12, 0.1
#: What is beside the focus of a level counts so much: little where both meet, and further away it moves all the same,
#: since steps do not depend on how large a gradient is.
BESIDE = 0.1
#: A level of voxels below this times those of the images shows their sharpness.
_FINE = 1.5
Report = Callable[[Progress], None]


def optimise(
    model: Registrar,
    inputs: Mapping[str, Any],
    settings: Mapping[str, Any] | Settings,
    *,
    start: Tensor | None = None,
    progress: Report | None = None,
) -> Optimised:
    """Register a batch of pairs by optimising the field of the model's head.

    Args:
        model: Registrar with a :class:`FreeField` head and losses; it may be used again for other pairs.
        inputs: ``fixed``, ``moving`` ``(N, C, *S)`` on one working grid; optional ``fixed_mask``, ``moving_mask``
            ``(N, 1, *S)`` that weight the similarity, ``fixed_focus_mask`` that parts it on levels with ``focus``,
            ``fixed_labels``, ``moving_labels``, landmarks, whatever the
            losses ask for; ``spacing``, mm per voxel of the working grid, one number per axis (default 1).
        settings: The ``optimisation`` section of a config, see :class:`Settings`.
        start: Displacement ``(N, ndim, *S)`` in voxels to begin with, such as a network's.
        progress: Called after every iteration.

    Returns:
        The displacement on the working grid, its inverse and the record of the run. Pairs of a batch do not influence
        each other except through losses that pool the batch.

    Raises:
        ConfigError: the head is not a FreeField, the model has no losses, settings that cannot work.
        DataError: images of different shapes, a start on another grid, a spacing of the wrong length.
    """
    return _Run(model, inputs, settings, progress)(start)


class _Run:
    """One call of :func:`optimise`."""

    def __init__(
        self, model: Registrar, inputs: Mapping[str, Any], settings: Mapping[str, Any] | Settings, report: Report | None
    ):
        self.settings = settings if isinstance(settings, Settings) else Settings.parse(settings)
        self.model, self.report = model, report
        self.head, self.objective = _free_head(model)
        self.inputs = {key: value for key, value in inputs.items() if key != 'spacing'}
        self.full = _working_grid(inputs)
        self.stages = make_stages(self.settings, self.full)
        self.make_rule = make_rule(self.settings)
        self.foreign = False
        images = inputs['fixed']
        self.result = Optimised(displacement=images.new_empty(0), taken_back=[[] for _ in images])
        self.result.noise = noise_of_pairs(inputs)

    def __call__(self, start: Tensor | None) -> Optimised:
        began = time.perf_counter()
        self.foreign = start is not None
        field = self._start(start)
        training = self.model.training
        self.model.eval()
        try:
            for number, stage in enumerate(self.stages):
                field = self._level(number, stage, field)
                give_back()
        finally:
            self.head.reset(None)
            self.model.train(training)
        self._finish(field)
        self.result.seconds['total'] = time.perf_counter() - began
        return self.result

    def _start(self, start: Tensor | None) -> Tensor:
        images = self.inputs['fixed']
        shape = (len(images), len(self.full.size), *self.full.size)
        if start is None:
            size = self.stages[0].field.size
            return torch.zeros(*shape[:2], *size, device=images.device, dtype=torch.float32)
        if tuple(start.shape) != shape:
            raise DataError(f'start has the shape {tuple(start.shape)}, expected {shape}.')
        if self.head.update != 'compose':
            raise ConfigError(
                f"model.flow_head.update is {self.head.update!r}, expected 'compose' to begin at a start."
            )
        return start.detach().to(images.device, torch.float32)

    def _level(self, number: int, stage: Stage, field: Tensor) -> Tensor:
        began = time.perf_counter()
        level = stage.level
        data = {**on_grid(self.inputs, self.full, stage.images), 'spacing': stage.images.spacing}
        if not level.focus:
            data.pop('fixed_focus_mask', None)
        self.head.reset(resize_field(field, size=stage.field.size, values='aligned'))
        wider = self._wider(stage)
        alike = self._alike(stage, data)
        data = self._equally_sharp(stage, data, alike)
        lengths = lengths_of_field(stage, alike)
        update = make_smoother(stage, at_least([level.smooth_update] * len(wider), level.least_update, wider))
        smooth = make_smoother(stage, at_least(lengths, level.least_field, wider), 'border')
        rule = self.make_rule(update, stage.mobility(self.settings.metric), level.step)
        values: list[float] = []
        steered = bool(self.settings.landmark_pull) and 'fixed_landmarks' in data
        origin = self.head.field
        before = [] if steered else self._at_best(data, smooth if self.foreign and number == 0 else None)
        for iteration in range(level.iterations):
            losses, gradients = self._evaluate(data)
            with torch.no_grad():
                by_increment = self.head.increment_gradient(*gradients)
                del gradients  # volumes that the next evaluation needs room for
                self.head.move(rule(by_increment, level.share(iteration)), smooth)
                del by_increment
                if steered:
                    losses['landmarks'] = self._pulled(stage, data)
            self._record(number, iteration, stage, losses)
            values.append(losses['loss'])
            if self._converged(values):
                break
        if steered:
            for _ in range(SETTLING):
                if self._pulled(stage, data) < NEAR * stage.field.finest:
                    break
        else:
            self._take_back(number, data, before, origin)
        self.result.seconds[f'level {number}'] = time.perf_counter() - began
        assert self.head.field is not None
        return self.head.field.detach()

    @torch.no_grad()
    def _at_best(self, data: Mapping[str, Any], smooth: Callable[[Tensor], Tensor] | None) -> list[float]:
        """What a level has to better for every pair: its loss at the beginning.

        A start from elsewhere may be rougher than the level allows, and lower its loss by that: it is smoothed first.
        """
        field = self.head.field
        if smooth is None or field is None:
            return self._of_each(data)
        self.head.reset(smooth(field))
        found = self._of_each(data)
        self.head.reset(field)
        return found

    @torch.no_grad()
    def _of_each(self, data: Mapping[str, Any]) -> list[float]:
        """The loss of every pair by itself at the present field."""
        field, inverse = self.head.field, self.head.inverse
        count, found = len(data['fixed']), []
        try:
            for n in range(count):
                own = {key: part[n : n + 1] if isinstance(part, Tensor | list) else part for key, part in data.items()}
                self.head.field = None if field is None else field[n : n + 1]
                self.head.inverse = None if inverse is None else inverse[n : n + 1]
                terms = self._terms(own)
                found.append(sum(float(value) for key, value in terms.items() if key.startswith('loss_')))
        finally:
            self.head.field, self.head.inverse = field, inverse
        return found

    def _take_back(self, number: int, data: Mapping[str, Any], before: list[float], origin: Tensor | None) -> None:
        """Pairs that a level made worse by its own loss go on from where it began.

        Every step is of a given length: where nothing is left to gain, or nothing to see, steps follow rounding.
        """
        worse = [after > start for start, after in zip(before, self._of_each(data))]
        for levels, one in zip(self.result.taken_back, worse):
            levels += [number] * one
        if origin is None or self.head.field is None or not any(worse):
            return
        pairs = torch.tensor(worse, device=origin.device).view(-1, *[1] * (origin.dim() - 1))
        self.head.reset(torch.where(pairs, origin, self.head.field).detach())

    @torch.no_grad()
    def _pulled(self, stage: Stage, data: Mapping[str, Any]) -> float:
        """Let the landmarks move the field; their mean distance before it, mm."""
        assert self.head.field is not None
        sigma = stage.sigma(math.hypot(stage.level.smooth_update, stage.level.smooth_field))
        increment, distance = pull(
            self.settings.landmark_pull, self.model.integrator, self.head.field, data, stage, sigma
        )
        self.head.move(increment)
        return distance

    @torch.no_grad()
    def _alike(self, stage: Stage, data: Mapping[str, Any]) -> list[bool]:
        """Which pairs look alike at the present field, where the level asks."""
        if stage.level.smooth_alike is None:
            return [False] * len(data['fixed'])
        assert self.head.field is not None
        shown = self._weighted(data)
        field = resize_field(self.model.integrator(self.head.field), size=stage.images.size, values='aligned')
        warped = warp(data['moving'], field, padding='border')
        found = likeness(warped, data['fixed'], shown.get('fixed_mask'))
        self.result.likeness.append(found)
        return [value >= ALIKE for value in found]

    def _correlates(self, stage: Stage) -> bool:
        """Whether local correlation compares the images as sharp as they are."""
        terms: list[Any] = [] if self.objective is None else list(self.objective.terms.values())
        local = any(isinstance(loss, LNCC) for term in terms for loss in term.losses)
        return local and stage.images.finest < _FINE * self.full.finest

    def _equally_sharp(self, stage: Stage, data: dict[str, Any], alike: list[bool]) -> dict[str, Any]:
        """The images of the finest level, the sharper one of a pair that is alike blurred like the other."""
        if not any(alike) or not self._correlates(stage):
            return data
        data, self.result.blurred = equally_sharp(data, alike)
        return data

    def _wider(self, stage: Stage) -> list[float]:
        """How much wider than without noise the Gaussians of a level have to be for each pair."""
        slope = self.settings.noise_stiffness
        found = [widening(noise, slope, self.full, stage.images) for noise in self.result.noise]
        self.result.widening.append(found)
        return found

    def _converged(self, values: list[float]) -> bool:
        tolerance, patience = self.settings.tolerance, self.settings.patience
        if tolerance is None or len(values) < 2 * patience:
            return False
        before, now = (sum(part) / patience for part in (values[-2 * patience : -patience], values[-patience:]))
        return before - now < tolerance * abs(values[0] - now)

    def _evaluate(self, data: Mapping[str, Any]) -> tuple[dict[str, float], list[Tensor]]:
        """Values of the terms, and the gradients of each pair's own loss by the field and its inverse."""
        with torch.enable_grad(), keeping_slopes(), torch.autocast(self.device_type, enabled=self.settings.amp):
            terms = self._terms(data)
            loss = torch.stack([value for key, value in terms.items() if key.startswith('loss_')]).sum()
            leaves = self.head.leaves
            found = torch.autograd.grad(loss * len(data['fixed']), leaves, allow_unused=True)
        gradients = [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves)]
        values = {'loss': loss} | {key: value for key, value in terms.items() if not key.startswith('loss_')}
        # One wait for the GPU, not one for each term.
        return dict(zip(values, torch.stack([value.detach() for value in values.values()]).tolist())), gradients

    def _terms(self, data: Mapping[str, Any]) -> dict[str, Tensor]:
        """The model's losses; with a focus those of what is in it and of what is beside it, each seen by itself."""
        rest = dict(data)
        focus = rest.pop('fixed_focus_mask', None)
        if focus is None:
            return self.model(self._weighted(rest), mode='loss')
        inside, beside = (self.model(self._weighted(part), mode='loss') for part in _parts(rest, focus))
        return {key: (value + BESIDE * beside[key]) / (1 + BESIDE) for key, value in inside.items()}

    @property
    def device_type(self) -> str:
        return self.inputs['fixed'].device.type

    def _weighted(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs with, as each image's mask, what both images show there at the present field: zeros and ones."""
        result = dict(data)
        masks = data.get('fixed_mask'), data.get('moving_mask')
        if self.head.field is None or masks == (None, None):
            return result
        with torch.no_grad():
            size = data['fixed'].shape[2:]
            fields = [self.model.integrator(self.head.field), self.head.inverse]
            for name, own, other, field in zip(('fixed_mask', 'moving_mask'), masks, masks[::-1], fields):
                if field is None:
                    continue
                seen = torch.ones_like(data['fixed'][:, :1]) if own is None else own.float()
                if other is not None:
                    seen = seen * warp(other.float(), resize_field(field, size=size, values='aligned'))
                result[name] = _solid(seen)
        return result

    def _record(self, number: int, iteration: int, stage: Stage, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            self.result.curves.setdefault(name, []).append((number, iteration, value))
        if self.report is not None:
            level = stage.level
            self.report(
                Progress(
                    number,
                    len(self.stages),
                    iteration,
                    level.iterations,
                    losses,
                    level.step * level.share(iteration),
                    stage.images.spacing,
                )
            )

    @torch.no_grad()
    def _finish(self, field: Tensor) -> None:
        displacement = resize_field(self.model.integrator(field), size=self.full.size, values='aligned')
        displacement = unfold(displacement, self.settings.unfold)
        self.result.displacement = displacement
        self.result.folds = folded(displacement).float().flatten(1).mean(1).tolist()
        if self.settings.inverse:
            began = time.perf_counter()
            self.result.inverse_displacement, self.result.residual = invert_multilevel(displacement)
            self.result.seconds['inverse'] = time.perf_counter() - began


def _parts(data: Mapping[str, Any], focus: Tensor) -> Iterator[dict[str, Any]]:
    """The inputs with what is in the focus as the fixed mask, and with what is beside it; all where nothing is."""
    everything = data.get('fixed_mask', torch.ones_like(focus))
    for part in (focus >= 0.5, focus < 0.5):
        mask = everything * part
        empty = ~(mask >= 0.5).flatten(1).any(1).view(-1, *[1] * (mask.dim() - 1))
        yield {**data, 'fixed_mask': torch.where(empty, everything, mask)}


def _solid(mask: Tensor) -> Tensor:
    """Zeros and ones: inside from one half on, or wherever anything is left where that is nowhere."""
    inside = mask >= 0.5
    return torch.where(inside.flatten(1).any(1).view(-1, *[1] * (mask.dim() - 1)), inside, mask > 0).to(mask.dtype)


def _free_head(model: Registrar) -> tuple[FreeField, Objective]:
    """The head and the losses of a model that can be optimised."""
    if not isinstance(model.flow_head, FreeField):
        raise ConfigError(f'model.flow_head is a {type(model.flow_head).__name__}, expected FreeField to optimise.')
    if model.objective is None:
        raise ConfigError('model.losses is missing, expected at least one loss to optimise.')
    return model.flow_head, model.objective


def _working_grid(inputs: Mapping[str, Any]) -> Grid:
    fixed, moving = inputs['fixed'], inputs['moving']
    if fixed.shape != moving.shape or min(fixed.shape[2:]) < 2:
        raise DataError(
            f'moving has the shape {tuple(moving.shape)}, expected that of fixed, {tuple(fixed.shape)}, '
            'and at least 2 voxels per axis.'
        )
    size = tuple(fixed.shape[2:])
    spacing = tuple(float(s) for s in inputs.get('spacing', (1.0,) * len(size)))
    if len(spacing) != len(size) or min(spacing) <= 0:
        raise DataError(f'spacing is {spacing}, expected {len(size)} positive numbers in mm.')
    return Grid(size, spacing)
