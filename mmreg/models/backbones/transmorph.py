"""TransMorph's network: a Swin encoder for both images, and a convolutional decoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmreg.models.base import Backbone, FeatureSpec, LevelFeatures, require
from mmreg.models.blocks.swin import Dropout, SwinEncoder
from mmreg.models.blocks.swin.decoder import SkipUpBlock, conv_unit
from mmreg.registry import BACKBONES


@BACKBONES.register_module()
class TransMorph(Backbone):
    """TransMorph's network on ``[moving, fixed]`` without its last convolution.

    The encoder has stages at 1/4, 1/8, ... of the resolution. Every decoder level doubles the grid and joins the stage
    of that grid (``transformer_skips``) or, on grids finer than the patches, one convolution of the two images,
    averaged (3 voxels, every second one) down to that grid (``convolution_skips``).

    Args:
        width: Channels of the first stage. Published: Tiny 6, Small 48, Base 96, Large 128.
        channels: Of the finest features; None: what halving the width at every finer grid gives.
        finest: Where the decoder ends: 0 full resolution, 1 half (OASIS, diff, B-spline forms), ...
        patch_size: Voxels per token of the first stage, a power of 2.
        drop: Dropout in the encoder. With ``monte_carlo`` it is also on in evaluation, and drops channels of the
            convolutional skips (TransMorph-Bayes: 0.15).
        monte_carlo: See ``drop``; every forward pass is then one random sample.
        transformer_skips, convolution_skips: Whether the decoder sees them.
        skip_norm_cfg: Normalisation of the convolutional skips; instance by default.
        image_downsample: Average both images over so many voxels per axis first (LUMIR code: 2).
        image_channels: Channels of each image.
        ndim: Number of spatial axes.
        encoder: The rest goes to :class:`~mmreg.models.blocks.swin.SwinEncoder`: ``depths``, ``heads``, ``window``
            (1/32 of the image fills the last stage, as published), ``drop_path``, ``position``, ...; ``use_checkpoint``
            (published name) recomputes the transformer blocks in the backward pass, the registrar's
            ``checkpoint_levels`` does so for decoder levels.

    Features finest first: of every decoder level, then the deepest stage. No layer holds an image size; the registrar
    pads to multiples of the coarsest stride.

    Raises:
        ConfigError: options that do not fit together.

    Source: Chen et al., MedIA 2022 (TransMorph); goldens baselines/transmorph*.
    """

    def __init__(
        self,
        width: int = 96,
        channels: int | None = 16,
        finest: int = 0,
        patch_size: int = 4,
        drop: float = 0.0,
        monte_carlo: bool = False,
        transformer_skips: bool = True,
        convolution_skips: bool = True,
        skip_norm_cfg: dict[str, Any] | None = None,
        image_downsample: int = 1,
        image_channels: int = 1,
        ndim: int = 3,
        **encoder: Any,
    ):
        super().__init__()
        halvings = patch_size.bit_length() - 1
        require(patch_size == 1 << max(halvings, 0), self, f'got patch_size={patch_size}, expected a power of 2.')
        require(0 <= finest < halvings, self, f'got finest={finest}, expected 0 to {halvings - 1}.')
        require(image_downsample >= 1, self, f'got image_downsample={image_downsample}, expected 1 or more.')
        self._pool = F.avg_pool2d if ndim == 2 else F.avg_pool3d
        self.image_downsample, self.transformer_skips = image_downsample, transformer_skips
        self.encoder = SwinEncoder(
            ndim, 2 * image_channels, width, patch_size=patch_size, drop=drop, always_drop=monte_carlo, **encoder
        )
        stages = self.encoder.channels
        self.up, self.skips = nn.ModuleList(), nn.ModuleList()
        outputs = [stages[-1]]
        for stage in reversed(stages[:-1]):
            self._add(ndim, outputs, stage if transformer_skips else 0, stage)
        for out, skip in finer_widths(width, channels, halvings, finest):
            self._add(ndim, outputs, skip if convolution_skips else 0, out)
            if convolution_skips:
                unit = conv_unit(ndim, 2 * image_channels, skip, skip_norm_cfg)
                lost = Dropout(drop if monte_carlo else 0.0, monte_carlo, channels=True)
                self.skips.append(nn.Sequential(unit, lost))
        self._skip_levels = [halvings - 1 - k for k in range(len(self.skips))]
        first = image_downsample * 2**finest
        strides = tuple((first * 2**k,) * ndim for k in range(len(outputs)))
        self.spec = FeatureSpec(
            ndim=ndim,
            channels=tuple(outputs),
            strides=strides,
            siamese=False,
            size_divisor=strides[-1],
            min_size=strides[-1],
            image_channels=image_channels,
        )

    def _add(self, ndim: int, outputs: list[int], skip: int, out: int) -> None:
        """Another decoder level behind ``outputs`` (finest first)."""
        self.up.append(SkipUpBlock(ndim, outputs[0], skip, out))
        outputs.insert(0, out)

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Joint features ``(N, channels_l, *spatial_l)``, finest first."""
        pair = torch.cat([moving, fixed], dim=1)
        if self.image_downsample > 1:
            pair = self._pool(pair, self.image_downsample)
        *stages, x = self.encoder(pair)
        joined: list[Tensor | None] = [stage if self.transformer_skips else None for stage in reversed(stages)]
        joined += self._image_skips(pair)
        joined += [None] * (len(self.up) - len(joined))
        features: list[LevelFeatures] = [x]
        for level, up, skip in zip(reversed(range(len(self.up))), self.up, joined):
            x = self.run(level, up, x) if skip is None else self.run(level, up, x, skip)
            features.insert(0, x)
        return features

    def _image_skips(self, pair: Tensor) -> list[Tensor]:
        """Features of the images themselves on the grids finer than the patches, coarsest first."""
        images = {0: pair}
        for level in range(1, max(self._skip_levels, default=0) + 1):
            images[level] = self._pool(images[level - 1], 3, stride=2, padding=1)
        finest = min(self._skip_levels, default=0)
        return [self.run(level - finest, skip, images[level]) for level, skip in zip(self._skip_levels, self.skips)]


def finer_widths(width: int, channels: int | None, halvings: int, finest: int) -> list[tuple[int, int]]:
    """Channels of the result and of the skip on the grids finer than the patches, coarsest first.

    Widths are halved from grid to grid; ``channels`` is the finest result and, at full resolution, its skip.
    """
    skips = [max(1, width >> k) for k in range(1, halvings - finest + 1)]
    last = channels or skips[-1]
    results = [*skips[:-1], last]
    if finest == 0:
        skips[-1] = last
    return list(zip(results, skips))
