"""Registering two images with a trained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmreg.errors import DataError
from mmreg.models import Registrar

from .alignment import DEFAULT
from .inputs import Pair
from .method import Method
from .model import ConfigText, LoadedModel, load_model
from .options import RunOptions
from .pipeline import Pipeline
from .sources.base import Source
from .sources.network import Network
from .sources.prompts import needed_files
from .sources.refined import Refined
from .sources.refinement import Refining
from .working.preparation import Preparation, find_preparation


class RegistrationInferencer(Pipeline):
    """Registers pairs of images with one model.

    Both images may have any size, spacing and orientation; a 2-D model takes a volume slice by slice. The network works
    on a grid made from the fixed image (see :func:`~mmreg.registration.working.preparation.working_grid`); its
    displacement is brought back to the fixed image's own grid, and everything is sampled once from the original moving
    voxels.

    Args:
        config: Config path, Config, or a model that is already built; None: a converted checkpoint says itself which
            network it belongs to.
        checkpoint: Weights.
        device: ``'cpu'``, ``'cuda'``, ...; the GPU where there is one by default.
        cfg_options: Changes of config keys.
        preparation: What is done to the images; found in the config and the checkpoint by default.
        label_sets: ``'equal'`` or ``'overlap'``: what two label maps must have in common.
        labels: Label values to score; all but background by default.
        refine: Iterations of an optimisation that starts from the network's displacement; 0: none.
        preset: Whose losses and settings refine: a preset's name or file, ``'network'`` for the losses of the config
            itself; chosen by the images where None.
        seed: Of the affine search and of the refinement.
        use_landmarks: ``'start'``, ``'loss'`` (in the refinement) or both: landmarks of both images steer.

    Example:
        >>> register = RegistrationInferencer('configs/eoir_lumir.py', 'eoir.pth')  # doctest: +SKIP
        >>> register('fixed.nii.gz', 'moving.nrrd', out_dir='out').metrics  # doctest: +SKIP
    """

    def __init__(
        self,
        config: str | Path | Config | Registrar | None,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        cfg_options: Mapping[str, Any] | None = None,
        preparation: Preparation | None = None,
        label_sets: str = 'equal',
        labels: Sequence[int] | None = None,
        refine: int = 0,
        preset: str | Path | None = None,
        seed: int = 0,
        use_landmarks: Sequence[str] | None = None,
    ):
        options = RunOptions(
            preset=preset, model=config, checkpoint=checkpoint, refine=refine, device=device, seed=seed,
            cfg_options=cfg_options, label_sets=label_sets, labels=labels, use_landmarks=use_landmarks,
        )  # fmt: skip
        super().__init__(options)
        if isinstance(config, Registrar):
            self.loaded = LoadedModel.of(config if device is None else config.to(device))
        else:
            self.loaded = load_model(config, checkpoint, device, cfg_options)
        self.model, self.cfg, self.meta = self.loaded.registrar, self.loaded.config.cfg, self.loaded.meta
        where = str(self.loaded.checkpoint or 'the checkpoint')
        self.preparation = preparation or find_preparation(self.loaded.cfg, self.meta, where)
        self.channels = self.model.backbone.spec.image_channels
        self.network = Network(self.model, self.preparation, self.loaded.cfg)
        steered = options.steers('loss')
        self.refining = Refining(self.model, self.cfg, refine, preset, self.device, seed, steered) if refine else None
        self._refined: dict[str, Refined] = {}

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.network.device

    def needed(self) -> tuple[str, ...]:
        """Files without which the model's prompt cannot be had."""
        return (*super().needed(), *needed_files(self.model.flow_head))

    def method(self, pair: Pair) -> Method:
        """The network for this pair, refined where that is asked for."""
        for image in pair.images.values():
            if image.geometry.ndim < self.model.ndim:
                raise DataError(
                    f'{image.name}: found a {image.geometry.ndim}-D image, expected {self.model.ndim}-D for this model'
                )
            if image.geometry.ndim > self.model.ndim and self.refining is not None:
                raise DataError(
                    f'{image.name}: found a {image.geometry.ndim}-D image, which this 2-D model takes slice by slice; '
                    'refine=0 is expected with it'
                )
        if self.refining is None:
            return self._method(self.network)
        found = self.refining.choose(pair)
        if found.key not in self._refined:
            self._refined[found.key] = Refined(self.network, found.source)
        return self._method(self._refined[found.key], {'refinement': found.config}, found.preset)

    def settings(self) -> dict[str, Any]:
        """What the result's provenance says of the method."""
        own = {**self._method(self.network).settings(), **self.used_landmarks()}
        return own if self.refining is None else {**own, **self.refining.settings()}

    def _method(
        self, source: Source, configs: Mapping[str, ConfigText] | None = None, preset: Mapping[str, Any] | None = None
    ) -> Method:
        return Method(
            source=source,
            preparation=self.preparation,
            affine=self.loaded.cfg.get('affine', DEFAULT),
            configs={'config': self.loaded.config, **(configs or {})},
            preset=preset or {},
            checkpoint=self.loaded.described_checkpoint(),
            meta=self.meta,
        )
