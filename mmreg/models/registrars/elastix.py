"""The classical baseline of the spine system as a registrar: elastix instead of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmreg.errors import ConfigError, DataError
from mmreg.models.base import FeatureSpec, FlowHead
from mmreg.registry import REGISTRARS
from mmreg.structures import Fields, RegSample

from .elastix_run import run_elastix
from .registrar import Registrar


class _NoFeatures(nn.Module):
    """What stands in a registrar's backbone: the images as they are."""

    spec = FeatureSpec(3, (1,), ((1, 1, 1),), False, (1, 1, 1), (1, 1, 1))


class _NoHead(FlowHead):
    """What stands in its flow head."""

    #: Inference hands over the moving labels where they are given.
    prompt = 'moving_labels'


@REGISTRARS.register_module()
class ElastixRegistrar(Registrar):
    """Rigid and B-spline registration by elastix with a rigidity penalty inside the moving labels; 3-D, no training.

    Runs with ``itk-elastix``, an optional package, wherever a trained registrar does: ``tools/test.py`` scores it in
    the same table, ``tools/inference.py`` writes the same files. Without labels the penalty is left out.

    Args:
        iterations: Of both steps; the published 500 (B-spline) and 250 (rigid) when None.
        changes: Other elastix parameters of the B-spline step, by their elastix names.
        threads: How many; elastix decides when None.
        label_warp: See :class:`Registrar`.
        data_preprocessor: See :class:`Registrar`.

    Source: Klein et al., TMI 2010; Staring et al., Med. Phys. 2007; settings of the spine CT/MR system.
    """

    def __init__(
        self,
        iterations: int | None = None,
        changes: Mapping[str, Any] | None = None,
        threads: int | None = None,
        label_warp: str = 'nearest',
        data_preprocessor: dict[str, Any] | None = None,
    ):
        BaseModel.__init__(self, data_preprocessor or {'type': 'mmreg.RegDataPreprocessor'})
        if label_warp not in ('nearest', 'linear'):
            raise ConfigError(f"model.label_warp is {label_warp!r}, expected 'nearest' or 'linear'.")
        self.ndim, self.label_warp, self.pad, self.objective = 3, label_warp, True, None
        self.backbone, self.flow_head = _NoFeatures(), _NoHead(_NoFeatures.spec)
        self.iterations, self.changes, self.threads = iterations, dict(changes or {}), threads

    @property
    def size_divisor(self) -> tuple[int, ...]:
        """Any size."""
        return (1, 1, 1)

    @property
    def min_size(self) -> tuple[int, ...]:
        """Any size; elastix itself wants 8 voxels per axis."""
        return (1, 1, 1)

    def forward(
        self, inputs: dict[str, Any], data_samples: list[RegSample] | None = None, mode: str = 'tensor'
    ) -> Fields | dict[str, Tensor] | list[RegSample]:
        """As :meth:`Registrar.forward`; the voxel size comes from the samples, 1 mm where there are none."""
        if mode == 'loss':
            raise ConfigError('ElastixRegistrar has nothing to train, expected tools/test.py or tools/inference.py.')
        if inputs['fixed'].dim() == 5 and min(inputs['fixed'].shape[2:]) < 8:
            raise DataError(f'elastix got images of shape {tuple(inputs["fixed"].shape)}, expected 8 voxels per axis.')
        spacings = [sample.metainfo.get('spacing', (1.0,) * 3) for sample in data_samples or ()]
        return super().forward({**inputs, 'spacings': spacings}, data_samples, mode)

    def fields(self, inputs: Mapping[str, Any]) -> Fields:
        """One displacement per pair; ``spacings`` among the inputs are the voxel sizes of the pairs, mm."""
        labels, spacings = inputs.get('moving_labels'), inputs.get('spacings')
        found = []
        for n, (fixed, moving) in enumerate(zip(inputs['fixed'], inputs['moving'])):
            body = None if labels is None else labels[n, 0].cpu().numpy()
            spacing = spacings[n] if spacings else (1.0,) * 3
            target, source = (image[0].detach().float().cpu().numpy() for image in (fixed, moving))
            field = run_elastix(target, source, body, spacing, self.iterations, self.changes, self.threads)
            found.append(torch.from_numpy(field))
        return Fields([torch.stack(found).to(inputs['fixed'].device)])
