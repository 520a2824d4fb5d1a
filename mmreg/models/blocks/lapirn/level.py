"""The network of one level of LapIRN: from images and the coarser level's embedding to features and an embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmreg.errors import ConfigError
from mmreg.models.blocks.layers import ConvBlock

from .residual import LEAKY, ResidualBlock

LAYOUTS = ('full', 'lite')


class Widths(NamedTuple):
    """Channels of one level: its own grid, the coarser grid, what comes up from there, the features."""

    encoder: int
    residual: int
    up: int
    merged: int

    @classmethod
    def of(cls, layout: str, channels: int, finest: bool) -> Widths:
        """Widths of a level; ``'lite'`` halves what runs at the level's own grid.

        Raises:
            ConfigError: another layout, or channels that it does not divide.
        """
        if layout not in LAYOUTS or (layout == 'lite' and channels % 4):
            raise ConfigError(
                f"LapIRN got layout={layout!r}, channels={channels}, expected 'full', or 'lite' with a multiple of 4."
            )
        if layout == 'full':
            return cls(channels, channels, channels, channels)
        half = channels // 2
        return cls(half, channels, half, half) if finest else cls(half, channels, channels, 3 * channels // 4)


class LevelNetwork(nn.Module):
    """Two convolutions, a strided one, residual blocks on the coarser grid, back up, and a merging convolution.

    1. ``f = conv(act(conv(x)))``
    2. ``e = strided conv(f)`` plus the embedding of the level below,
    3. residual blocks, 4. ``e = transposed conv(e)``: the embedding for the level above,
    5. ``g = act(conv([e, f]))``: the features. No convolution has a bias.

    Args:
        in_channels: Channels of the images and of the coarser flow.
        widths: See :class:`Widths`.
        stride: Ratio to the coarser grid, per axis.
        blocks: Number of residual blocks.
        conditional: See :class:`ResidualBlock`.
        ndim: Number of spatial axes.

    Source: Mok and Chung, MICCAI 2020 and 2021; goldens baselines/lapirn_*, clapirn*.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Widths,
        stride: Sequence[int],
        blocks: int = 5,
        conditional: bool = False,
        ndim: int = 3,
    ):
        super().__init__()
        steps = tuple(stride)
        self.encoder = nn.Sequential(
            ConvBlock(ndim, in_channels, widths.encoder, bias=False, act_cfg=LEAKY),
            ConvBlock(ndim, widths.encoder, widths.encoder, bias=False),
        )
        self.down = ConvBlock(ndim, widths.encoder, widths.residual, stride=steps, bias=False)
        self.blocks = nn.ModuleList(ResidualBlock(ndim, widths.residual, conditional) for _ in range(blocks))
        transposed: Any = nn.ConvTranspose2d if ndim == 2 else nn.ConvTranspose3d
        self.up = transposed(widths.residual, widths.up, steps, stride=steps, bias=False)
        self.merge = ConvBlock(ndim, widths.up + widths.encoder, widths.merged, bias=False, act_cfg=LEAKY)

    def forward(self, x: Tensor, below: Tensor | None = None, code: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features ``g`` and embedding, both ``(N, channels, *spatial_l)``; ``below`` is the coarser level's
        embedding.
        """
        own = self.encoder(x)
        inner = self.down(own)
        if below is not None:
            inner = inner + below
        for block in self.blocks:
            inner = block(inner, code)
        embedding = self.up(inner)
        return self.merge(torch.cat([embedding, own], dim=1)), embedding
