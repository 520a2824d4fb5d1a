"""A Swin encoder without decoder: TransMorph's features of each image, or of both together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.models.base import Backbone, FeatureSpec, LevelFeatures, require
from mmreg.models.blocks.swin import SwinEncoder
from mmreg.models.blocks.swin.decoder import conv_unit
from mmreg.registry import BACKBONES


@BACKBONES.register_module()
class SwinPyramid(Backbone):
    """Stages at 1/patch, 1/(2 patch), ... and, one grid finer, a convolution of the averaged image.

    Args:
        width: Channels of the first stage; each next one has twice as many, the convolution half as many.
        siamese: Dual stream: the same weights see each image, features come in pairs. Otherwise one encoder sees
            ``[moving, fixed]``.
        convolution_skip: Whether the finer level is there. It sees the image averaged (3 voxels, every second one).
        patch_size: Voxels per token of the first stage, a power of 2.
        image_channels: Channels of each image.
        ndim: Number of spatial axes.
        encoder: The rest goes to :class:`~mmreg.models.blocks.swin.SwinEncoder`: ``depths``, ``heads``, ``window``, ...

    Raises:
        ConfigError: options that do not fit together.

    Source: Jian et al., WBIR 2024 (TransMorph forms); goldens pyramid_designs/tm_*.
    """

    def __init__(
        self,
        width: int = 48,
        siamese: bool = True,
        convolution_skip: bool = True,
        patch_size: int = 4,
        window: int | Sequence[int] = 7,
        image_channels: int = 1,
        ndim: int = 3,
        **encoder: Any,
    ):
        super().__init__()
        halvings = patch_size.bit_length() - 1
        require(patch_size == 1 << max(halvings, 0), self, f'got patch_size={patch_size}, expected a power of 2.')
        require(
            halvings > 0 or not convolution_skip, self, 'with convolution_skip=True needs a patch_size of 2 or more.'
        )
        self.siamese = siamese
        inputs = image_channels if siamese else 2 * image_channels
        self.encoder = SwinEncoder(ndim, inputs, width, window=window, patch_size=patch_size, **encoder)
        self.skip = conv_unit(ndim, inputs, width // 2) if convolution_skip else None
        self._poolings = halvings - 1
        self._pool = F.avg_pool2d if ndim == 2 else F.avg_pool3d
        channels, strides = self.encoder.channels, self.encoder.strides
        if convolution_skip:
            channels, strides = (width // 2, *channels), ((patch_size // 2,) * ndim, *strides)
        self.spec = FeatureSpec(
            ndim=ndim,
            channels=channels,
            strides=strides,
            siamese=siamese,
            size_divisor=strides[-1],
            min_size=strides[-1],
            image_channels=image_channels,
        )

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Pairs ``(fixed, moving)``, or joint features, ``(N, channels_l, *spatial_l)``, finest first."""
        if self.siamese:
            return list(zip(self._encode(fixed), self._encode(moving)))
        return [*self._encode(torch.cat([moving, fixed], dim=1))]

    def _encode(self, image: Tensor) -> list[Tensor]:
        stages = self.encoder(image)
        if self.skip is None:
            return stages
        for _ in range(self._poolings):
            image = self._pool(image, 3, stride=2, padding=1)
        return [self.run(0, self.skip, image), *stages]
