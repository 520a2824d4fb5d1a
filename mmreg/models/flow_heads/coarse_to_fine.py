"""Coarse-to-fine estimation on warped features: the flow head of EOIR (arXiv 2509.00451, section III)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmreg.models.base import FeatureSpec, Fields, FlowHead, Guidance, Integrator, LevelFeatures, require
from mmreg.models.blocks.convolve import channels_minor, convolve
from mmreg.models.blocks.layers import ConvBlock, LargeKernelBlock, conv_layer
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import compose, resize, warp
from mmreg.spatial.constants import constant
from mmreg.spatial.precision import full_precision

_IN = {'type': 'IN'}
_PRELU = {'type': 'PReLU'}
_RELU = {'type': 'ReLU'}


class FlowEstimator(nn.Module):
    """Sum/difference features to a flow: ``conv 2N->2N, conv 2N->K, conv K->ndim``.

    Args:
        channels: ``2N``, channels of the input.
        hidden: ``K``.
        large_kernel: Replaces the first convolution by a large-kernel block of this size.
    """

    def __init__(self, ndim: int, channels: int, hidden: int, large_kernel: int | None = None):
        super().__init__()
        if large_kernel is None:
            self.mix: nn.Module = ConvBlock(ndim, channels, channels, act_cfg=_RELU)
        else:
            self.mix = LargeKernelBlock(ndim, channels, channels, large_kernel, norm_cfg=_IN, act_cfg=_PRELU)
        self.reduce = ConvBlock(ndim, channels, hidden, act_cfg=_RELU)
        self.flow = conv_layer(ndim, hidden, ndim)

    def forward(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """Features ``(N, channels / 2, *spatial)`` of each image to ``(N, ndim, *spatial)`` float32 voxels."""
        (flow,) = full_precision(convolve(self.flow, self.reduce(self._mix(fixed, moving))))
        return flow.contiguous()

    def _mix(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """The first block on ``[fixed + moving, fixed - moving]``.

        A convolution takes sum and difference into its small kernel, ``A (f + m) + B (f - m) = (A + B) f + (A - B) m``,
        so that two feature maps are neither made nor kept.
        """
        if not isinstance(self.mix, ConvBlock):
            return self.mix(torch.cat([fixed + moving, fixed - moving], dim=1))
        kernel: Tensor = self.mix.conv.weight  # type: ignore[assignment]
        total, difference = kernel.chunk(2, dim=1)
        weight = torch.cat([total + difference, total - difference], dim=1)
        return self.mix(torch.cat([channels_minor(fixed), channels_minor(moving)], dim=1), weight)


@FLOW_HEADS.register_module()
class CoarseToFineHead(FlowHead):
    """One flow per level, from coarse to fine, each on features warped by what the coarser levels found.

    With ``up`` the upsampled displacement of the level below, ``y, x`` the features of fixed and moving:
    ``x' = x o (id + up)``, ``v = E([y + x', y - x'])``, ``d = S(v)``, ``u = d + up o (id + d)``.

    Args:
        features: What the backbone returns; it has to be siamese, with equal channels per pair.
        search_radius: The estimators have ``(2 r + 1)^ndim`` hidden channels, as if they held a cost volume.
        large_kernel: Size of the estimators' large-kernel block (OASIS network), or None.
        composition: ``'compose'`` as above, or ``'add'``: ``u = d + up``.
        scale_all_axes: Published ACDC behaviour: every component is doubled between levels, also along an axis that
            keeps its resolution. The default scales each component by its own axis.
        padding: What lies outside a sampled displacement: ``'zeros'`` (published) or ``'border'``.

    Raises:
        ConfigError: the backbone is not siamese.
    """

    def __init__(
        self,
        features: FeatureSpec,
        search_radius: int = 1,
        large_kernel: int | None = None,
        composition: str = 'compose',
        scale_all_axes: bool = False,
        padding: str = 'zeros',
    ):
        super().__init__(features)
        require(features.siamese, self, 'needs one feature map per image (a siamese backbone), found joint features.')
        require(
            composition in ('compose', 'add'), self, f"got composition={composition!r}, expected 'compose' or 'add'."
        )
        self.composition = composition
        self.scale_all_axes = scale_all_axes
        self.padding = padding
        hidden = (2 * search_radius + 1) ** features.ndim
        self.estimators = nn.ModuleList(
            FlowEstimator(features.ndim, 2 * channels, hidden, large_kernel) for channels in features.channels
        )

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """Velocities and displacements of all levels, finest first; see the class."""
        displacements: list[Tensor] = []
        velocities: list[Tensor] = []
        up: Tensor | None = None
        for level in reversed(range(self.features.levels)):
            velocity, displacement = self._estimate(level, features[level], up, integrator)
            velocities.insert(0, velocity)
            displacements.insert(0, displacement)
            if level > 0:
                up = self._upsample(displacement, self.features.factors(level - 1), features[level - 1][0].shape[2:])
        if any(s != 1 for s in self.features.strides[0]):
            displacements = [self._upsample(u, self.features.strides[0]) for u in displacements]
        return Fields(displacements, velocities)

    def _estimate(
        self, level: int, pair: LevelFeatures, up: Tensor | None, integrator: Integrator
    ) -> tuple[Tensor, Tensor]:
        def step(fixed: Tensor, moving: Tensor, up: Tensor | None) -> tuple[Tensor, Tensor]:
            if up is not None:
                moving = warp(moving, up)
            velocity = self.estimators[level](fixed, moving)
            return velocity, self._update(integrator(velocity), up)

        fixed, moving = pair
        if level < self.checkpoint_levels and torch.is_grad_enabled():
            return checkpoint(step, fixed, moving, up, use_reentrant=False)
        return step(fixed, moving, up)

    def _update(self, increment: Tensor, up: Tensor | None) -> Tensor:
        if up is None:
            return increment
        if self.composition == 'add':
            return increment + up
        return compose(up, increment, padding=self.padding)

    def _upsample(self, field: Tensor, factors: Sequence[float], size: Sequence[int] | None = None) -> Tensor:
        """``field`` on the finer grid, its values in voxels of that grid."""
        target = size if size is not None else [round(n * f) for n, f in zip(field.shape[2:], factors)]
        finer = resize(field, size=list(target))
        if self.scale_all_axes:
            return finer * max(factors)
        scale = constant([float(f) for f in factors], finer).view(1, -1, *[1] * self.features.ndim)
        return finer * scale
