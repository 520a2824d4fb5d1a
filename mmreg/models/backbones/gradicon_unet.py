"""GradICON's U-Net with residual connections without weights ("tallUNet2")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmreg.models.base import Backbone, FeatureSpec, LevelFeatures, require
from mmreg.models.blocks.layers import act_layer, conv_layer, norm_layer
from mmreg.registry import BACKBONES
from mmreg.spatial.pyramid import block_means

_LEAKY = {'type': 'LeakyReLU', 'negative_slope': 0.01}
_BATCH_NORM = {'type': 'BN'}
_LINEAR = {2: 'bilinear', 3: 'trilinear'}


def fit_channels(x: Tensor, channels: int) -> Tensor:
    """The first ``channels`` of ``x`` ``(N, C, *spatial)``, or zero channels put before those there are."""
    if x.shape[1] >= channels:
        return x[:, :channels]
    return F.pad(x, [0, 0] * (x.dim() - 2) + [channels - x.shape[1], 0])


class _Down(nn.Module):
    """Half the resolution: a strided convolution of the activated input, plus the averaged input."""

    def __init__(self, ndim: int, channels: int, width: int, act_cfg: dict[str, Any] | None):
        super().__init__()
        self.conv = conv_layer(ndim, channels, width, stride=2)
        self.act = act_layer(act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, *S)`` to ``(N, width, *ceil(S / 2))``."""
        y = self.conv(self.act(x))
        return y + fit_channels(block_means(x), y.shape[1])


class _Up(nn.Module):
    """Twice the resolution: a transposed convolution of the activated input, plus the enlarged input."""

    def __init__(self, ndim: int, channels: int, width: int, act_cfg: dict[str, Any] | None):
        super().__init__()
        deconv: Any = nn.ConvTranspose2d if ndim == 2 else nn.ConvTranspose3d
        self.conv = deconv(channels, width, 4, stride=2, padding=1)
        self.act = act_layer(act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, *S)`` to ``(N, width, *2 S)``."""
        y = self.conv(self.act(x))
        finer = F.interpolate(x[:, : y.shape[1]], scale_factor=2, mode=_LINEAR[x.dim() - 2], align_corners=False)
        return y + fit_channels(finer, y.shape[1])


@BACKBONES.register_module()
class GradICONUNet(Backbone):
    """Joint features of ``[moving, fixed]``; every step of the U-Net adds its resampled input.

    Down: ``conv(act(t)), stride 2`` plus the averaged input. Up: ``norm(transposed conv(act(t)) + enlarged input)``,
    cut to the size of the level and joined with what was there on the way down. Added inputs are cut, or filled with
    zeros in front, to the channels. Sizes are ``ceil(n / 2)`` per level; images of any size pass.

    Args:
        channels: Widths on the way down, the first at half resolution.
        up_channels: Widths on the way up, the first at full resolution; joined with ``[images, *channels]``.
        norm_cfg, act_cfg: Of the blocks.
        image_channels: Channels of each image.
        ndim: Number of spatial axes.

    Raises:
        ConfigError: the two lists differ in length.

    Source: Tian et al., CVPR 2023 (GradICON), icon_registration ``tallUNet2``; golden baselines/unigradicon.
    """

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 64, 256, 512),
        up_channels: Sequence[int] = (16, 32, 64, 128, 256),
        norm_cfg: dict[str, Any] | None = _BATCH_NORM,
        act_cfg: dict[str, Any] | None = _LEAKY,
        image_channels: int = 1,
        ndim: int = 3,
    ):
        super().__init__()
        require(
            len(channels) == len(up_channels) > 0,
            self,
            f'got channels={list(channels)} and up_channels={list(up_channels)}, expected lists of one length.',
        )
        down = [2 * image_channels, *channels]
        joined = [a + b for a, b in zip(down, up_channels)]
        below = [*joined[1:], down[-1]]
        self.down = nn.ModuleList(_Down(ndim, a, b, act_cfg) for a, b in zip(down, down[1:]))
        self.up = nn.ModuleList(_Up(ndim, a, b, act_cfg) for a, b in zip(below, up_channels))
        self.norms = nn.ModuleList(norm_layer(ndim, width, norm_cfg) for width in up_channels)
        self.spec = FeatureSpec(
            ndim=ndim,
            channels=(*joined, down[-1]),
            strides=tuple((2**level,) * ndim for level in range(len(down))),
            siamese=False,
            size_divisor=(1,) * ndim,
            min_size=(2,) * ndim,
            image_channels=image_channels,
        )

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Joint features ``(N, channels_l, *spatial_l)``, ``ceil(spatial / 2^l)``, finest first."""
        skips = [torch.cat([moving, fixed], dim=1)]
        for level, down in enumerate(self.down):
            skips.append(self.run(level, down, skips[-1]))
        x = skips[-1]
        features: list[LevelFeatures] = [x]
        for level in reversed(range(len(self.up))):
            # The normalisation is not recomputed: it would count the batch twice in its running statistics.
            x = self.norms[level](self.run(level, self.up[level], x))
            window = (..., *[slice(n) for n in skips[level].shape[2:]])
            x = torch.cat([x[window], skips[level]], dim=1)
            features.insert(0, x)
        return features
