"""Instance optimisation as the source of displacements: a field fitted to each pair, no weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from mmreg.models import Registrar
from mmreg.plugins import register_all_modules
from mmreg.registration.optimisation import Optimised, optimise
from mmreg.registration.progress import ProgressCallback, tell
from mmreg.registration.working.lungs import lungs_on_grid
from mmreg.registration.working.pair import SourceResult, WorkingPair, stack
from mmreg.registration.working.preparation import Preparation, find_preparation
from mmreg.registration.working.stacks import in_plane, in_space
from mmreg.registry import REGISTRARS

from .base import Source, split_batch
from .minimised import Minimised, minimised
from .second_opinion import Opinion, restrained, second_opinion

#: Share of what landmarks are off by that each iteration makes good, where a config does not say it.
PULL = 1.0


@dataclass
class InstanceOptimisation(Source):
    """A model without weights whose field is fitted to each pair.

    Attributes:
        optimisation: The config key of this name.
        place: The device it runs on.
        seed: Of whatever is drawn.
        steered: Whether the landmarks of a pair pull the field.
    """

    model: Registrar
    preparation: Preparation
    optimisation: Mapping[str, Any]
    place: torch.device = field(default_factory=lambda: torch.device('cpu'))
    seed: int = 0
    steered: bool = False

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.place

    def __call__(
        self,
        pairs: Sequence[WorkingPair],
        watch: ProgressCallback = None,
        start: Tensor | None = None,
        shown: Sequence[Mapping[str, np.ndarray]] | None = None,
    ) -> list[SourceResult]:
        """One result per pair.

        Args:
            pairs: On working grids of one size and spacing.
            watch: Told of the progress.
            start: Displacement ``(N, ndim, *S)`` voxels to begin with.
            shown: ``fixed`` and ``moving`` ``(C, *S)`` of each pair, which are made alike in place of the images; the
                second opinion is asked of the images themselves.
        """
        begin = time.perf_counter()
        originals = inputs = self._inputs(pairs)
        if shown is not None:
            inputs = originals | self._shown(shown, pairs[0].axis)
        # The inverse is computed where it is wanted, on the fixed image's own grid.
        settings = {**self.optimisation, 'inverse': False}
        if self.steered:
            settings.setdefault('landmark_pull', PULL)
        prepared = time.perf_counter()
        with seeded(self.seed, self.device):
            first = None if start is None else in_plane(start, pairs[0].axis).to(self.device)
            found = optimise(self.model, inputs, settings, start=first, progress=_teller(watch))
        seconds = {'prepare': prepared - begin, 'optimisation': time.perf_counter() - prepared}
        displacement = found.displacement.detach().float()
        opinions: list[Opinion | None] = [None] * len(pairs)
        if (start is None or shown is not None) and not self.steered:
            with seeded(self.seed, self.device):
                opinions = second_opinion(self.model, originals, displacement, settings, fitted_to=inputs)
        displacement = restrained(displacement, opinions)
        values = minimised(self.model, inputs, self.optimisation, displacement)
        results = split_batch(pairs, in_space(displacement.cpu(), pairs[0].axis), found.curves, seconds)
        count = len({level for level, _, _ in found.curves['loss']})
        judged = map(_judged, results, opinions, values)
        widened = [_blurred(_widened(result, found, n), found, n) for n, result in enumerate(judged)]
        return [_told(result, levels, count, start is not None) for result, levels in zip(widened, found.taken_back)]

    def settings(self) -> dict[str, Any]:
        """What the result's provenance says of the optimisation."""
        steered = {'steered': True} if self.steered else {}
        return {'optimisation': dict(self.optimisation), 'seed': self.seed, **steered}

    def _shown(self, shown: Sequence[Mapping[str, np.ndarray]], axis: int | None) -> dict[str, Any]:
        """What is seen instead of the images, a batch."""
        found = stack(shown, self.device)
        return {key: array if axis is None else array.squeeze(axis + 2) for key, array in found.items()}

    def _inputs(self, pairs: Sequence[WorkingPair]) -> dict[str, Any]:
        """What the optimiser is given; a single slice without its axis of one voxel."""
        axis = pairs[0].axis
        inputs: dict[str, Any] = {
            key: array if axis is None else array.squeeze(axis + 2)
            for key, array in stack([self._arrays(on) for on in pairs], self.device).items()
        }
        if self.steered or 'landmark' in self._kinds():
            rows = [on.landmarks() for on in pairs]
            kept = [k for k in range(pairs[0].grid.ndim) if k != axis]
            inputs |= {key: [torch.from_numpy(row[key][:, kept]).to(self.device) for row in rows] for key in rows[0]}
        inputs['spacing'] = tuple(s for k, s in enumerate(pairs[0].grid.spacing) if k != axis)
        return inputs

    def _arrays(self, on: WorkingPair) -> dict[str, Any]:
        arrays = on.images(self.preparation, extend=True) | on.masks() | self._focus(on)
        if 'label' in self._kinds() or self._labels_required():
            arrays |= on.labels()
        return arrays

    def _focus(self, on: WorkingPair) -> dict[str, Any]:
        """Where levels with ``focus`` look first: everywhere where the user says by masks what counts."""
        if self.optimisation.get('focus') != 'lungs':
            return {}
        shape = on.grid.shape
        lungs = np.ones(shape, bool) if on.given else lungs_on_grid(on.shown['fixed'].volume, on.grid)
        return {'fixed_focus_mask': lungs[None].astype(np.float32)}

    def _terms(self) -> list[Any]:
        return [] if self.model.objective is None else list(self.model.objective.terms.values())

    def _kinds(self) -> set[str]:
        return {term.kind for term in self._terms()}

    def _labels_required(self) -> bool:
        return any('labels' in loss.requires for term in self._terms() for loss in term.losses)


def _judged(result: SourceResult, opinion: Opinion | None, value: Minimised | None) -> SourceResult:
    notes = dict(result.notes)
    if value is not None:
        result = replace(result, minimised=(value.before, value.after))
        notes['minimised'] = asdict(value)
    if opinion is not None:
        result = replace(result, warnings=() if opinion.warning is None else (opinion.warning,))
        notes['second_opinion'] = asdict(opinion)
    return replace(result, notes=notes)


def _widened(result: SourceResult, found: Optimised, n: int) -> SourceResult:
    """The result of pair ``n`` with how much wider the Gaussians had to be because of noise, level by level."""
    factors = [level[n] for level in found.widening]
    if max(factors, default=1.0) == 1:
        return result
    told = {'share_of_range': found.noise[n], 'gaussians_wider': factors}
    return replace(result, notes={**result.notes, 'noise': told})


def _blurred(result: SourceResult, found: Optimised, n: int) -> SourceResult:
    """The result of pair ``n`` with the blur that made both images equally sharp."""
    blur = found.blurred[n] if found.blurred else None
    if blur is None:
        return result
    rounded = {role: [round(s, 2) for s in sigma] for role, sigma in blur.items()}
    return replace(result, notes={**result.notes, 'blurred_voxels': rounded})


def _told(result: SourceResult, taken_back: Sequence[int], levels: int, started: bool) -> SourceResult:
    """The result with the levels that helped nothing; a warning where that is all of them."""
    if not taken_back:
        return result
    left = 'the displacement that it began with is kept' if started else 'nothing was deformed'
    words = f'no level of the optimisation lowered what it minimises: {left}. Another preset may suit.'
    warnings = (*result.warnings, words) if len(taken_back) == levels else result.warnings
    return replace(result, warnings=warnings, notes={**result.notes, 'taken_back': list(taken_back)})


def build_source(
    cfg: Config, ndim: int, channels: int, device: torch.device, seed: int = 0, steered: bool = False
) -> InstanceOptimisation:
    """The optimisation of a preset for images of ``ndim`` axes and ``channels`` channels.

    Raises:
        ConfigError: its parts do not fit such images.
    """
    register_all_modules()
    model = dict(cfg.model)
    model['ndim'] = ndim
    if channels != 1:
        model['backbone'] = {**model['backbone'], 'image_channels': channels}
    registrar = REGISTRARS.build(model).to(device).eval()
    return InstanceOptimisation(registrar, find_preparation(cfg), dict(cfg.optimisation), device, seed, steered)


def _teller(watch: ProgressCallback) -> Callable[[Any], None] | None:
    if watch is None:
        return None

    def told(progress: Any) -> None:
        done = (progress.level + (progress.iteration + 1) / max(1, progress.iterations)) / progress.levels
        detail = f'level {progress.level + 1} of {progress.levels}, loss {progress.losses["loss"]:.4g}'
        tell(watch, 'optimisation', detail, done)

    return told


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers of a block start from ``seed``; those of the caller go on undisturbed."""
    with torch.random.fork_rng(devices=[device.index or 0] if device.type == 'cuda' else []):
        torch.manual_seed(seed)
        yield
