"""The U-Net of VoxelMorph: both images in, one feature map per decoder level out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmreg.errors import ConfigError
from mmreg.models.base import Backbone, FeatureSpec, LevelFeatures, per_axis, require
from mmreg.models.blocks.layers import ConvBlock
from mmreg.registry import BACKBONES
from mmreg.spatial import resize

#: Widths of the published default: encoder, and decoder followed by the blocks at full resolution.
DEFAULT_FEATURES = ((16, 32, 32, 32), (32, 32, 32, 32, 32, 16, 16))
_LEAKY = {'type': 'LeakyReLU', 'negative_slope': 0.2}


@BACKBONES.register_module()
class UNet(Backbone):
    """VoxelMorph's U-Net on ``[moving, fixed]``.

    ``down='pool'`` (VxmDense): block(s), remember, max-pool, per encoder level. ``down='stride'`` (the older network of
    the IXI and LUMIR tables): remember, then block(s), the first with a stride, so that the input itself is the last
    skip. Decoder, per level: block(s) at the coarse grid, nearest upsampling, concatenation with what was remembered.
    The surplus of the decoder's widths are blocks at the finest grid. Every block is a 3-convolution with bias and
    LeakyReLU 0.2.

    Args:
        features: ``(encoder, decoder)`` widths, one per convolution, the decoder's with the surplus; or one number f.
        levels: With ``features=f``: number L of widths ``round(f * multiplier ** k)``, k = 0..L-1; the encoder has all
            but the last, the decoder all in reverse.
        multiplier: See ``levels``.
        conv_per_level: Convolutions per level: repeats the widths of ``features=f``, groups those of lists.
        half_res: The last decoder level neither upsamples nor concatenates: features end at half resolution.
        down: ``'pool'`` or ``'stride'``.
        factors: Reduction per level, one number or one per axis (``(2, 2, 1)`` for few thick slices).
        stem: Width of a block at full resolution before the encoder, or None (GraDIRN's baseline has one: 16).
        upsampling: How the decoder doubles its grid: ``'nearest'``, or ``'centres'``, linear with aligned outer edges
            (VoxelMorph-diff of the IXI table).
        fixed_first: Stack the images as ``[fixed, moving]`` (GraDIRN's baseline).
        image_channels: Channels of each image.
        norm_cfg, act_cfg: Of all blocks.
        ndim: Number of spatial axes.

    Returns features finest first: after the blocks of the finest grid, then of every coarser decoder level.

    Raises:
        ConfigError: widths that make no U-Net.

    Source: Balakrishnan et al., TMI 2019 (voxelmorph torch networks); goldens baselines/vxm_*.
    """

    def __init__(
        self,
        features: int | Sequence[Sequence[int]] = DEFAULT_FEATURES,
        levels: int | None = None,
        multiplier: float = 1,
        conv_per_level: int = 1,
        half_res: bool = False,
        down: str = 'pool',
        factors: int | Sequence[int] = 2,
        stem: int | None = None,
        upsampling: str = 'nearest',
        fixed_first: bool = False,
        image_channels: int = 1,
        norm_cfg: dict[str, Any] | None = None,
        act_cfg: dict[str, Any] | None = _LEAKY,
        ndim: int = 3,
    ):
        super().__init__()
        require(down in ('pool', 'stride'), self, f"got down={down!r}, expected 'pool' or 'stride'.")
        require(
            upsampling in ('nearest', 'centres'),
            self,
            f"got upsampling={upsampling!r}, expected 'nearest' or 'centres'.",
        )
        self.half_res, self.down, self.upsampling = half_res, down, upsampling
        self.factors = per_axis(factors, ndim, 'factors')
        self._options: dict[str, Any] = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self._ndim = ndim
        encoder, decoder, remaining = unet_widths(features, levels, multiplier, conv_per_level)
        channels = 2 * image_channels
        self.fixed_first = fixed_first
        self.stem = self._blocks(channels, [stem] if stem else [])
        channels = stem or channels
        skips = []
        self.encoder = nn.ModuleList()
        for widths in encoder:
            skips.append(channels if down == 'stride' else widths[-1])
            self.encoder.append(self._blocks(channels, widths, self.factors if down == 'stride' else 1))
            channels = widths[-1]
        self.decoder = nn.ModuleList()
        for level, widths in reversed(list(enumerate(decoder[::-1]))):
            self.decoder.append(self._blocks(channels, widths))
            channels = widths[-1] + (0 if half_res and level == 0 else skips[level])
        self.remaining = self._blocks(channels, remaining)
        coarse = [widths[-1] for widths in (decoder[:-1] if half_res else decoder)][::-1]
        self.spec = self._spec((remaining[-1] if remaining else channels, *coarse), image_channels)

    def _spec(self, channels: tuple[int, ...], image_channels: int) -> FeatureSpec:
        first = 1 if self.half_res else 0
        divisor = tuple(f ** len(self.encoder) for f in self.factors)
        return FeatureSpec(
            ndim=self._ndim,
            channels=channels,
            strides=tuple(tuple(f ** (first + k) for f in self.factors) for k in range(len(channels))),
            siamese=False,
            size_divisor=divisor,
            min_size=divisor,
            image_channels=image_channels,
        )

    def _blocks(self, channels: int, widths: Sequence[int], stride: int | Sequence[int] = 1) -> nn.Sequential:
        blocks = nn.Sequential()
        for width in widths:
            blocks.append(ConvBlock(self._ndim, channels, width, stride=stride, **self._options))
            channels, stride = width, 1
        return blocks

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Joint features ``(N, channels_l, *spatial_l)``, finest first."""
        x = self.run(0, self.stem, torch.cat([fixed, moving] if self.fixed_first else [moving, fixed], dim=1))
        skips: list[Tensor] = []
        for level, blocks in enumerate(self.encoder):
            skips.append(x if self.down == 'stride' else self.run(level, blocks, x))
            x = self.run(level, blocks, x) if self.down == 'stride' else self._pool(skips[-1])
        features: list[LevelFeatures] = []
        for level, blocks in zip(reversed(range(len(self.decoder))), self.decoder):
            x = self.run(level + 1, blocks, x)
            if not (self.half_res and level == 0):
                features.insert(0, x)
                skip = skips[level]
                x = torch.cat([self._enlarged(x, skip.shape[2:]), skip], dim=1)
        return [self.run(0, self.remaining, x), *features]

    def _enlarged(self, x: Tensor, size: Sequence[int]) -> Tensor:
        if self.upsampling == 'centres':
            return resize(x, list(size), mode='centres')
        return F.interpolate(x, size=list(size), mode='nearest')

    def _pool(self, x: Tensor) -> Tensor:
        return (F.max_pool2d if self._ndim == 2 else F.max_pool3d)(x, self.factors)


def unet_widths(
    features: int | Sequence[Sequence[int]], levels: int | None, multiplier: float, conv_per_level: int
) -> tuple[list[list[int]], list[list[int]], list[int]]:
    """Widths per encoder level, per decoder level (coarsest first), and of the blocks at the finest grid.

    Raises:
        ConfigError: widths that make no U-Net.
    """
    if isinstance(features, int):
        if levels is None or levels < 2:
            raise ConfigError(f'UNet got features={features} with levels={levels}, expected levels of 2 or more.')
        widths = [round(features * multiplier**k) for k in range(levels)]
        encoder, decoder = ([w for w in half for _ in range(conv_per_level)] for half in (widths[:-1], widths[::-1]))
    elif levels is not None:
        raise ConfigError(f'UNet got levels={levels} with a list of features, expected levels only with one number.')
    else:
        encoder, decoder = (list(half) for half in features)
    count = len(encoder)
    if not count or count % conv_per_level or len(decoder) < count:
        raise ConfigError(
            f'UNet got {count} encoder and {len(decoder)} decoder widths with conv_per_level={conv_per_level}, '
            'expected full levels and at least as many decoder as encoder widths.'
        )
    groups = range(0, count, conv_per_level)
    return (
        [encoder[k : k + conv_per_level] for k in groups],
        [decoder[k : k + conv_per_level] for k in groups],
        decoder[count:],
    )
