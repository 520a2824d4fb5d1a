"""A flow with an uncertainty of its own: mean and variance per voxel, of which training draws samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmreg.models.base import FeatureSpec, Fields, Guidance, Integrator, LevelFeatures
from mmreg.models.blocks.layers import conv_layer
from mmreg.registry import FLOW_HEADS

from .conv_flow import ConvFlowHead


@FLOW_HEADS.register_module()
class GaussianFlowHead(ConvFlowHead):
    """Mean and log-variance of the flow; training integrates ``mean + exp(log_variance / 2) noise``.

    For the loss :class:`~mmreg.models.losses.gaussian_kl.GaussianKL`: ``means`` (one) and ``extras['log_variance']``,
    both ``(N, ndim, *spatial)`` on the features' grid.

    Args:
        features: What the backbone returns.
        variance_std, variance_bias: Start of the second convolution: weights N(0, ``variance_std``), constant bias, so
            that sampling starts next to the mean.
        kwargs: See :class:`ConvFlowHead`.

    Source: Dalca et al., MedIA 2019; Chen et al., MedIA 2022 (TransMorph-diff); golden baselines/transmorph_diff.
    """

    def __init__(self, features: FeatureSpec, variance_std: float = 1e-10, variance_bias: float = -10.0, **kwargs: Any):
        super().__init__(features, **kwargs)
        channels = features.channels[0] * (2 if features.siamese else 1)
        self.log_variance = conv_layer(features.ndim, channels, features.ndim)
        for parameter in self.log_variance.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=variance_std)
            else:
                nn.init.constant_(parameter, variance_bias)

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """As :class:`ConvFlowHead`, of a sample in training and of the mean in evaluation."""
        finest = features[0]
        finest = finest if isinstance(finest, Tensor) else torch.cat(finest, dim=1)
        mean, log_variance = self.flow(finest), self.log_variance(finest)
        log_variance = log_variance.to(mean.dtype)
        flow = mean
        if self.training:
            flow = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        fields = self.fields(flow, integrator)
        fields.means = [mean]
        fields.extras['log_variance'] = log_variance
        return fields
