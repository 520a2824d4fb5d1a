"""One decoder level: coarser features enlarged, what the level itself knows put beside them, convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmreg.models.base import require

from .stages import conv_units

#: How coarser features are enlarged: by weights, or read with aligned corners or aligned outer edges.
UPSAMPLINGS = ('transposed', 'corners', 'centres')


class DecoderBlock(nn.Module):
    """``convolutions([enlarged, skip])``.

    Args:
        ndim: Number of spatial axes.
        below: Channels of the coarser level's features, 0 where there is none.
        skip: Channels of what the level itself brings.
        width: Channels of the output; None leaves out the convolutions (``below`` has to be 0).
        factors: Ratio of the two grids per axis.
        upsample: One of ``UPSAMPLINGS``; the transposed convolution has no bias.
        convs: Number of convolutions.
        options: Of the convolutions: ``kernel``, ``bias``, ``norm_cfg``, ``act_cfg``.
    """

    def __init__(
        self,
        ndim: int,
        below: int,
        skip: int,
        width: int | None,
        factors: Sequence[int],
        upsample: str = 'transposed',
        convs: int = 1,
        **options: Any,
    ):
        super().__init__()
        require(upsample in UPSAMPLINGS, self, f'got upsample={upsample!r}, expected one of {UPSAMPLINGS}.')
        require(width is not None or below == 0, self, 'without convolutions stands at the coarsest level only.')
        self.factors, self.mode, self.corners = (
            tuple(factors),
            ('bilinear', 'trilinear')[ndim - 2],
            upsample == 'corners',
        )
        self.upsample: nn.Module | None = None
        if below and upsample == 'transposed':
            transposed: Any = nn.ConvTranspose2d if ndim == 2 else nn.ConvTranspose3d
            self.upsample = transposed(below, below, self.factors, stride=self.factors, bias=False)
        units = [] if width is None else conv_units(ndim, below + skip, [width] * convs, **options)
        self.convs = nn.Sequential(*units)
        self.out_channels = skip if width is None else width

    def forward(self, below: Tensor | None, skip: Tensor) -> Tensor:
        """``(N, below, *spatial / factors)`` and ``(N, skip, *spatial)`` to ``(N, width, *spatial)``."""
        if below is None:
            return self.convs(skip)
        return self.convs(torch.cat([self._enlarge(below, skip.shape[2:]), skip], dim=1))

    def _enlarge(self, below: Tensor, size: Sequence[int]) -> Tensor:
        if self.upsample is not None:
            return self.upsample(below)
        return F.interpolate(below, size=tuple(size), mode=self.mode, align_corners=self.corners)
