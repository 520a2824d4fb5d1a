"""Instance optimisation that starts from the displacement of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from mmreg.models import Registrar
from mmreg.registration.progress import ProgressCallback
from mmreg.registration.working.pair import SourceResult, WorkingPair
from mmreg.registration.working.preparation import Preparation

from .base import Source, added
from .instance import InstanceOptimisation
from .network import Network


@dataclass
class Refined(Source):
    """A network whose displacement is the start of an optimisation of the same pair."""

    network: Network
    refinement: InstanceOptimisation

    @property
    def model(self) -> Registrar:  # type: ignore[override]
        """The network's registrar."""
        return self.network.model

    @property
    def preparation(self) -> Preparation:  # type: ignore[override]
        """The network's own."""
        return self.network.preparation

    def __call__(self, pairs: Sequence[WorkingPair], watch: ProgressCallback = None) -> list[SourceResult]:
        first = self.network(pairs, watch)
        second = self.refinement(pairs, watch, start=torch.stack([one.displacement for one in first]))
        return [replace(new, seconds=added(old.seconds, new.seconds)) for old, new in zip(first, second)]

    def settings(self) -> dict[str, Any]:
        """What the result's provenance says of the refinement."""
        return self.refinement.settings()
