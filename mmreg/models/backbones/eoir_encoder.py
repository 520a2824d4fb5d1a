"""The full-resolution encoders of EOIR: one feature map per image (arXiv 2509.00451)."""

from __future__ import annotations

from torch import Tensor, nn

from mmreg.models.blocks.layers import ConvBlock, LargeKernelBlock
from mmreg.registry import MODELS

_IN = {'type': 'IN'}
_PRELU = {'type': 'PReLU'}


@MODELS.register_module()
class EOIREncoder(nn.Module):
    """``C(c->N), C(N->2N), [LK_k(2N->2N)], C(2N->N)`` at full resolution.

    Args:
        ndim: Number of spatial axes.
        channels: ``N``, the channels of the returned features.
        large_kernel: Size ``k`` of the additional large-kernel block (OASIS network), or None.
        image_channels: Channels of the input image.
    """

    stride = 1

    def __init__(self, ndim: int = 3, channels: int = 16, large_kernel: int | None = None, image_channels: int = 1):
        super().__init__()
        self.out_channels = channels
        self.image_channels = image_channels
        blocks: list[nn.Module] = [
            ConvBlock(ndim, image_channels, channels, norm_cfg=_IN, act_cfg=_PRELU),
            ConvBlock(ndim, channels, 2 * channels, norm_cfg=_IN, act_cfg=_PRELU),
        ]
        if large_kernel is not None:
            blocks.append(
                LargeKernelBlock(ndim, 2 * channels, 2 * channels, large_kernel, norm_cfg=_IN, act_cfg=_PRELU)
            )
        blocks.append(ConvBlock(ndim, 2 * channels, channels, norm_cfg=_IN, act_cfg=_PRELU))
        self.blocks = nn.Sequential(*blocks)

    def forward(self, image: Tensor) -> Tensor:
        """``(N, image_channels, *spatial)`` to ``(N, channels, *spatial)``."""
        return self.blocks(image)
