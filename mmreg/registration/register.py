"""Registration without training: a preset, found or named, fitted to each pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mmreg.errors import ConfigError
from mmreg.io.plain import plain

from .alignment import AffineLike
from .inputs import ImageLike, LandmarksLike, Pair
from .method import Method
from .model import choose_device
from .pipeline import Pipeline
from .presets.choice import choose_preset
from .presets.preset import Preset, load_preset, presets_digest
from .progress import ProgressCallback
from .results.result import RegistrationResult
from .sources.instance import InstanceOptimisation, build_source


class PresetRegistration(Pipeline):
    """Registers pairs of images by optimisation, as a preset says.

    Args:
        preset: Name or config file; chosen for each pair by what is in the files where None.
        device: ``'cpu'``, ``'cuda'``, ...; the GPU where there is one by default.
        cfg_options: Changes of the preset's config keys.
        label_sets: ``'equal'`` or ``'overlap'``: what two label maps must have in common.
        labels: Label values to score; all but background by default.
        seed: Of everything that is drawn.

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
    ):
        super().__init__(label_sets, labels, seed)
        self.device = choose_device(device)
        self.cfg_options = dict(cfg_options or {})
        self.preset = None if preset is None else load_preset(preset, cfg_options)
        self._presets: dict[str, Preset] = {}
        self._sources: dict[tuple, InstanceOptimisation] = {}

    def method(self, pair: Pair) -> Method:
        if self.preset is not None:
            return self._method(self.preset, pair, 'by the user', [])
        choice = choose_preset(pair)
        if choice.name not in self._presets:
            self._presets[choice.name] = load_preset(choice.name, self.cfg_options)
        return self._method(self._presets[choice.name], pair, 'from the images', choice.reasons)

    def settings(self) -> dict[str, Any]:
        if self.preset is None:
            own: dict[str, Any] = {'presets': presets_digest(), 'cfg_options': plain(self.cfg_options)}
        else:
            own = {'config': self.preset.config.text}
        return {**own, 'seed': self.seed}

    def _method(self, preset: Preset, pair: Pair, chosen: str, reasons: Sequence[str]) -> Method:
        ndim, channels = pair.fixed.geometry.ndim, pair.fixed.volume.channels
        key = (preset.name, ndim, channels)
        if key not in self._sources:
            self._sources[key] = build_source(preset.cfg, ndim, channels, self.device, self.seed)
        source = self._sources[key]
        return Method(
            source=source,
            preparation=source.preparation,
            affine=preset.cfg.get('affine'),
            configs={'config': preset.config},
            preset={**preset.describe(), 'chosen': chosen, 'reasons': list(reasons)},
        )


def register(
    fixed: ImageLike,
    moving: ImageLike,
    *,
    preset: str | Path | None = None,
    model: Any = None,
    checkpoint: str | Path | None = None,
    refine: int = 0,
    affine: AffineLike = 'auto',
    device: str | torch.device | None = None,
    seed: int = 0,
    cfg_options: Mapping[str, Any] | None = None,
    label_sets: str = 'equal',
    labels: Sequence[int] | None = None,
    fixed_labels: ImageLike | None = None,
    moving_labels: ImageLike | None = None,
    fixed_mask: ImageLike | None = None,
    moving_mask: ImageLike | None = None,
    fixed_landmarks: LandmarksLike | None = None,
    moving_landmarks: LandmarksLike | None = None,
    landmark_frame: str | None = None,
    case_id: str | None = None,
    out_dir: str | Path | None = None,
    watch: ProgressCallback = None,
) -> RegistrationResult:
    """Register two images, without training or with a trained network.

    Args:
        fixed: Path (NIfTI, NRRD, MHA, DICOM folder), Volume, SimpleITK image or (array, geometry).
        moving: The same; it may live on any other grid.
        preset: Name or config file of a preset; chosen by what is in the images where None.
        model: Config (path or Config) of a trained network, or the model itself; the displacement is then its own.
        checkpoint: Weights of the network.
        refine: Iterations of an optimisation that starts from the network's displacement; ``preset`` names its losses.
        affine: ``'auto'`` (as the preset says), ``'affine'``, ``'similarity'``, ``'rigid'``, ``'translation'``,
            ``'centres'``, ``'none'``, a file, or a ``(ndim+1, ndim+1)`` matrix fixed world -> moving world, RAS mm.
        device: ``'cpu'``, ``'cuda'``, ...; the GPU where there is one by default.
        seed: Of everything that is drawn: the same seed on the same machine gives the same result, to the bit.
        cfg_options: Changes of config keys (of the network where there is one, else of the preset).
        label_sets: ``'equal'`` or ``'overlap'``: what two label maps must have in common.
        labels: Label values to score; all but background by default.
        fixed_labels: Label map on the grid of ``fixed``; scored where both are given.
        moving_labels: Label map on the grid of ``moving``; warped with nearest neighbour.
        fixed_mask: Where the similarity counts, on the grid of ``fixed``.
        moving_mask: The same on the grid of ``moving``.
        fixed_landmarks: Points of the fixed image: CSV, Slicer file, Landmarks or ``(P, ndim)`` RAS mm.
        moving_landmarks: Their partners.
        landmark_frame: ``'voxel'``, ``'ras'`` or ``'lps'`` of CSV files; told from the file by default.
        case_id: Name of the pair.
        out_dir: Folder to write everything to; nothing is written where None.
        watch: Called with where the registration is (:class:`mmreg.registration.progress.ProgressEvent`).

    Raises:
        InputError: one sentence for whatever is wrong with an input.

    Example:
        >>> result = register('fixed.nii.gz', 'moving.nii.gz', out_dir='out')  # doctest: +SKIP
        >>> result.warped, result.transform, result.metrics  # doctest: +SKIP
    """
    pipeline = make_pipeline(
        preset=preset, model=model, checkpoint=checkpoint, refine=refine, device=device, seed=seed,
        cfg_options=cfg_options, label_sets=label_sets, labels=labels,
    )  # fmt: skip
    return pipeline(
        fixed, moving,
        fixed_labels=fixed_labels, moving_labels=moving_labels, fixed_mask=fixed_mask, moving_mask=moving_mask,
        fixed_landmarks=fixed_landmarks, moving_landmarks=moving_landmarks, landmark_frame=landmark_frame,
        affine=affine, case_id=case_id, out_dir=out_dir, watch=watch,
    )  # fmt: skip


def make_pipeline(
    *,
    preset: str | Path | None = None,
    model: Any = None,
    checkpoint: str | Path | None = None,
    refine: int = 0,
    device: str | torch.device | None = None,
    seed: int = 0,
    cfg_options: Mapping[str, Any] | None = None,
    label_sets: str = 'equal',
    labels: Sequence[int] | None = None,
) -> Pipeline:
    """What registers pairs as :func:`register` is told: a preset, or a network with or without refinement.

    Raises:
        ConfigError: options that contradict each other.
    """
    if model is None:
        for name, value in (('checkpoint', checkpoint), ('refine', refine)):
            if value:
                raise ConfigError(f'{name} was given without a model, expected the config of a network with it.')
        return PresetRegistration(preset, device, cfg_options, label_sets, labels, seed)
    if preset is not None and not refine:
        raise ConfigError('preset and model were given, expected one of them, or the number of refine iterations too.')
    from .inferencer import RegistrationInferencer

    return RegistrationInferencer(
        model, checkpoint, device, cfg_options, None, label_sets, labels, refine=refine, preset=preset, seed=seed
    )
