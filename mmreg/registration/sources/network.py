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

from .base import Source, split_batch
from .maps import maps_of
from .prompts import label_inputs


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
        start = time.perf_counter()
        batch = stack([self._arrays(on) for on in pairs], self.device)
        prepared = time.perf_counter()
        tell(watch, 'network')
        with torch.no_grad():
            fields = self.model(batch, mode='tensor')
            displacement = fields.displacement.float().cpu()
        seconds = {'prepare': prepared - start, 'network': time.perf_counter() - prepared}
        found = split_batch(pairs, displacement, {}, seconds)
        return [replace(one, maps=maps) for one, maps in zip(found, maps_of(fields, pairs))]

    def _arrays(self, on: WorkingPair) -> dict[str, Any]:
        arrays = on.images(self.preparation)
        pair, head = on.pair, self.model.flow_head
        arrays |= label_inputs(self.cfg, head, pair.images, pair.labels, arrays['fixed'], on.grid, on.alignment.matrix)
        return arrays
