"""A feature pyramid by strided convolutions."""

from __future__ import annotations

from torch import Tensor, nn

from mmreg.models.base import Backbone, FeatureSpec, LevelFeatures
from mmreg.registry import BACKBONES


def _block(ndim: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    conv, norm = (nn.Conv2d, nn.InstanceNorm2d) if ndim == 2 else (nn.Conv3d, nn.InstanceNorm3d)
    return nn.Sequential(conv(inputs, outputs, 3, stride, 1, bias=False), norm(outputs), nn.LeakyReLU(0.1))


@BACKBONES.register_module()
class StridedPyramid(Backbone):
    """Both images through the same strided convolutions; every level is half the size of the one before.

    Args:
        channels: Channels per level, finest (full resolution) first.
        image_channels: Channels of each image.
        ndim: Number of spatial axes.
    """

    def __init__(self, channels: tuple[int, ...] = (8, 16, 32), image_channels: int = 1, ndim: int = 3):
        super().__init__()
        widths = (image_channels, *channels)
        self.blocks = nn.ModuleList(
            _block(ndim, widths[level], widths[level + 1], 1 if level == 0 else 2) for level in range(len(channels))
        )
        coarsest = 2 ** (len(channels) - 1)
        self.spec = FeatureSpec(
            ndim=ndim,
            channels=tuple(channels),
            strides=tuple((2**level,) * ndim for level in range(len(channels))),
            siamese=True,
            size_divisor=(coarsest,) * ndim,
            min_size=(2 * coarsest,) * ndim,
            image_channels=image_channels,
        )

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Pairs ``(fixed, moving)`` of ``(N, channels_l, *spatial_l)``, finest first."""
        features: list[LevelFeatures] = []
        for block in self.blocks:
            fixed, moving = block(fixed), block(moving)
            features.append((fixed, moving))
        return features
