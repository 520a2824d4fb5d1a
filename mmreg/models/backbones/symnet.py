"""The U-Net of SYMNet (Mok and Chung, CVPR 2020)."""

from __future__ import annotations

from torch import Tensor

from mmreg.models.base import LevelFeatures, require
from mmreg.registry import BACKBONES

from .strided_unet import StridedUNet

#: Widths in units of N: (strided, second) block per coarser grid; (first, second) block per decoder grid.
_ENCODER = ((2, 2), (4, 4), (8, 8), (16, 8))
_DECODER = ((8, 4), (4, 2), (4, 2), (2, 2))


@BACKBONES.register_module()
class SYMNet(StridedUNet):
    """SYMNet's network on both images without its two heads: plain 3-convolutions with bias and ReLU.

    Args:
        channels: ``N``, the published start channel: 7 for OASIS, 8 originally.
        first: Which image comes first, ``'moving'`` or ``'fixed'``: the authors' command puts the fixed one first.
        image_channels: Channels of each image.
        ndim: Number of spatial axes.

    Source: Mok and Chung, CVPR 2020; golden baselines/symnet.
    """

    def __init__(self, channels: int = 8, first: str = 'moving', image_channels: int = 1, ndim: int = 3):
        super().__init__(
            stem=channels,
            encoder=[(channels * a, channels * b) for a, b in _ENCODER],
            decoder=[(channels * a, channels * b) for a, b in _DECODER],
            act_cfg={'type': 'ReLU'},
            image_channels=image_channels,
            ndim=ndim,
        )
        require(first in ('moving', 'fixed'), self, f"got first={first!r}, expected 'moving' or 'fixed'.")
        self.first = first

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Joint features ``(N, channels_l, *spatial_l)``, finest first, of images ``(N, C, *spatial)``."""
        return super().forward(fixed, moving) if self.first == 'moving' else super().forward(moving, fixed)
