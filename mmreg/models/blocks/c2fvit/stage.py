"""One stage of C2FViT: patches of both images, transformer blocks, an affine map's numbers."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from mmreg.models.blocks.layers import conv_layer

from .parameters import parameter_count


class GlobalAttention(nn.Module):
    """Multi-head self-attention of all tokens; query, key and value without bias."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(channels, channels, bias=False)
        self.kv = nn.Linear(channels, 2 * channels, bias=False)
        self.proj = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(N, L, C)`` to the same."""
        count, length, channels = tokens.shape
        query = self.q(tokens).view(count, length, self.heads, -1).transpose(1, 2)
        key, value = self.kv(tokens).view(count, length, 2, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        out = F.scaled_dot_product_attention(query, key, value)
        return self.proj(out.transpose(1, 2).reshape(count, length, channels))


class GridPerceptron(nn.Module):
    """Linear, GELU, depth-wise 3-convolution on the grid of the tokens, GELU, linear."""

    def __init__(self, ndim: int, channels: int, hidden: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        self.depthwise = conv_layer(ndim, hidden, hidden, bias=False, groups=hidden)
        self.act = nn.GELU()

    def forward(self, tokens: Tensor, size: tuple[int, ...]) -> Tensor:
        """``(N, L, C)`` on a grid of ``size`` to the same."""
        grid = self.act(self.fc1(tokens)).transpose(1, 2).unflatten(2, size)
        return self.fc2(self.act(self.depthwise(grid)).flatten(2).transpose(1, 2))


class GridBlock(nn.Module):
    """``t <- t + Attn(t)``, ``t <- t + MLP(t)``, without any normalisation."""

    def __init__(self, ndim: int, channels: int, heads: int, mlp_ratio: float):
        super().__init__()
        self.attn = GlobalAttention(channels, heads)
        self.mlp = GridPerceptron(ndim, channels, round(channels * mlp_ratio))

    def forward(self, tokens: Tensor, size: tuple[int, ...]) -> Tensor:
        """Tokens ``(N, T, C)`` of a grid of ``size`` after attention and the layer with a convolution, same shape."""
        tokens = tokens + self.attn(tokens)
        return tokens + self.mlp(tokens, size)


class RegressionStage(nn.Module):
    """Patches of ``[moving, fixed]``, with what the stage before found added; blocks; the numbers of an affine map.

    Args:
        ndim: Number of spatial axes.
        in_channels: Of both images (or features) together.
        channels: Of a token.
        stride: Voxels between patches.
        depth: Number of blocks.
        heads: Of every block.
        mlp_ratio: Hidden width of the perceptrons in units of ``channels``.
        before: Channels of a token of the stage before, None for the first stage.
        patch: Voxels of a patch, odd; by default ``2 stride - 1``, so that they overlap.
    """

    def __init__(
        self,
        ndim: int,
        in_channels: int,
        channels: int,
        stride: int,
        depth: int,
        heads: int,
        mlp_ratio: float,
        before: int | None = None,
        patch: int | None = None,
    ):
        super().__init__()
        self.embed = conv_layer(ndim, in_channels, channels, patch or 2 * stride - 1, stride=stride)
        self.squeeze = None if before is None else conv_layer(ndim, before, channels)
        self.blocks = nn.ModuleList(GridBlock(ndim, channels, heads, mlp_ratio) for _ in range(depth))
        self.head = nn.Sequential(
            nn.Linear(channels, channels // 2, bias=False),
            nn.ReLU(),
            nn.Linear(channels // 2, parameter_count(ndim), bias=False),
            nn.Tanh(),
        )
        self.apply(_start)

    def forward(self, pair: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Numbers ``(N, 12 or 6)`` in [-1, 1], and features ``(N, channels, *grid)`` for the next stage.

        Args:
            pair: ``(N, in_channels, *spatial)``.
            before: Features of the stage before, on the same grid of tokens.
        """
        grid = F.gelu(self.embed(pair))
        if self.squeeze is not None and before is not None:
            grid = grid + self.squeeze(before)
        size = tuple(grid.shape[2:])
        tokens = grid.flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens, size)
        return self.head(tokens.mean(1)), tokens.transpose(1, 2).unflatten(2, size)


def _start(module: Any) -> None:
    """Published start: linear layers N(0, 0.02) cut at 2, convolutions N(0, sqrt(2 / fan out)), biases 0."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, (nn.Conv2d, nn.Conv3d)):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
