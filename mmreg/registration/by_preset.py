"""Registration by a preset, found by what is in the images or named, fitted to each pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mmreg.errors import ConfigError
from mmreg.io.plain import plain

from .inputs import Pair
from .method import Method
from .model import choose_device
from .optimisation.settings import Settings
from .options import RunOptions
from .pipeline import Pipeline
from .planes import are_slices
from .presets.choice import PresetChoice, choose_preset
from .presets.preset import Preset, load_preset, presets_digest
from .sources.base import Source
from .sources.curves import CHANNELS, ByCurves, CurveSettings
from .sources.instance import build_source
from .sources.undeformed import Undeformed

#: Settings of a preset's optimisation that hold for the one that follows it, too.
_SHARED = ('quick', 'smoothness')


class PresetRegistration(Pipeline):
    """Registers pairs of images by optimisation, as a preset says.

    Args:
        preset: Name or config file; chosen for each pair by what is in the files where None.
        device: ``'cpu'``, ``'cuda'``, ...; the GPU where there is one by default.
        cfg_options: Changes of the preset's config keys.
        label_sets: ``'equal'`` or ``'overlap'``: what two label maps must have in common.
        labels: Label values to score; all but background by default.
        seed: Of everything that is drawn.
        only: ``'rigid'``, ``'similarity'`` or ``'affine'``: such a map is all that is searched for.
        use_landmarks: ``'start'``, ``'loss'`` or both: landmarks of both images steer.

    Example:
        >>> register = PresetRegistration('brain_t1')  # doctest: +SKIP
        >>> register('fixed.nii.gz', 'moving.nrrd', affine='auto', out_dir='out').metrics  # doctest: +SKIP
    """

    def __init__(
        self,
        preset: str | Path | None = None,
        device: str | torch.device | None = None,
        cfg_options: Mapping[str, Any] | None = None,
        label_sets: str = 'equal',
        labels: Sequence[int] | None = None,
        seed: int = 0,
        only: str | None = None,
        use_landmarks: Sequence[str] | None = None,
    ):
        options = RunOptions(
            preset=preset, device=device, seed=seed, cfg_options=cfg_options, label_sets=label_sets, labels=labels,
            only=only, use_landmarks=use_landmarks,
        )  # fmt: skip
        super().__init__(options)
        self.device = choose_device(device)
        self.cfg_options = dict(cfg_options or {})
        self.preset = None if preset is None else load_preset(preset, cfg_options)
        self._presets: dict[str, Preset] = {}
        self._sources: dict[tuple[Any, ...], Source] = {}

    def method(self, pair: Pair) -> Method:
        """The given preset's method, or that of the preset chosen for this pair."""
        if self.preset is not None:
            return self._method(self.preset, pair, 'by the user', [])
        return self.chosen_method(pair, choose_preset(pair))

    def chosen_method(self, pair: Pair, choice: PresetChoice) -> Method:
        """The method of a preset that was chosen by what is in the images."""
        if choice.name not in self._presets:
            self._presets[choice.name] = load_preset(choice.name, self.cfg_options)
        return self._method(self._presets[choice.name], pair, 'from the images', choice.reasons)

    def settings(self) -> dict[str, Any]:
        """What the result's provenance says of the method."""
        if self.preset is None:
            own: dict[str, Any] = {'presets': presets_digest(), 'cfg_options': plain(self.cfg_options)}
        else:
            own = {'config': self.preset.config.text}
        return {**own, 'seed': self.options.seed, 'only': self.options.only, **self.used_landmarks()}

    def _method(self, preset: Preset, pair: Pair, chosen: str, reasons: Sequence[str]) -> Method:
        ndim, channels = 2 if are_slices(pair) else pair.fixed.geometry.ndim, pair.fixed.volume.channels
        key = (preset.name, ndim, channels)
        if key not in self._sources:
            self._sources[key] = self._source(preset, ndim, channels)
        source = self._sources[key]
        if self.options.only is not None:
            source = Undeformed(source)
        return Method(
            source=source,
            preparation=source.preparation,
            affine=preset.cfg.get('affine'),
            configs={'config': preset.config},
            preset={**preset.describe(), 'chosen': chosen, 'reasons': list(reasons)},
        )

    def _source(self, preset: Preset, ndim: int, channels: int) -> Source:
        """The optimisation of a preset, followed by one in both contrasts where the preset has ``curves``."""
        told = (self.device, self.options.seed, self.options.steers('loss'))
        first = build_source(preset.cfg, ndim, channels, *told)
        section = preset.cfg.get('curves')
        if section is None or channels != 1:
            return first
        settings = CurveSettings.parse(section)
        shared = {
            f'optimisation.{key}': preset.cfg.optimisation[key] for key in _SHARED if key in preset.cfg.optimisation
        }
        try:
            later = load_preset(settings.preset, {**shared, 'optimisation.levels': settings.levels})
            Settings.parse(later.cfg.optimisation)
        except ConfigError as error:
            raise ConfigError(f'curves of the preset {preset.name}: {error}') from None
        return ByCurves(first, build_source(later.cfg, ndim, CHANNELS, *told), settings)


def smoothed(cfg_options: Mapping[str, Any] | None, smoothness: float) -> Mapping[str, Any] | None:
    """The changes of a preset's keys with the factor on its lengths."""
    return cfg_options if smoothness == 1 else {**(cfg_options or {}), 'optimisation.smoothness': float(smoothness)}
