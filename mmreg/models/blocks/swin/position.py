"""Where a token is: absolute position embeddings, added to the tokens before the first stage."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LINEAR = {2: 'bilinear', 3: 'trilinear'}


class LearnedPosition(nn.Module):
    """A learned grid of embeddings, resized (linearly, outer edges aligned) to the grid of the tokens.

    Args:
        channels: Of a token.
        size: Of the learned grid per axis; published: 224 / 4 = 56.
    """

    def __init__(self, channels: int, size: Sequence[int]):
        super().__init__()
        self.table = nn.Parameter(nn.init.trunc_normal_(torch.zeros(1, channels, *size), std=0.02))

    def forward(self, tokens: Tensor) -> Tensor:
        """``(N, *grid, C)`` with the embedding added."""
        grid = tuple(tokens.shape[1:-1])
        return tokens + F.interpolate(self.table, size=grid, mode=_LINEAR[len(grid)]).movedim(1, -1)


class SinusoidalPosition(nn.Module):
    """Sines and cosines of the token's index along every axis, one block of channels per axis; nothing to learn.

    Block k holds ``sin(i w)`` and then ``cos(i w)`` of the index ``i`` along axis k for ``w = 10000^(-2 j / m)``,
    ``j = 0 .. m/2 - 1``, where ``m`` is the even width that ``ndim`` blocks need to cover all channels.

    Source: Vaswani et al., NeurIPS 2017, per axis.
    """

    def forward(self, tokens: Tensor) -> Tensor:
        """``(N, *grid, C)`` with the embedding added."""
        *grid, channels = tokens.shape[1:]
        half = -(-channels // (2 * len(grid)))
        rates = 10000.0 ** (-torch.arange(half, device=tokens.device, dtype=torch.float32) / half)
        blocks = []
        for axis, n in enumerate(grid):
            angle = torch.arange(n, device=tokens.device, dtype=torch.float32)[:, None] * rates
            block = torch.cat([angle.sin(), angle.cos()], dim=-1)
            shape = [n if k == axis else 1 for k in range(len(grid))]
            blocks.append(block.view(*shape, 2 * half).expand(*grid, 2 * half))
        return tokens + torch.cat(blocks, dim=-1)[..., :channels].to(tokens.dtype)
