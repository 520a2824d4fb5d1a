"""LKU-Net: a U-Net with large kernels on its coarser grids (Jia et al., MLMI 2022)."""

from __future__ import annotations

from functools import partial
from typing import Any

from mmreg.models.blocks.layers import LargeKernelBlock
from mmreg.registry import BACKBONES

from .strided_unet import StridedUNet

_PRELU = {'type': 'PReLU'}
#: Widths in units of N: per coarser grid; decoder per grid, coarsest first: (after the first, after the second block).
_ENCODER = (2, 4, 8, 8)
_DECODER = ((8, 4), (4, 2), (4, 2), (2, 2))


@BACKBONES.register_module()
class LKUNet(StridedUNet):
    """LKU-Net's network on ``[moving, fixed]`` without its last convolution.

    Two blocks at full resolution; four times a strided block and a large-kernel block; four times (three with
    ``half_resolution``) a transposed convolution, concatenation ``[up, skip]`` and two blocks. All with PReLU.

    Args:
        channels: ``N``, the published start channel.
        kernel: Size of the large kernels; None: 5 in 3-D, 7 in 2-D, as published.
        half_resolution: Leave out the full-resolution part of the decoder (OASIS half-resolution code).
        norm_cfg: Normalisation of the large-kernel branches, ``dict(type='BN')`` for the published option
            ``batchnorm``; none by default.
        fused: Build the large-kernel blocks as one convolution each, for re-parameterised weights.
        image_channels: Channels of each image.
        ndim: Number of spatial axes.

    Source: Jia et al., MLMI 2022 (LKU-Net 3-D IXI, 3-D and 2-D OASIS code); goldens baselines/lku_*.
    """

    def __init__(
        self,
        channels: int = 8,
        kernel: int | None = None,
        half_resolution: bool = False,
        norm_cfg: dict[str, Any] | None = None,
        fused: bool = False,
        image_channels: int = 1,
        ndim: int = 3,
    ):
        kernel = kernel or (7 if ndim == 2 else 5)
        large = partial(LargeKernelBlock, ndim, kernel=kernel, norm_cfg=norm_cfg, act_cfg=_PRELU, fused=fused)
        super().__init__(
            stem=channels,
            encoder=[(channels * width, channels * width) for width in _ENCODER],
            decoder=[(channels * a, channels * b) for a, b in _DECODER[: 3 if half_resolution else 4]],
            act_cfg=_PRELU,
            second=large,
            image_channels=image_channels,
            ndim=ndim,
        )
