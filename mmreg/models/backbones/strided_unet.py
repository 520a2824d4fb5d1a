"""A U-Net that halves by strided blocks and doubles by transposed convolutions: the skeleton of LKU-Net and SYMNet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mmreg.models.base import Backbone, FeatureSpec, LevelFeatures
from mmreg.models.blocks.layers import ConvBlock, act_layer

#: Widths of the two blocks of a grid: encoder (strided, second), decoder (first, second).
Widths = Sequence[tuple[int, int]]


class StridedUpBlock(nn.Module):
    """Transposed convolution 2 with stride 2 and bias, then the activation."""

    def __init__(self, ndim: int, in_channels: int, out_channels: int, act_cfg: dict[str, Any] | None):
        super().__init__()
        transposed = nn.ConvTranspose2d if ndim == 2 else nn.ConvTranspose3d
        self.conv = transposed(in_channels, out_channels, 2, stride=2)
        self.act = act_layer(act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, *spatial)`` to ``(N, out_channels, *2 spatial)``."""
        return self.act(self.conv(x))


class StridedUNet(Backbone):
    """Two blocks at full resolution; per coarser grid a strided and a second block; the way back, with skips.

    On ``[moving, fixed]``. A decoder grid: transposed convolution, concatenation ``[up, skip]``, two blocks. A block is
    a 3-convolution with bias and the activation.

    Args:
        stem: Width at full resolution.
        encoder: Widths per coarser grid.
        decoder: Widths per grid on the way back, coarsest first; one grid fewer than the encoder ends at half
            resolution.
        act_cfg: Activation of all blocks.
        second: Makes the second block of a coarser grid from its two widths; None: a plain one.
        image_channels: Channels of each image.
        ndim: Number of spatial axes.
    """

    def __init__(
        self,
        stem: int,
        encoder: Widths,
        decoder: Widths,
        act_cfg: dict[str, Any],
        second: Callable[[int, int], nn.Module] | None = None,
        image_channels: int = 1,
        ndim: int = 3,
    ):
        super().__init__()
        block = partial(ConvBlock, ndim, act_cfg=act_cfg)
        second = second or block
        self.stem = nn.Sequential(block(2 * image_channels, stem), block(stem, stem))
        self.down = nn.ModuleList()
        skips = [stem]
        for strided, after in encoder:
            self.down.append(nn.Sequential(block(skips[-1], strided, stride=2), second(strided, after)))
            skips.append(after)
        self.up, self.mix = nn.ModuleList(), nn.ModuleList()
        outputs = [skips.pop()]
        for first, after in decoder:
            below = outputs[0]
            self.up.append(StridedUpBlock(ndim, below, below, act_cfg))
            self.mix.append(nn.Sequential(block(below + skips.pop(), first), block(first, after)))
            outputs.insert(0, after)
        first_level = len(encoder) - len(decoder)
        divisor = (2 ** len(encoder),) * ndim
        self.spec = FeatureSpec(
            ndim=ndim,
            channels=tuple(outputs),
            strides=tuple((2 ** (first_level + level),) * ndim for level in range(len(outputs))),
            siamese=False,
            size_divisor=divisor,
            min_size=divisor,
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
