"""Registration without training: a preset, found or named, fitted to each pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mmreg.io.label_tables import read_label_names
from mmreg.io.plain import plain
from mmreg.utils.described import split_keywords, with_keywords

from .files import PairFiles
from .inputs import Pair
from .method import Method
from .model import choose_device
from .options import RunOptions
from .pipeline import Pipeline
from .planes import are_slices
from .presets.choice import choose_preset
from .presets.preset import Preset, load_preset, presets_digest
from .progress import ProgressCallback
from .results.result import RegistrationResult
from .sources.base import Source
from .sources.instance import InstanceOptimisation, build_source
from .sources.undeformed import Undeformed
from .types import ImageLike


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
        self._sources: dict[tuple[Any, ...], InstanceOptimisation] = {}

    def method(self, pair: Pair) -> Method:
        """The given preset's method, or that of the preset chosen for this pair."""
        if self.preset is not None:
            return self._method(self.preset, pair, 'by the user', [])
        choice = choose_preset(pair)
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
            self._sources[key] = build_source(
                preset.cfg, ndim, channels, self.device, self.options.seed, self.options.steers('loss')
            )
        source: Source = self._sources[key]
        if self.options.only is not None:
            source = Undeformed(source)
        return Method(
            source=source,
            preparation=source.preparation,
            affine=preset.cfg.get('affine'),
            configs={'config': preset.config},
            preset={**preset.describe(), 'chosen': chosen, 'reasons': list(reasons)},
        )


@with_keywords(PairFiles, RunOptions)
def register(
    fixed: ImageLike,
    moving: ImageLike,
    *,
    case_id: str | None = None,
    out_dir: str | Path | None = None,
    watch: ProgressCallback = None,
    **keywords: Any,
) -> RegistrationResult:
    """Register two images, without training or with a trained network.

    Args:
        {keywords}
        case_id: Name of the pair; made from the two file names by default.
        out_dir: Folder to write everything to; nothing is written where None.
        watch: Called with where the registration is (:class:`mmreg.registration.progress.ProgressEvent`).

    Raises:
        InputError: one sentence for whatever is wrong with an input.

    Example:
        >>> import numpy as np
        >>> grid = np.indices((24, 24)) - 12.0
        >>> fixed, moving = (np.exp(-(((grid - shift) / 4) ** 2).sum(0)) for shift in (0.0, 1.0))
        >>> quick = {'optimisation.levels': [dict(spacing=1.0, iterations=1)]}
        >>> pair = (fixed, np.eye(3)), (moving, np.eye(3))
        >>> result = register(*pair, preset='generic', affine='none', cfg_options=quick)
        >>> result.displacement.shape
        (2, 24, 24)
    """
    files, options = split_keywords({'fixed': fixed, 'moving': moving, **keywords}, PairFiles, RunOptions)
    run = RunOptions(**options)
    return make_pipeline(run)(
        **files, affine=run.affine, landmark_frame=run.landmark_frame, case_id=case_id, out_dir=out_dir, watch=watch
    )


def make_pipeline(options: RunOptions) -> Pipeline:
    """What registers pairs as the options say: a preset, or a network with or without refinement.

    Raises:
        ConfigError: options that contradict each other.
        DataError: a table of label names that cannot be read.
    """
    options.check()
    names = _label_names(options.label_names)  # a table that cannot be read is told before anything is built
    return _built(options).presenting(options, names)


def _label_names(given: str | Path | Mapping[int, str] | None) -> Mapping[int, str]:
    if isinstance(given, Mapping):
        return {int(value): str(name) for value, name in given.items()}
    return {} if given is None else read_label_names(given)


def _built(options: RunOptions) -> Pipeline:
    shared: dict[str, Any] = {
        'device': options.device,
        'cfg_options': options.cfg_options,
        'label_sets': options.label_sets,
        'labels': options.labels,
        'seed': options.seed,
        'use_landmarks': options.use_landmarks,
    }
    pipeline: Pipeline
    if options.fast:
        from .fast import FastRegistration

        pipeline = FastRegistration(refine=options.refine, preset=options.preset, **shared)
    elif not options.network:
        if options.smoothness != 1:
            factor = {'optimisation.smoothness': float(options.smoothness)}
            shared['cfg_options'] = {**(options.cfg_options or {}), **factor}
        pipeline = PresetRegistration(options.preset, only=options.only, **shared)
    else:
        from .inferencer import RegistrationInferencer

        pipeline = RegistrationInferencer(
            options.model, options.checkpoint, refine=options.refine, preset=options.preset, **shared
        )
    pipeline.options = options  # all of them, also those that neither of the two takes itself
    return pipeline
