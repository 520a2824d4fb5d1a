"""LapIRN: one velocity per level of an image pyramid, each a residual on the one below (Mok and Chung, 2020, 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmreg.errors import DataError
from mmreg.models.base import FeatureSpec, Fields, FlowHead, Guidance, Integrator, LevelFeatures, require
from mmreg.models.blocks.lapirn import LaplacianPyramid
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import resize_field

#: Guidance and ``Fields.extras``: one number per sample in [0, 1], ``(N, 1)``; the larger, the smoother.
CODE = 'smoothness_code'


@FLOW_HEADS.register_module()
class LapIRNHead(FlowHead):
    """A residual velocity per level on what the coarser levels found; the moving features are warped in between.

    ``v_k = r_k + up(v_{k+1})``, ``d_k = S(v_k)``: with scaling and squaring (``padding='border'``) the published
    diffeomorphic network, with the identity integrator the displacement network. On :class:`ImagePyramid` it is LapIRN;
    any siamese backbone will do.

    Conditional (MICCAI 2021): the networks also see how smooth the field shall be, one number per sample in [0, 1]. In
    training it is drawn anew for every sample, and a smoothness loss with ``scaled_by='smoothness_code'`` follows it;
    otherwise it is ``code``, or ``smoothness_code`` ``(N, 1)`` among the inputs.

    Args:
        features: What the backbone returns: one feature map per image.
        code: The number that a conditional network gets outside training.
        stage: How many levels run, from the coarsest on; None: all. Finer levels repeat the last field, enlarged.
            Published training adds one level at a time.
        options: See :class:`~mmreg.models.blocks.lapirn.LaplacianPyramid`.

    Raises:
        ConfigError: joint features, or an option that does not exist.

    Source: Mok and Chung, MICCAI 2020 and 2021; goldens baselines/lapirn_*, clapirn*.
    """

    chosen_when_run = ('code', 'stage')

    def __init__(self, features: FeatureSpec, code: float = 0.1, stage: int | None = None, **options: Any):
        super().__init__(features)
        require(features.siamese, self, 'needs one feature map per image (a siamese backbone), found joint features.')
        self.pyramid = LaplacianPyramid(features, **options)
        levels = range(1, features.levels + 1)
        require(stage is None or stage in levels, self, f'got stage={stage}, expected 1 to {features.levels}.')
        require(0 <= code <= 1, self, f'got code={code}, expected a number from 0 to 1.')
        self.code, self.stage = code, stage

    @property
    def size_divisor(self) -> tuple[int, ...]:
        """What the pyramid's networks need."""
        return self.pyramid.size_divisor

    @property
    def min_size(self) -> tuple[int, ...]:
        """What the pyramid's networks need."""
        return self.pyramid.min_size

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """Velocities and displacements of all levels, finest first."""
        code = self._code(features[0][0], guidance) if self.pyramid.conditional else None
        runs = self.pyramid(features, integrator, code, self.stage, self.checkpoint_levels)
        sizes = [level[0].shape[2:] for level in features]
        velocities = self._all_levels([run.velocity for run in runs], sizes)
        displacements = self._all_levels([run.displacement for run in runs], sizes)
        if any(s != 1 for s in self.features.strides[0]):
            scale = [float(s) for s in self.features.strides[0]]
            displacements = [resize_field(u, scale=scale, values='aligned') for u in displacements]
        return Fields(displacements, velocities, extras={} if code is None else {CODE: code})

    def _all_levels(self, fields: list[Tensor], sizes: Sequence[Sequence[int]]) -> list[Tensor]:
        missing = sizes[: len(sizes) - len(fields)]
        return [*(self.pyramid.enlarge(fields[0], size) for size in missing), *fields]

    def _code(self, like: Tensor, guidance: Guidance) -> Tensor:
        given = guidance.get(CODE)
        if given is not None:
            if given.numel() not in (1, len(like)):
                raise DataError(f'{CODE} has the shape {tuple(given.shape)}, expected one number or ({len(like)}, 1).')
            return given.to(like).reshape(-1, 1).expand(len(like), 1)
        if self.training:
            return torch.rand(len(like), 1, device=like.device, dtype=like.dtype)
        return like.new_full((len(like), 1), self.code)
