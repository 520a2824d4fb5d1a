"""Control points of a free-form deformation from features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmreg.errors import ConfigError
from mmreg.models.base import FeatureSpec, FlowHead, Guidance, Integrator, LevelFeatures, require
from mmreg.models.blocks.flow_layer import FlowConv
from mmreg.models.blocks.layers import ConvBlock
from mmreg.models.integrators.bspline_ffd import BSplineFFD
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import resize
from mmreg.spatial.sampler import SAMPLERS, as_sampled
from mmreg.structures import Fields

from .conv_flow import RESAMPLINGS

_LEAKY = {'type': 'LeakyReLU', 'negative_slope': 0.2}


@FLOW_HEADS.register_module()
class FFDHead(FlowHead):
    """Features of one level, resized to the control grid, convolved to control points; the integrator is
    :class:`BSplineFFD`.

    Args:
        features: What the backbone returns, joint or in pairs (concatenated).
        level: Which of its levels (0 is the finest); best the one whose stride is nearest to the spacing.
        channels: Widths of the convolutions on the control grid.
        init_std: See :class:`FlowConv`.
        resampling: How features are read on the control grid: ``'linear'`` (aligned corners) or ``'centres'`` (aligned
            outer edges, TransMorph-bspl).
        sampler: How published code applied the field, see :func:`mmreg.spatial.sampler.as_sampled`.

    Raises:
        ConfigError: no such level; when the model is built, an integrator without control points.

    Source: Qiu et al., MIDL 2021 (MIDIR).
    """

    def __init__(
        self,
        features: FeatureSpec,
        level: int = 0,
        channels: Sequence[int] = (32, 16),
        init_std: float | None = 1e-5,
        resampling: str = 'linear',
        sampler: str = 'aligned',
    ):
        super().__init__(features)
        require(resampling in RESAMPLINGS, self, f'got resampling={resampling!r}, expected one of {RESAMPLINGS}.')
        self.resampling = resampling
        require(sampler in SAMPLERS, self, f'got sampler={sampler!r}, expected one of {SAMPLERS}.')
        self.sampler = sampler
        require(0 <= level < features.levels, self, f'got level={level}, expected 0 to {features.levels - 1}.')
        self.level = level
        widths = [features.channels[level] * (2 if features.siamese else 1), *channels]
        self.mix = nn.Sequential(*[ConvBlock(features.ndim, a, b, act_cfg=_LEAKY) for a, b in zip(widths, widths[1:])])
        self.flow = FlowConv(features.ndim, widths[-1], init_std=init_std)

    def check_integrator(self, integrator: Integrator) -> None:
        """Only control points come out of this head."""
        if not isinstance(integrator, BSplineFFD):
            raise ConfigError(f'FFDHead got the integrator {type(integrator).__name__}, expected BSplineFFD.')

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """One velocity, the control points in voxels of the image's grid, and one displacement."""
        self.check_integrator(integrator)
        assert isinstance(integrator, BSplineFFD)
        chosen = features[self.level]
        chosen = chosen if isinstance(chosen, Tensor) else torch.cat(chosen, dim=1)
        size = list(guidance['fixed'].shape[2:])
        control = self.flow(self.mix(resize(chosen, size=list(integrator.control_size(size)), mode=self.resampling)))
        return Fields([as_sampled(integrator(control, size=size), self.sampler)], [control])
