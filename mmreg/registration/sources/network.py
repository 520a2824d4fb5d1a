"""A trained network as the source of displacements."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from mmreg.models import Registrar
from mmreg.registration.progress import ProgressCallback, tell
from mmreg.registration.working.pair import SourceResult, WorkingPair, stack
from mmreg.registration.working.preparation import Preparation
from mmreg.registration.working.stacks import slices_of, volume_of
from mmreg.registration.working.window import left_out
from mmreg.structures import Fields

from .base import Source, split_batch
from .maps import maps_of, maps_of_stack, raw_maps
from .prompts import label_inputs

#: Slices of a stack that a 2-D network sees at once.
_SLICES = 8


@dataclass
class Network(Source):
    """A trained network.

    Attributes:
        cfg: Config of the model, asked for a segmenter where the model wants a prompt.
    """

    model: Registrar
    preparation: Preparation
    cfg: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, pairs: Sequence[WorkingPair], watch: ProgressCallback = None) -> list[SourceResult]:
        if pairs[0].axis is not None:
            return [self._stack(on, on.axis, watch) for on in pairs if on.axis is not None]
        start = time.perf_counter()
        batch = stack([self._arrays(on) for on in pairs], self.device)
        prepared = time.perf_counter()
        tell(watch, 'network')
        with torch.no_grad():
            fields = self.model(batch, mode='tensor')
            displacement, inverse = fields.displacement.float().cpu(), _way_back(fields)
        seconds = {'prepare': prepared - start, 'network': time.perf_counter() - prepared}
        found = split_batch(pairs, displacement, {}, seconds)
        backward = [None] * len(pairs) if inverse is None else list(inverse)
        found = [
            replace(one, maps=maps, inverse=back) for one, maps, back in zip(found, maps_of(fields, pairs), backward)
        ]
        return [replace(one, warnings=[*one.warnings, *self._outside(on)]) for one, on in zip(found, pairs)]

    def _outside(self, on: WorkingPair) -> list[str]:
        """What a network of a certain size does not see."""
        sentence = None if self.preparation.size is None else left_out(on.pair.fixed.volume, on.grid)
        return [] if sentence is None else [sentence]

    def _stack(self, on: WorkingPair, axis: int, watch: ProgressCallback) -> SourceResult:
        """A 2-D model on a volume, slice by slice."""
        start = time.perf_counter()
        slices = slices_of(self._arrays(on), axis)
        prepared = time.perf_counter()
        count, parts, back, maps = len(slices['fixed']), [], [], []
        for first in range(0, count, _SLICES):
            tell(watch, 'network', f'slice {first + 1} of {count}', first / count)
            chosen = {key: array[first : first + _SLICES] for key, array in slices.items()}
            batch = {key: torch.from_numpy(array).to(self.device) for key, array in chosen.items()}
            with torch.no_grad():
                fields = self.model(batch, mode='tensor')
            parts.append(fields.displacement.float().cpu())
            back.append(_way_back(fields))
            maps.append(raw_maps(fields))
        seconds = {'prepare': prepared - start, 'network': time.perf_counter() - prepared}
        (found,) = split_batch([on], volume_of(torch.cat(parts), axis)[None], {}, seconds)
        known = [one for one in back if one is not None]
        inverse = volume_of(torch.cat(known), axis) if known else None
        return replace(found, maps=maps_of_stack(maps, on, axis), inverse=inverse)

    def _arrays(self, on: WorkingPair) -> dict[str, Any]:
        arrays = on.images(self.preparation)
        pair, head = on.pair, self.model.flow_head
        arrays |= label_inputs(self.cfg, head, pair.images, pair.labels, arrays['fixed'], on.grid, on.alignment.matrix)
        return arrays


def _way_back(fields: Fields) -> torch.Tensor | None:
    """The inverse displacement ``(N, ndim, *S)`` of heads that have one on the grid of the displacement, on the CPU."""
    found = fields.inverse_displacements
    if not found or found[0].shape != fields.displacement.shape or not torch.isfinite(found[0]).all():
        return None
    return found[0].float().cpu()
