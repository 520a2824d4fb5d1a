"""Motion pyramid without a decoder: features are compared, and the softmax's expected offset is the flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmreg.models.base import FeatureSpec, require
from mmreg.models.blocks.layers import conv_layer
from mmreg.models.blocks.stages import per_level
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import softmax_matching

from .motion_pyramid import MotionPyramid


@FLOW_HEADS.register_module()
class MatchingHead(MotionPyramid):
    """Flow of level ``l``: ``beta_l * match(P_l(fixed), P_l(warped))``; vector field attention in this family.

    ``P_l`` is a convolution of 3 voxels with bias, the same for both images; ``match`` is
    :func:`mmreg.spatial.softmax_matching`; ``beta_l`` is learned. There are no other weights.

    Args:
        features: What the backbone returns; it has to be siamese.
        projections: Channels of ``P_l``, one number or one per level, finest first; None: those of the features.
        radius: Of the window in voxels, 0 for every voxel; one number or one per level, finest first. None: 1, and
            every voxel at the coarsest level.
        beta: Start of ``beta_l``, finest first; None: 0.5, 0.25, 0.125, 0.1, 0.1, ...
        normalise, scale: Of the correlation.
        pyramid, warp, iterations, composition, detach_position, bidirectional, padding: See :class:`MotionPyramid`.

    Raises:
        ConfigError: the backbone has joint features.

    Source: Liu et al., Vector Field Attention, in the form of Jian et al., WBIR 2024; golden pyramid_designs/vfa.
    """

    def __init__(
        self,
        features: FeatureSpec,
        projections: int | Sequence[int] | None = None,
        radius: int | Sequence[int] | None = None,
        beta: float | Sequence[float] | None = None,
        normalise: bool = False,
        scale: bool = True,
        **options: Any,
    ):
        require(features.siamese, self, 'needs one feature map per image (a siamese backbone), found joint features.')
        super().__init__(features, **options)
        levels = features.levels
        widths = per_level(features.channels if projections is None else projections, levels, 'projections')
        radii = [1] * (levels - 1) + [0] if radius is None else radius
        starts = [max(0.5**level / 2, 0.1) for level in range(levels)] if beta is None else beta
        self.radii = per_level(radii, levels, 'radius')
        self.normalise, self.scale = normalise, scale
        #: In the order they run: coarsest first.
        self.projections = nn.ModuleList(
            conv_layer(features.ndim, channels, width) for channels, width in list(zip(features.channels, widths))[::-1]
        )
        self.betas = nn.ParameterList(
            nn.Parameter(torch.tensor(float(start))) for start in per_level(starts, levels, 'beta')[::-1]
        )

    def estimate(
        self, level: int, fixed: Tensor, moving: Tensor, below: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """No features, and the flow ``(N, ndim, *spatial_l)``; see :meth:`MotionPyramid.estimate`."""
        if not self.estimates_at(level):
            return None, None
        project = self.projections[-1 - level]
        radius = self.radii[level] or None
        match = softmax_matching(project(fixed), project(moving), radius, self.normalise, self.scale)
        return None, self.betas[-1 - level] * match
