"""LKU-Net: a U-Net with large kernels on its coarser grids (Jia et al., MLMI 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmreg.models.base import Backbone, FeatureSpec, LevelFeatures
from mmreg.models.layers import ConvBlock, LargeKernelBlock, act_layer
from mmreg.registry import BACKBONES

_PRELU = {'type': 'PReLU'}
#: Widths in units of N: encoder per grid; decoder per grid, coarsest first: (after the first, after the second block).
_ENCODER = (1, 2, 4, 8, 8)
_DECODER = ((8, 4), (4, 2), (4, 2), (2, 2))


class UpBlock(nn.Module):
    """Transposed convolution 2 with stride 2 and bias, PReLU."""

    def __init__(self, ndim: int, in_channels: int, out_channels: int):
        super().__init__()
        transposed = nn.ConvTranspose2d if ndim == 2 else nn.ConvTranspose3d
        self.conv = transposed(in_channels, out_channels, 2, stride=2)
        self.act = act_layer(_PRELU)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, *spatial)`` to ``(N, out_channels, *2 spatial)``."""
        return self.act(self.conv(x))


@BACKBONES.register_module()
class LKUNet(Backbone):
    """LKU-Net's network on ``[moving, fixed]`` without its last convolution.

    Two blocks at full resolution; four times a strided block and a large-kernel block; four times (three with
    ``half_resolution``) a transposed convolution, concatenation ``[up, skip]`` and two blocks. All with PReLU.

    Args:
        channels: ``N``, the published start channel.
        kernel: Size of the large kernels; None: 5 in 3-D, 7 in 2-D, as published.
        half_resolution: Leave out the full-resolution part of the decoder (OASIS half-resolution code).
        norm_cfg: Normalisation of the large-kernel branches, ``dict(type='BN')`` for the published option
            ``batchnorm``; none by default.
        fused: Build the large-kernel blocks as one convolution each, for re-parameterised weights.
        image_channels: Channels of each image.
        ndim: Number of spatial axes.

    Source: Jia et al., MLMI 2022 (LKU-Net 3-D IXI, 3-D and 2-D OASIS code); goldens baselines/lku_*.
    """

    def __init__(
        self,
        channels: int = 8,
        kernel: int | None = None,
        half_resolution: bool = False,
        norm_cfg: dict | None = None,
        fused: bool = False,
        image_channels: int = 1,
        ndim: int = 3,
    ):
        super().__init__()
        kernel = kernel or (7 if ndim == 2 else 5)
        n = [channels * width for width in _ENCODER]
        self.stem = nn.Sequential(_block(ndim, 2 * image_channels, n[0]), _block(ndim, n[0], n[0]))
        self.down = nn.ModuleList(
            nn.Sequential(
                _block(ndim, fine, coarse, stride=2),
                LargeKernelBlock(ndim, coarse, coarse, kernel, norm_cfg=norm_cfg, act_cfg=_PRELU, fused=fused),
            )
            for fine, coarse in zip(n, n[1:])
        )
        self.up, self.mix = nn.ModuleList(), nn.ModuleList()
        below = n[-1]
        outputs = [below]
        for (first, second), skip in list(zip(_DECODER, reversed(n[:-1])))[: 3 if half_resolution else 4]:
            first, second = channels * first, channels * second
            self.up.append(UpBlock(ndim, below, below))
            self.mix.append(nn.Sequential(_block(ndim, below + skip, first), _block(ndim, first, second)))
            below = second
            outputs.insert(0, below)
        first_level = 1 if half_resolution else 0
        self.spec = FeatureSpec(
            ndim=ndim,
            channels=tuple(outputs),
            strides=tuple((2 ** (first_level + level),) * ndim for level in range(len(outputs))),
            siamese=False,
            size_divisor=(16,) * ndim,
            min_size=(16,) * ndim,
            image_channels=image_channels,
        )

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Joint features ``(N, channels_l, *spatial_l)``, finest first."""
        skips = [self.run(0, self.stem, torch.cat([moving, fixed], dim=1))]
        for level, blocks in enumerate(self.down, start=1):
            skips.append(self.run(level, blocks, skips[-1]))
        x = skips.pop()
        features: list[LevelFeatures] = [x]
        for up, mix in zip(self.up, self.mix):
            level = len(skips) - 1
            x = self.run(level, mix, torch.cat([self.run(level, up, x), skips.pop()], dim=1))
            features.insert(0, x)
        return features


def _block(ndim: int, in_channels: int, out_channels: int, stride: int = 1) -> ConvBlock:
    return ConvBlock(ndim, in_channels, out_channels, stride=stride, act_cfg=_PRELU)
