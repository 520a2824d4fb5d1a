"""Optimisation between two contrasts in two parts: by self-similarity, then in the contrasts of both images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.models import Registrar
from mmreg.registration.progress import ProgressCallback
from mmreg.registration.working.curves import Curve, curves_of, in_both_contrasts
from mmreg.registration.working.pair import SourceResult, WorkingPair
from mmreg.registration.working.preparation import Preparation
from mmreg.spatial import warp

from .base import Source, added
from .instance import InstanceOptimisation

#: Channels that :func:`in_both_contrasts` makes.
CHANNELS = 3


@dataclass(frozen=True)
class CurveSettings:
    """The ``curves`` section of a preset.

    Attributes:
        preset: For one contrast: its losses and settings make the images alike that the curves show.
        levels: In place of those of that preset.
        explained: Where neither curve explains this share of the other image, what was found before is kept.
    """

    preset: str
    levels: Sequence[Mapping[str, Any]]
    explained: float = 0.2

    @classmethod
    def parse(cls, section: Any) -> CurveSettings:
        """Settings from the section.

        Raises:
            ConfigError: it is no section, a key is unknown or missing, or ``explained`` is out of range.
        """
        known = [one.name for one in fields(cls)]
        if not isinstance(section, Mapping) or set(section) - set(known) or {'preset', 'levels'} - set(section):
            found = sorted(section) if isinstance(section, Mapping) else repr(section)
            raise ConfigError(f'curves is {found}, expected the keys {known} (explained may be left out), or None.')
        settings = cls(**section)
        number = isinstance(settings.explained, (int, float)) and not isinstance(settings.explained, bool)
        if not number or not 0 <= settings.explained <= 1:
            raise ConfigError(f'curves.explained is {settings.explained!r}, expected a number from 0 to 1.')
        return settings


@dataclass
class ByCurves(Source):
    """What one optimisation found goes on in another, that sees each image in both contrasts.

    Attributes:
        first: Needs no common contrast.
        second: Compares images of one contrast, :data:`CHANNELS` channels.
        told: The section of the preset.
    """

    first: InstanceOptimisation
    second: InstanceOptimisation
    told: CurveSettings

    @property
    def model(self) -> Registrar:  # type: ignore[override]
        """That of the first optimisation."""
        return self.first.model

    @property
    def preparation(self) -> Preparation:  # type: ignore[override]
        """That of the first optimisation."""
        return self.first.preparation

    @property
    def device(self) -> torch.device:
        """Where both compute."""
        return self.first.device

    def __call__(self, pairs: Sequence[WorkingPair], watch: ProgressCallback = None) -> list[SourceResult]:
        return [self._after(on, result, watch) for on, result in zip(pairs, self.first(pairs, watch))]

    def settings(self) -> dict[str, Any]:
        """What the result's provenance says of both."""
        return {**self.first.settings(), 'curves': {**asdict(self.told), **self.second.settings()}}

    def _after(self, on: WorkingPair, found: SourceResult, watch: ProgressCallback) -> SourceResult:
        """What becomes of the first result; itself where it, or what follows, is doubted, or the curves say little."""
        images = {role: np.asarray(image[0]) for role, image in on.images(self.preparation, extend=True).items()}
        curves = self._curves(on, images, found.displacement)
        notes: dict[str, Any] = {f'{role}_explained': round(curve.explained, 3) for role, curve in curves.items()}
        kept = replace(found, notes={**found.notes, 'curves_found': {**notes, 'used': False}})
        if found.warnings or max(notes.values()) < self.told.explained:
            return kept
        shown = in_both_contrasts(images['fixed'], images['moving'], curves['moving'], curves['fixed'])
        channels = dict(zip(('fixed', 'moving'), shown))
        (later,) = self.second([on], watch, found.displacement[None], [channels])
        if later.warnings:
            return kept
        return replace(
            later,
            curves=_one_after_the_other(found.curves, later.curves),
            seconds=added(found.seconds, later.seconds),
            notes={**found.notes, **later.notes, 'curves_found': {**notes, 'used': True}},
        )

    def _curves(self, on: WorkingPair, images: Mapping[str, np.ndarray], displacement: Tensor) -> dict[str, Curve]:
        """By the role of the image whose brightness each of them explains."""
        masks = on.masks()
        field = displacement[None].float()

        def moved(array: np.ndarray, padding: str = 'border') -> np.ndarray:
            return warp(torch.from_numpy(array)[None, None], field, padding=padding)[0, 0].numpy()

        everywhere = np.ones(on.grid.shape, np.float32)
        seen = moved(masks['moving_mask'][0] if 'moving_mask' in masks else everywhere, 'zeros') >= 0.5
        counted = seen & (masks['fixed_mask'][0] > 0 if 'fixed_mask' in masks else True)
        to_moving, to_fixed = curves_of(images['fixed'], moved(images['moving']), counted)
        return {'moving': to_moving, 'fixed': to_fixed}


def _one_after_the_other(
    first: Mapping[str, Sequence[Any]], later: Mapping[str, Sequence[Any]]
) -> dict[str, list[tuple[int, int, float]]]:
    """Values of both optimisations, those of the later one with the levels counted on."""
    levels = 1 + max((level for rows in first.values() for level, _, _ in rows), default=-1)
    counted = {name: [(levels + level, k, value) for level, k, value in rows] for name, rows in later.items()}
    return {name: [*first.get(name, ()), *counted.get(name, ())] for name in {**first, **later}}
