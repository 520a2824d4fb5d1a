"""SITReg's encoder: a residual pyramid, the same for both images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from mmreg.models.base import Backbone, FeatureSpec, LevelFeatures, require
from mmreg.models.blocks.layers import ConvBlock, conv_layer
from mmreg.models.blocks.stages import per_level
from mmreg.registry import BACKBONES

#: What SITReg normalises and activates with.
GROUP_NORM = {'type': 'GN', 'num_groups': 4}
RELU = {'type': 'ReLU'}


class _Halving(nn.Module):
    """One level down: a strided convolution beside an averaged skip; the sum is the next skip."""

    def __init__(self, ndim: int, channels: int, width: int, num_convs: int, options: dict[str, Any]):
        super().__init__()
        self.ndim = ndim
        self.down = conv_layer(ndim, channels, width, 2, stride=2, padding=0)
        self.skip = conv_layer(ndim, channels, width, 1)
        self.blocks = conv_blocks(ndim, width, [width] * num_convs, options)

    def forward(self, x: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, channels, *S)`` twice to the level's features and skip, ``ceil(S / 2)``."""
        x, skip = _even(x), _even(skip)
        pool = F.avg_pool2d if self.ndim == 2 else F.avg_pool3d
        skip = self.down(x) + self.skip(pool(skip, 2))
        return self.blocks(skip), skip


def conv_blocks(ndim: int, channels: int, widths: Sequence[int], options: dict[str, Any]) -> nn.Sequential:
    """Convolution, normalisation, activation; once per width."""
    blocks = nn.Sequential()
    for width in widths:
        blocks.append(ConvBlock(ndim, channels, width, **options))
        channels = width
    return blocks


def _even(x: Tensor) -> Tensor:
    """``x`` with a zero behind every axis of odd size."""
    widths = [width for n in reversed(x.shape[2:]) for width in (0, n % 2)]
    return F.pad(x, widths) if any(widths) else x


@BACKBONES.register_module()
class SITRegEncoder(Backbone):
    """Features of each image by itself, halved per level to ``ceil(n / 2)`` voxels: odd sizes need no padding.

    Args:
        channels: Width per level, finest first.
        num_convs: Convolutions per level, one number or one per level.
        norm_cfg, act_cfg: Of the blocks.
        any_size: Take images of any size. False: the registrar pads to multiples of the coarsest stride, for heads
            that double sizes between levels.
        image_channels: Channels of each image.
        ndim: Number of spatial axes.

    Raises:
        ConfigError: no level.

    Source: Honkamaa and Marttinen, MELBA 2024 (SITReg); golden baselines/sitreg ``features*``.
    """

    def __init__(
        self,
        channels: Sequence[int] = (12, 32, 64, 128, 128, 128),
        num_convs: int | Sequence[int] = 2,
        norm_cfg: dict[str, Any] | None = GROUP_NORM,
        act_cfg: dict[str, Any] | None = RELU,
        any_size: bool = True,
        image_channels: int = 1,
        ndim: int = 3,
    ):
        super().__init__()
        require(len(channels) >= 1, self, f'got channels={channels}, expected one width or more.')
        options: dict[str, Any] = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        counts = per_level(num_convs, len(channels), 'num_convs')
        self.stem = conv_layer(ndim, image_channels, channels[0], 1)
        self.blocks = conv_blocks(ndim, channels[0], [channels[0]] * counts[0], options)
        self.levels = nn.ModuleList(
            _Halving(ndim, a, b, count, options) for a, b, count in zip(channels, channels[1:], counts[1:])
        )
        coarsest = 2 ** len(self.levels)
        self.spec = FeatureSpec(
            ndim=ndim,
            channels=tuple(channels),
            strides=tuple((2**level,) * ndim for level in range(len(channels))),
            siamese=True,
            size_divisor=(1 if any_size else coarsest,) * ndim,
            min_size=(coarsest + 1,) * ndim,
            image_channels=image_channels,
        )

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Pairs ``(fixed, moving)`` of ``(N, channels_l, *ceil(S / 2^l))``, finest first."""
        return list(zip(self._encode(fixed), self._encode(moving)))

    def _encode(self, image: Tensor) -> list[Tensor]:
        skip = self.stem(image)
        features = [self.run(0, self.blocks, skip)]
        for level, halving in enumerate(self.levels, start=1):
            pair: Any = self.run(level, halving, features[-1], skip)
            output, skip = pair
            features.append(output)
        return features
