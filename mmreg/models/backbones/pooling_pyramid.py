"""LessNet's features: statistics of image blocks instead of an encoder."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.models.base import Backbone, FeatureSpec, LevelFeatures, require
from mmreg.registry import BACKBONES


@BACKBONES.register_module()
class PoolingPyramid(Backbone):
    """Mean, maximum and minimum of blocks of ``2^level`` voxels per axis, for each image; no weights.

    Args:
        levels: Number of levels returned.
        first_level: Level of the finest one; 1, as published, starts at half resolution.
        image_channels: Channels ``C`` of each image; the features have ``3 C``: the means, the maxima, the minima.
        ndim: Number of spatial axes.

    Raises:
        ConfigError: no level, or a negative first one.

    Source: Jia et al., Decoder-Only Image Registration (arXiv 2402.03585); goldens
    pyramid_designs/pooling_encoder, lessnet*, less_*.
    """

    def __init__(self, levels: int = 4, first_level: int = 1, image_channels: int = 1, ndim: int = 3):
        super().__init__()
        require(levels >= 1, self, f'got levels={levels}, expected 1 or more.')
        require(first_level >= 0, self, f'got first_level={first_level}, expected 0 or more.')
        strides = tuple((2**level,) * ndim for level in range(first_level, first_level + levels))
        self.spec = FeatureSpec(
            ndim=ndim,
            channels=(3 * image_channels,) * levels,
            strides=strides,
            siamese=True,
            size_divisor=strides[-1],
            min_size=tuple(2 * s for s in strides[-1]),
            image_channels=image_channels,
        )

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Pairs ``(fixed, moving)`` of ``(N, 3 C, *spatial_l)``, finest first."""
        return list(zip(self._statistics(fixed), self._statistics(moving)))

    def _statistics(self, image: Tensor) -> list[Tensor]:
        flat = self.spec.ndim == 2
        mean_pool, max_pool = (F.avg_pool2d, F.max_pool2d) if flat else (F.avg_pool3d, F.max_pool3d)
        mean = maximum = minimum = image
        levels: list[Tensor] = []
        stride = 1
        for wanted in (strides[0] for strides in self.spec.strides):
            factor = wanted // stride  # a statistic of blocks is that of the statistics of their parts
            mean, maximum, minimum = mean_pool(mean, factor), max_pool(maximum, factor), -max_pool(-minimum, factor)
            levels.append(torch.cat([mean, maximum, minimum], dim=1))
            stride = wanted
        return levels
