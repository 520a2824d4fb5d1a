"""Where a displacement comes from: a network, an optimisation, or an optimisation that starts from a network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from mmreg.errors import DataError
from mmreg.models import Registrar

from .maps import maps_of
from .preparation import Preparation
from .prompts import label_inputs
from .watch import Watch, tell
from .working import Moved, OnGrid, stack


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

    def __call__(self, pairs: Sequence[OnGrid], watch: Watch = None) -> list[Moved]:
        """One :class:`Moved` per pair.

        Raises:
            DataError: a displacement is not finite.
        """
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """What its results depend on, besides the config of the model; plain values."""
        return {}


@dataclass
class Network(Source):
    """A trained network.

    Attributes:
        cfg: Config of the model, asked for a segmenter where the model wants a prompt.
    """

    model: Registrar
    preparation: Preparation
    cfg: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, pairs: Sequence[OnGrid], watch: Watch = None) -> list[Moved]:
        start = time.perf_counter()
        batch = stack([self._arrays(on) for on in pairs], self.device)
        prepared = time.perf_counter()
        tell(watch, 'network')
        with torch.no_grad():
            fields = self.model(batch, mode='tensor')
            displacement = fields.displacement.float().cpu()
        seconds = {'prepare': prepared - start, 'network': time.perf_counter() - prepared}
        found = moved(pairs, displacement, {}, seconds)
        return [replace(one, maps=maps) for one, maps in zip(found, maps_of(fields, pairs))]

    def _arrays(self, on: OnGrid) -> dict[str, Any]:
        arrays = on.images(self.preparation)
        pair, head = on.pair, self.model.flow_head
        arrays |= label_inputs(self.cfg, head, pair.images, pair.labels, arrays['fixed'], on.grid, on.alignment.matrix)
        return arrays


@dataclass
class Optimisation(Source):
    """A model without weights whose field is fitted to each pair.

    Attributes:
        optimisation: The config key of this name.
        place: The device it runs on.
        seed: Of whatever is drawn.
    """

    model: Registrar
    preparation: Preparation
    optimisation: Mapping[str, Any]
    place: torch.device = field(default_factory=lambda: torch.device('cpu'))
    seed: int = 0

    @property
    def device(self) -> torch.device:
        return self.place

    def __call__(self, pairs: Sequence[OnGrid], watch: Watch = None, start: Tensor | None = None) -> list[Moved]:
        from .optimisation import optimise

        begin = time.perf_counter()
        inputs: dict[str, Any] = stack([self._arrays(on) for on in pairs], self.device)
        if 'landmark' in self._kinds():
            rows = [on.landmarks() for on in pairs]
            inputs |= {key: [torch.from_numpy(row[key]).to(self.device) for row in rows] for key in rows[0]}
        inputs['spacing'] = pairs[0].grid.spacing
        # The inverse is computed where it is wanted, on the fixed image's own grid.
        settings = {**self.optimisation, 'inverse': False}
        prepared = time.perf_counter()
        with seeded(self.seed, self.device):
            first = None if start is None else start.to(self.device)
            found = optimise(self.model, inputs, settings, start=first, progress=_teller(watch))
        seconds = {'prepare': prepared - begin, 'optimisation': time.perf_counter() - prepared}
        return moved(pairs, found.displacement.detach().float().cpu(), found.curves, seconds)

    def settings(self) -> dict[str, Any]:
        return {'optimisation': dict(self.optimisation), 'seed': self.seed}

    def _arrays(self, on: OnGrid) -> dict[str, Any]:
        arrays = on.images(self.preparation) | on.masks()
        if 'label' in self._kinds() or self._labels_required():
            arrays |= on.labels()
        return arrays

    def _terms(self) -> list[Any]:
        return [] if self.model.objective is None else list(self.model.objective.terms.values())

    def _kinds(self) -> set[str]:
        return {term.kind for term in self._terms()}

    def _labels_required(self) -> bool:
        return any('labels' in getattr(loss, 'requires', ()) for term in self._terms() for loss in term.losses)


@dataclass
class Refined(Source):
    """A network whose displacement is the start of an optimisation of the same pair."""

    network: Network
    refinement: Optimisation

    @property
    def model(self) -> Registrar:  # type: ignore[override]
        return self.network.model

    @property
    def preparation(self) -> Preparation:  # type: ignore[override]
        return self.network.preparation

    def __call__(self, pairs: Sequence[OnGrid], watch: Watch = None) -> list[Moved]:
        first = self.network(pairs, watch)
        second = self.refinement(pairs, watch, start=torch.stack([one.displacement for one in first]))
        return [
            Moved(new.displacement, new.curves, _added(old.seconds, new.seconds), new.notes)
            for old, new in zip(first, second)
        ]

    def settings(self) -> dict[str, Any]:
        return self.refinement.settings()


def moved(
    pairs: Sequence[OnGrid],
    displacement: Tensor,
    curves: Mapping[str, Sequence],
    seconds: Mapping[str, float],
) -> list[Moved]:
    """Split a batch into its pairs; times are those of the batch divided among them."""
    for on, one in zip(pairs, displacement):
        if not torch.isfinite(one).all():
            raise DataError(
                f'{on.pair.moving.name}: the model returned a displacement that is not finite, expected numbers'
            )
    shared = {key: value / len(pairs) for key, value in seconds.items()}
    notes = {'batch': len(pairs)}
    return [Moved(one, curves, shared, notes) for one in displacement]


def _teller(watch: Watch) -> Callable[[Any], None] | None:
    if watch is None:
        return None

    def told(progress: Any) -> None:
        done = (progress.level + (progress.iteration + 1) / max(1, progress.iterations)) / progress.levels
        detail = f'level {progress.level + 1} of {progress.levels}, loss {progress.losses["loss"]:.4g}'
        tell(watch, 'optimisation', detail, done)

    return told


def _added(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    return {key: first.get(key, 0.0) + second.get(key, 0.0) for key in {**first, **second}}


def device_of(model: Registrar) -> torch.device:
    """Where the weights of a model are; the CPU where it has none."""
    return next((p.device for p in model.parameters()), torch.device('cpu'))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers of a block start from ``seed``; those of the caller go on undisturbed."""
    with torch.random.fork_rng(devices=[device.index or 0] if device.type == 'cuda' else []):
        torch.manual_seed(seed)
        yield
