"""The decoder of the pyramid designs: motion pyramid, warping, correlation and refinement as switches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmreg.models.base import FeatureSpec, require
from mmreg.models.blocks.decoder import DecoderBlock
from mmreg.models.blocks.layers import ConvBlock
from mmreg.models.blocks.stages import per_level
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import global_correlation, local_correlation, resize

from .conv_flow import FlowConv
from .motion_pyramid import MotionPyramid

_IN = {'type': 'IN'}
_LEAKY = {'type': 'LeakyReLU', 'negative_slope': 0.2}


class Correlation(nn.Module):
    """Correlation of a level's features as channels.

    Args:
        ndim: Number of spatial axes.
        radius: Of the window in voxels, or 0: every voxel of a grid of ``candidates``.
        normalise: Unit feature vectors.
        scale: Multiply by ``C^(-1/2)``.
        padding: Moving features outside the volume, ``'zeros'`` or ``'border'``.
        candidates: With ``radius=0``: the moving features are resized to this grid, so that the number of channels
            does not depend on the image's size (published: the level's grid for the one size of training).

    Raises:
        ConfigError: ``radius=0`` without candidates.
    """

    def __init__(
        self,
        ndim: int,
        radius: int = 1,
        normalise: bool = False,
        scale: bool = True,
        padding: str = 'zeros',
        candidates: Sequence[int] | None = None,
    ):
        super().__init__()
        require(radius >= 0, self, f'got radius={radius}, expected 0 (every voxel) or more.')
        require(
            radius > 0 or (candidates is not None and len(candidates) == ndim),
            self,
            f'got candidates={candidates} with radius=0, expected a grid with {ndim} axes.',
        )
        self.radius, self.normalise, self.scale, self.padding = radius, normalise, scale, padding
        self.candidates = list(candidates or ())
        self.channels = (2 * radius + 1) ** ndim if radius else math.prod(self.candidates)

    def forward(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """``(N, C, *spatial)`` twice to ``(N, channels, *spatial)``."""
        if self.radius:
            return local_correlation(fixed, moving, self.radius, self.normalise, self.scale, self.padding)
        return global_correlation(fixed, resize(moving, size=self.candidates), self.normalise, self.scale)

    def extra_repr(self) -> str:
        return f'radius={self.radius}, normalise={self.normalise}, scale={self.scale}, padding={self.padding!r}'


@FLOW_HEADS.register_module()
class PyramidHead(MotionPyramid):
    """Decoder over the backbone's levels, with four switches that combine freely.

    ============================== ==============================================================================
    D, dual stream                 the backbone: siamese, or joint features (then without the next ones)
    WP, motion pyramid             ``pyramid`` (a flow per level), ``warp`` (moving features follow it)
    C, correlation                 ``correlation=dict(...)``: blocks see ``[volume, fixed]`` instead of both maps
    I, iterative refinement        ``iterations``
    ============================== ==============================================================================

    Level ``l``: ``d = B_l(d_coarser, skip)``, flow = :class:`FlowConv` of ``d``; ``skip`` is ``[moving, fixed]``, the
    correlation and ``fixed``, or the joint features.

    Args:
        features: What the backbone returns.
        channels: Width of the blocks, one number or one per level, finest first; None: 32, 64, 96, ... An entry None at
            the coarsest level: no block, its features go up as they are (TransMorph's decoder).
        correlation: Options of :class:`Correlation`, ``radius`` one number or one per level, finest first;
            ``keep_moving=True`` keeps the (warped) moving features too. None: no correlation.
        convs: Convolutions per block.
        upsample: How coarser features are enlarged: ``'transposed'`` convolution, ``'corners'`` or ``'centres'``
            (linear, aligned corners or outer edges).
        remaining: Widths of further convolutions at the finest level (the published U-Net forms: 32, 32).
        context: The coarsest level estimates no flow; its block only hands features on. Lists for ``iterations`` and
            ``radius`` do not count it.
        bias, norm_cfg, act_cfg: Of all convolutions but the flows'.
        init_std: Flow weights start as N(0, init_std).
        pyramid, warp, iterations, composition, detach_position, bidirectional, padding: See :class:`MotionPyramid`.

    Raises:
        ConfigError: a switch that needs a feature map per image on a backbone with joint features.
    """

    def __init__(
        self,
        features: FeatureSpec,
        channels: int | Sequence[int | None] | None = None,
        pyramid: bool = True,
        warp: bool = True,
        correlation: Mapping[str, Any] | None = None,
        iterations: int | Sequence[int] = 1,
        composition: str = 'compose',
        detach_position: bool = True,
        bidirectional: bool = False,
        convs: int = 1,
        upsample: str = 'transposed',
        remaining: Sequence[int] = (),
        context: bool = False,
        bias: bool = True,
        norm_cfg: dict[str, Any] | None = _IN,
        act_cfg: dict[str, Any] | None = _LEAKY,
        init_std: float | None = 1e-5,
        padding: str = 'zeros',
    ):
        if context and isinstance(iterations, Sequence):
            iterations = [*iterations, 1]
        super().__init__(features, pyramid, warp, iterations, composition, detach_position, bidirectional, padding)
        require(
            features.siamese or correlation is None,
            self,
            'with correlation needs one feature map per image (a siamese backbone), found joint features.',
        )
        require(not context or features.levels > 1, self, 'with context=True needs two levels or more, found one.')
        self.context = context
        widths = [32 * (level + 1) for level in range(features.levels)] if channels is None else channels
        widths = per_level(widths, features.levels, 'channels')
        options: dict[str, Any] = {'bias': bias, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self.correlations = self._correlations(dict(correlation)) if correlation is not None else None
        blocks = self._blocks(widths, upsample, convs, **options)
        self.context_block = blocks.pop(0) if context else None
        out = [block.out_channels for block in blocks]
        self.remaining = nn.Sequential()
        for width in remaining:
            self.remaining.append(ConvBlock(features.ndim, out[-1], width, **options))
            out[-1] = width
        # Modules of levels stand in the order they run: coarsest first.
        self.blocks = nn.ModuleList(blocks)
        self.flows = nn.ModuleList(
            FlowConv(features.ndim, width, init_std=init_std) for width in (out if pyramid else out[-1:])
        )

    def _is_context(self, level: int) -> bool:
        return self.context and level == self.features.levels - 1

    def estimates_at(self, level: int) -> bool:
        """Whether a flow is estimated at ``level`` (0: the finest)."""
        return super().estimates_at(level) and not self._is_context(level)

    def _correlations(self, options: dict[str, Any]) -> nn.ModuleList:
        self.keep_moving = options.pop('keep_moving', False)
        levels = self.features.levels - self.context
        radii = per_level(options.pop('radius', 1), levels, 'correlation.radius')
        return nn.ModuleList(Correlation(self.features.ndim, radius, **options) for radius in reversed(radii))

    def _blocks(self, widths: Sequence[int | None], upsample: str, convs: int, **options: Any) -> list[DecoderBlock]:
        blocks: list[DecoderBlock] = []
        for level in reversed(range(self.features.levels)):
            below = blocks[-1].out_channels if blocks else 0
            factors = self.factors[level] if blocks else (1,) * self.features.ndim
            skip, width = self._skip_channels(level), widths[level]
            blocks.append(DecoderBlock(self.features.ndim, below, skip, width, factors, upsample, convs, **options))
        return blocks

    def _skip_channels(self, level: int) -> int:
        channels = self.features.channels[level]
        if not self.features.siamese:
            return channels
        if self.correlations is None or self._is_context(level):
            return 2 * channels
        volume: Any = self.correlations[-1 - level]
        return volume.channels + channels * (2 if self.keep_moving else 1)

    def estimate(
        self, level: int, fixed: Tensor, moving: Tensor, below: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Decoder features of the level, and its flow ``(N, ndim, *spatial_l)``; see :meth:`MotionPyramid.estimate`."""
        skip = self._skip(level, fixed, moving)
        if self._is_context(level):
            assert self.context_block is not None
            return self.context_block(below, skip), None
        x = self.blocks[-1 - level](below, skip)
        if level == 0:
            x = self.remaining(x)
        return x, self.flows[-1 - level](x) if self.estimates_at(level) else None

    def _skip(self, level: int, fixed: Tensor, moving: Tensor) -> Tensor:
        if not self.features.siamese:
            return fixed
        if self.correlations is None or self._is_context(level):
            return torch.cat([moving, fixed], dim=1)
        volume = self.correlations[-1 - level](fixed, moving).to(fixed.dtype)
        return torch.cat([volume, fixed, moving] if self.keep_moving else [volume, fixed], dim=1)
