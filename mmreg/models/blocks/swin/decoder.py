"""TransMorph's decoder: enlarge, join with what the encoder remembered, two convolutions, level by level."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmreg.models.blocks.layers import ConvBlock
from mmreg.spatial import resize

#: Every convolution of the decoder: no bias, instance normalisation, LeakyReLU 0.01.
NORM = {'type': 'IN'}
ACT = {'type': 'LeakyReLU', 'negative_slope': 0.01}


def conv_unit(ndim: int, in_channels: int, out_channels: int, norm_cfg: dict[str, Any] | None = None) -> ConvBlock:
    """3-convolution without bias, normalisation (instance by default), LeakyReLU 0.01."""
    return ConvBlock(ndim, in_channels, out_channels, bias=False, norm_cfg=norm_cfg or NORM, act_cfg=ACT)


class SkipUpBlock(nn.Module):
    """Linear enlargement by 2 (outer edges aligned), ``[enlarged, skip]``, two units of convolution.

    Args:
        ndim: Number of spatial axes.
        in_channels: Of the coarser features.
        skip_channels: Of what is joined; 0: nothing.
        out_channels: Of the result.
    """

    def __init__(self, ndim: int, in_channels: int, skip_channels: int, out_channels: int):
        super().__init__()
        self.conv1 = conv_unit(ndim, in_channels + skip_channels, out_channels)
        self.conv2 = conv_unit(ndim, out_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """``(N, in_channels, *grid)`` to ``(N, out_channels, *grid of skip, or 2 grid)``."""
        size = [2 * n for n in x.shape[2:]] if skip is None else list(skip.shape[2:])
        x = resize(x, size=size, mode='centres')
        return self.conv2(self.conv1(x if skip is None else torch.cat([x, skip], dim=1)))
