"""One encoder, then a pyramid by resizing: the encoder-only backbone of EOIR (arXiv 2509.00451)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mmreg.models.base import Backbone, FeatureSpec, LevelFeatures, per_axis
from mmreg.registry import BACKBONES, MODELS
from mmreg.spatial import resize


@BACKBONES.register_module()
class ResizePyramid(Backbone):
    """A shared encoder applied to both images, and feature levels by linear resizing, without further weights.

    Args:
        encoder: Config of a module in MODELS that turns an image into one feature map and has the attributes
            ``out_channels``, ``stride`` and ``image_channels``.
        levels: Number of levels returned.
        factors: Resizing between neighbouring levels: a number or one per axis (``(2, 2, 1)`` keeps the third axis).
        first_level: Level of the finest returned features: 0 is the encoder's own grid, 1 one resizing later.
        ndim: Number of spatial axes.
    """

    def __init__(
        self,
        encoder: dict[str, Any],
        levels: int = 5,
        factors: int | Sequence[int] = 2,
        first_level: int = 0,
        ndim: int = 3,
    ):
        super().__init__()
        self.encoder = MODELS.build({'ndim': ndim, **encoder})
        self.factors = per_axis(factors, ndim, 'factors')
        self.first_level = first_level
        strides = tuple(
            tuple(self.encoder.stride * f**level for f in self.factors)
            for level in range(first_level, first_level + levels)
        )
        self.spec = FeatureSpec(
            ndim=ndim,
            channels=(self.encoder.out_channels,) * levels,
            strides=strides,
            siamese=True,
            size_divisor=strides[-1],
            # Corner-aligned coordinates need two voxels per axis at the coarsest level.
            min_size=tuple(2 * s for s in strides[-1]),
            image_channels=self.encoder.image_channels,
        )

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Pairs ``(fixed, moving)`` of ``(N, channels, *spatial_l)``, finest first."""
        # One image at a time: a single sample keeps the fast memory layout, and only one is recomputed at a time.
        if self.checkpoint_levels > 0 and torch.is_grad_enabled():
            maps = [checkpoint(self.encoder, image, use_reentrant=False) for image in (fixed, moving)]
        else:
            maps = [self.encoder(image) for image in (fixed, moving)]
        fixed_levels, moving_levels = (self._pyramid(features) for features in maps)
        return list(zip(fixed_levels, moving_levels))

    def _pyramid(self, features: Tensor) -> list[Tensor]:
        for _ in range(self.first_level):
            features = self._down(features)
        levels = [features]
        while len(levels) < self.spec.levels:
            levels.append(self._down(levels[-1]))
        return levels

    def _down(self, features: Tensor) -> Tensor:
        return resize(features, scale=[1 / f for f in self.factors])
