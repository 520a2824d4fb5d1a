"""EOIR's pyramid with co-attention: at its coarse levels each image sees where the other one looks alike."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmreg.models.base import LevelFeatures, require
from mmreg.registry import BACKBONES

from .resize_pyramid import ResizePyramid


@BACKBONES.register_module()
class CoAttentionPyramid(ResizePyramid):
    """:class:`ResizePyramid` whose coarsest levels exchange features: ``f' = f + g * attention(f, m, m)``.

    Queries come from one image, keys and values from the other, over all voxels of a level; both directions share
    their weights, so that exchanging the images exchanges the features. ``g`` starts at 0: an untrained exchange
    changes nothing. Attention costs the square of the number of voxels, hence coarse levels only.

    Args:
        attended: How many of the coarsest levels exchange features.
        heads: Attention heads; the encoder's channels must be a multiple.
        kwargs: See :class:`ResizePyramid`.

    Raises:
        ConfigError: more levels than there are, or channels that the heads do not divide.

    Source: an example of "a stronger encoder", which EOIR (arXiv 2509.00451) names as further use.
    """

    def __init__(self, *args: Any, attended: int = 1, heads: int = 4, **kwargs: Any):
        super().__init__(*args, **kwargs)
        channels = self.spec.channels[-1]
        require(1 <= attended <= self.spec.levels, self, f'got attended={attended}, expected 1 to {self.spec.levels}.')
        require(channels % heads == 0, self, f'got heads={heads}, expected a divisor of the {channels} channels.')
        self.attended = attended
        self.exchange = nn.ModuleList(_Exchange(channels, heads) for _ in range(attended))

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Pairs ``(fixed, moving)`` of ``(N, channels, *spatial_l)``, finest first."""
        levels = super().forward(fixed, moving)
        first = len(levels) - self.attended
        for number, exchange in enumerate(self.exchange, start=first):
            f, m = levels[number]
            levels[number] = (exchange(f, m), exchange(m, f))
        return levels


class _Exchange(nn.Module):
    """``own + gain * attention(own, other, other)`` on ``(N, C, *spatial)``."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        queries, keys = (self.norm(features.flatten(2).mT) for features in (own, other))
        found, _ = self.attention(queries, keys, keys, need_weights=False)
        return own + self.gain * found.mT.reshape(own.shape)
