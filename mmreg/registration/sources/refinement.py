"""Instance optimisation: what refines the displacement of a network, and by whose losses."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmreg.errors import ConfigError
from mmreg.io.plain import plain
from mmreg.models import Registrar
from mmreg.registration.inputs import Pair
from mmreg.registration.model import ConfigText
from mmreg.registration.presets.choice import choose_preset
from mmreg.registration.presets.preset import FALLBACK, Preset, load_preset, presets_digest
from mmreg.registry import LOSSES

from .instance import InstanceOptimisation, build_source

#: ``--preset`` of a refinement by the losses that the network was trained with.
OWN = 'network'
#: Kinds of losses that need nothing but the two images.
_UNSUPERVISED = ('image', 'field')


@dataclass(frozen=True)
class Refinement:
    """An optimisation that starts from a network, its config, and which preset it is."""

    key: str
    source: InstanceOptimisation
    config: ConfigText
    preset: Mapping[str, Any]


class Refining:
    """Makes the refinement for a pair.

    Args:
        model: The network.
        cfg: Its config.
        iterations: How many, all at full resolution.
        preset: Whose losses: a name, a file, ``'network'``, or None for a choice by the images.
        device: Where it runs.
        seed: Of the optimisation.
        steered: Whether landmarks pull the field.
    """

    def __init__(
        self,
        model: Registrar,
        cfg: Config | None,
        iterations: int,
        preset: str | Path | None,
        device: torch.device,
        seed: int,
        steered: bool = False,
    ):
        if iterations < 0:
            raise ConfigError(f'refine is {iterations}, expected a number of iterations, 0 or more.')
        self.model, self.cfg, self.iterations, self.device, self.seed = model, cfg, iterations, device, seed
        self.steered = steered
        self.own = str(preset) == OWN
        self.preset = None if preset is None or self.own else load_preset(preset)
        self._made: dict[str, Refinement] = {}
        if self.own:
            self._own_losses()

    def choose(self, pair: Pair) -> Refinement:
        """The refinement for a pair."""
        if self.own:
            return self._kept(OWN, lambda: self._make(OWN, load_preset(FALLBACK), 'the losses of the network', []))
        if self.preset is not None:
            preset = self.preset
            return self._kept(preset.name, lambda: self._make(preset.name, preset, 'by the user', []))
        choice = choose_preset(pair)
        made = self._kept(choice.name, lambda: self._make(choice.name, load_preset(choice.name), 'from the images', []))
        preset_words = {**made.preset, 'reasons': choice.reasons}
        return Refinement(made.key, made.source, made.config, preset_words)

    def settings(self) -> dict[str, Any]:
        """What the refinement depends on; plain values."""
        own = plain({'refine': self.iterations, 'seed': self.seed, 'by': OWN if self.own else None})
        if self.preset is not None:
            return {**own, 'refinement': self.preset.config.text}
        return {**own, 'presets': presets_digest()}

    def _kept(self, key: str, make: Any) -> Refinement:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _make(self, key: str, preset: Preset, chosen: str, reasons: list[str]) -> Refinement:
        cfg = copy.deepcopy(preset.cfg)
        cfg.optimisation.levels = last_level(cfg.optimisation, self.iterations)
        if self.own:
            cfg.model.losses = self._own_losses()
            for name in ('pyramid', 'label_values'):
                cfg.model.pop(name, None)
        spec = self.model.backbone.spec
        source = build_source(cfg, spec.ndim, spec.image_channels, self.device, self.seed, self.steered)
        described = {**preset.describe(), 'name': key, 'chosen': chosen, 'reasons': reasons}
        return Refinement(key, source, ConfigText(cfg), described)

    def _own_losses(self) -> dict[str, Any]:
        """Image and field losses of the network's config, of the finest level only."""
        losses = ((self.cfg or {}).get('model') or {}).get('losses') or {}
        kept = {
            name: _finest(loss)
            for name, loss in losses.items()
            if loss.get('weight', 1.0) and getattr(LOSSES.get(loss['type']), 'kind', None) in _UNSUPERVISED
        }
        kinds = {LOSSES.get(loss['type']).kind for loss in kept.values()}  # type: ignore[union-attr]
        if 'image' not in kinds:
            raise ConfigError(
                f"--preset {OWN}: the network's config has no image loss (model.losses: {list(losses)}), expected one; "
                'name a preset instead.'
            )
        return kept


def last_level(optimisation: Mapping[str, Any], iterations: int) -> list[dict[str, Any]]:
    """The finest level of a config's ``optimisation`` alone: what follows a field that is already good."""
    levels = list(optimisation.get('levels') or [{}])
    return [{**levels[-1], 'iterations': iterations}]


def _finest(loss: Mapping[str, Any]) -> dict[str, Any]:
    """A loss without what concerns coarser levels and other directions."""
    rest = {key: value for key, value in loss.items() if key not in ('levels', 'per_level', 'direction')}
    return rest | {key: values[0] for key, values in (loss.get('per_level') or {}).items()}
