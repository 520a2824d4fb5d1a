"""The base of all sources: from pairs on working grids to displacements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmreg.errors import DataError
from mmreg.models import Registrar
from mmreg.registration.progress import ProgressCallback
from mmreg.registration.working.pair import SourceResult, WorkingPair
from mmreg.registration.working.preparation import Preparation


class Source:
    """From pairs on working grids of one size and spacing to displacements.

    Attributes:
        model: The registrar that makes the displacement.
        preparation: What it wants done to the images.
    """

    model: Registrar
    preparation: Preparation

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return device_of(self.model)

    def __call__(self, pairs: Sequence[WorkingPair], watch: ProgressCallback = None) -> list[SourceResult]:
        """One :class:`SourceResult` per pair.

        Raises:
            DataError: a displacement is not finite.
        """
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """What its results depend on, besides the config of the model; plain values."""
        return {}


def split_batch(
    pairs: Sequence[WorkingPair],
    displacement: Tensor,
    curves: Mapping[str, Sequence[Any]],
    seconds: Mapping[str, float],
) -> list[SourceResult]:
    """Split a batch ``(N, ndim, *spatial)`` into its pairs; times are those of the batch divided among them."""
    for on, one in zip(pairs, displacement):
        if not torch.isfinite(one).all():
            raise DataError(
                f'{on.pair.moving.name}: the model returned a displacement that is not finite, expected numbers'
            )
    shared = {key: value / len(pairs) for key, value in seconds.items()}
    notes = {'batch': len(pairs)}
    return [SourceResult(one, curves, shared, notes) for one in displacement]


def device_of(model: Registrar) -> torch.device:
    """Where the weights of a model are; the CPU where it has none."""
    return next((p.device for p in model.parameters()), torch.device('cpu'))


def added(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """Seconds by step of two sources, one after the other."""
    return {step: first.get(step, 0.0) + second.get(step, 0.0) for step in {**first, **second}}
