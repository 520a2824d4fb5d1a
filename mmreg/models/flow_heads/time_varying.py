"""A time-varying velocity: small steps one after another, each seeing the images as moved so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmreg.models.base import FeatureSpec, FlowHead, Guidance, Integrator, LevelFeatures, require
from mmreg.models.blocks.flow_layer import FlowConv
from mmreg.models.blocks.swin.decoder import SkipUpBlock, conv_unit
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import compose, resize_field, warp
from mmreg.spatial.sampler import SAMPLERS, as_sampled
from mmreg.structures import Fields

UPDATES = ('compose', 'published')
_BATCH_NORM = {'type': 'BN'}


@FLOW_HEADS.register_module()
class TimeVaryingHead(FlowHead):
    """``u <- u o (id + f_t) + f_t`` for t = 1..T, on a grid twice as fine as the features.

    Step t: the moving image, averaged to that grid and warped by ``u``, and the fixed one through a convolution of the
    step's own; joined with the features, enlarged by 2; two convolutions; :class:`FlowConv`; the integrator turns the
    result into the displacement ``f_t`` of the step (identity in the published model). The last ``u`` is enlarged to
    the image's grid.

    Args:
        features: What the backbone returns, joint or in pairs (concatenated).
        steps: T.
        level: Which level of the features; None: the finest one that is coarser than the image along every axis.
        width: Channels of the images' convolution; None: those of the features.
        channels: Channels in front of the flow convolution.
        norm_cfg: Normalisation of the images' convolution; batch as published.
        update: ``'compose'``, or ``'published'``: ``u + f_t o (id + f_t)``.
        sampler: How published code applied fields, see :func:`mmreg.spatial.sampler.as_sampled`.
        init_std: See :class:`FlowConv`.
        bidirectional: Also return the inverse: the steps' inverses in the other order.

    ``Fields.velocities`` holds the displacement before ``sampler``, for regularisers; ``extras['steps']`` holds ``u``
    after every step, voxels of the steps' grid.

    Raises:
        ConfigError: no features coarser than the image, unknown options, or an inverse of the published update.

    Source: Chen et al., Learn2Reg 2024 (TransMorph-TVF, LUMIR baseline); golden baselines/transmorph_tvf.
    """

    def __init__(
        self,
        features: FeatureSpec,
        steps: int = 7,
        level: int | None = None,
        width: int | None = None,
        channels: int = 16,
        norm_cfg: dict[str, Any] | None = _BATCH_NORM,
        update: str = 'compose',
        sampler: str = 'aligned',
        init_std: float | None = 1e-5,
        bidirectional: bool = False,
    ):
        super().__init__(features)
        require(steps >= 1, self, f'got steps={steps}, expected 1 or more.')
        require(update in UPDATES, self, f'got update={update!r}, expected one of {UPDATES}.')
        require(sampler in SAMPLERS, self, f'got sampler={sampler!r}, expected one of {SAMPLERS}.')
        require(
            not bidirectional or update == 'compose', self, "got bidirectional=True, expected update='compose' with it."
        )
        usable = [k for k, stride in enumerate(features.strides) if all(s % 2 == 0 for s in stride)]
        require(
            bool(usable) if level is None else level in usable,
            self,
            f'needs features with an even stride along every axis, found {features.strides} (level={level}).',
        )
        self.level = usable[0] if level is None else level
        self.grid_stride = tuple(s // 2 for s in features.strides[self.level])
        self.update, self.sampler, self.bidirectional = update, sampler, bidirectional
        ndim = features.ndim
        inner = features.channels[self.level] * (2 if features.siamese else 1)
        width = width or inner
        self.images = nn.ModuleList(conv_unit(ndim, 2 * features.image_channels, width, norm_cfg) for _ in range(steps))
        self.up = nn.ModuleList(SkipUpBlock(ndim, inner, width, channels) for _ in range(steps))
        self.flows = nn.ModuleList(FlowConv(ndim, channels, init_std=init_std) for _ in range(steps))

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """One displacement on the image's grid."""
        chosen = features[self.level]
        chosen = chosen if isinstance(chosen, Tensor) else torch.cat(chosen, dim=1)
        fixed, moving = self._coarse(guidance['fixed']), self._coarse(guidance['moving'])
        forward = moving.new_zeros((len(moving), moving.dim() - 2, *moving.shape[2:]), dtype=_real(moving))
        backward = forward
        steps: list[Tensor] = []
        for images, up, flow in zip(self.images, self.up, self.flows):
            moved = warp(moving, as_sampled(forward, self.sampler)) if steps else moving
            seen = images(torch.cat([moved, fixed], dim=1))
            velocity = flow(up(chosen, seen))
            forward = self._advance(forward, integrator(velocity))
            if self.bidirectional:
                backward = compose(integrator.inverse(velocity), backward)
            steps.append(forward)
        size = guidance['fixed'].shape[2:]
        full = self._enlarge(forward, size)
        inverse = [self._enlarge(backward, size)] if self.bidirectional else []
        return Fields([as_sampled(full, self.sampler)], [full], inverse, {'steps': steps})

    def _advance(self, displacement: Tensor, step: Tensor) -> Tensor:
        if self.update == 'compose':
            return compose(displacement, step)
        return displacement + warp(step, as_sampled(step, self.sampler))

    def _coarse(self, image: Tensor) -> Tensor:
        """The image averaged to the grid of the steps."""
        if max(self.grid_stride) == 1:
            return image
        return (F.avg_pool2d if image.dim() == 4 else F.avg_pool3d)(image, self.grid_stride)

    @staticmethod
    def _enlarge(field: Tensor, size: Sequence[int]) -> Tensor:
        return resize_field(field, size=list(size), mode='centres')


def _real(image: Tensor) -> torch.dtype:
    return torch.float64 if image.dtype == torch.float64 else torch.float32
