"""The encoder of the pyramid designs: convolutions per level, on each image or on both together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmreg.models.base import Backbone, FeatureSpec, LevelFeatures, require
from mmreg.models.blocks.layers import ConvBlock, LargeKernelBlock
from mmreg.models.blocks.stages import conv_units, pool_layer
from mmreg.registry import BACKBONES

_IN = {'type': 'IN'}
_LEAKY = {'type': 'LeakyReLU', 'negative_slope': 0.2}
DOWN = ('conv', 'max', 'avg')


class PyramidStage(nn.Module):
    """One level: halving (all but the first), then convolutions."""

    def __init__(self, down: nn.Module, convs: Sequence[nn.Module]):
        super().__init__()
        self.down = down
        self.convs = nn.Sequential(*convs)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, *spatial)`` to ``(N, width, *spatial / 2)``."""
        return self.convs(self.down(x))


@BACKBONES.register_module()
class ConvPyramid(Backbone):
    """An encoder without decoder; every level has half the voxels of the one before.

    Level ``l``: halving, then ``convs`` convolutions of 3 voxels, each with normalisation and activation.

    Args:
        channels: Width per level, full resolution first.
        first_level: Level of the finest returned features; 1, as published, leaves full resolution out.
        siamese: Dual stream: the same weights see each image, features come in pairs. Otherwise one encoder sees
            ``[moving, fixed]``.
        convs: Convolutions per level.
        down: How a level is halved: ``'conv'`` (strided convolution of 3 voxels without bias, normalised and
            activated), ``'max'`` or ``'avg'`` (pooling over 2 voxels).
        large_kernel: Size of the large-kernel blocks that replace the convolutions of all halved levels, or None.
        image_channels: Channels of each image.
        norm_cfg, act_cfg: Of all convolutions.
        ndim: Number of spatial axes.

    Raises:
        ConfigError: an option that does not exist, or no level left.

    Source: Jian et al., WBIR 2024; goldens pyramid_designs/vxm_plus*, dual, dwp*, dwcp*.
    """

    def __init__(
        self,
        channels: Sequence[int] = (8, 16, 32, 48, 64),
        first_level: int = 1,
        siamese: bool = True,
        convs: int = 1,
        down: str = 'conv',
        large_kernel: int | None = None,
        image_channels: int = 1,
        norm_cfg: dict[str, Any] | None = _IN,
        act_cfg: dict[str, Any] | None = _LEAKY,
        ndim: int = 3,
    ):
        super().__init__()
        require(down in DOWN, self, f'got down={down!r}, expected one of {DOWN}.')
        require(
            0 <= first_level < len(channels),
            self,
            f'got first_level={first_level} with {len(channels)} levels, expected 0 to {len(channels) - 1}.',
        )
        self.first_level, self.siamese = first_level, siamese
        self._down, self._convs, self._large_kernel, self._ndim = down, convs, large_kernel, ndim
        self._options: dict[str, Any] = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self.stages = nn.ModuleList()
        below = image_channels if siamese else 2 * image_channels
        for level, width in enumerate(channels):
            self.stages.append(PyramidStage(self._halving(level, below), self._blocks(level, below, width)))
            below = width
        coarsest = 2 ** (len(channels) - 1)
        self.spec = FeatureSpec(
            ndim=ndim,
            channels=tuple(channels[first_level:]),
            strides=tuple((2**level,) * ndim for level in range(first_level, len(channels))),
            siamese=siamese,
            size_divisor=(coarsest,) * ndim,
            min_size=(2 * coarsest,) * ndim,
            image_channels=image_channels,
        )

    def _halving(self, level: int, channels: int) -> nn.Module:
        if level == 0:
            return nn.Identity()
        if self._down == 'conv':
            return ConvBlock(self._ndim, channels, channels, stride=2, bias=False, **self._options)
        return pool_layer(self._ndim, {'type': self._down})

    def _blocks(self, level: int, channels: int, width: int) -> list[nn.Module]:
        if level == 0 or self._large_kernel is None:
            return conv_units(self._ndim, channels, [width] * self._convs, **self._options)
        inputs = [channels, *[width] * (self._convs - 1)]
        return [LargeKernelBlock(self._ndim, c, width, self._large_kernel, **self._options) for c in inputs]

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Pairs ``(fixed, moving)``, or joint features, ``(N, channels_l, *spatial_l)``, finest first."""
        if not self.siamese:
            return [*self._encode(torch.cat([moving, fixed], dim=1))]
        # One image at a time: a single sample keeps the fast memory layout.
        return list(zip(self._encode(fixed), self._encode(moving)))

    def _encode(self, x: Tensor) -> list[Tensor]:
        features = []
        for level, stage in enumerate(self.stages):
            x = self.run(level, stage, x)
            features.append(x)
        return features[self.first_level :]
