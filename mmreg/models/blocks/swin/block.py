"""One Swin block: attention within (shifted) windows, then a perceptron, both with a residual."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .attention import Dropout, WindowAttention
from .windows import crop_tokens, merge_windows, pad_tokens, partition_windows


class DropPath(nn.Module):
    """Leaves out a residual branch per sample at random in training, and scales it up where it stays."""

    def __init__(self, rate: float = 0.0):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """``x`` ``(N, *)``, in training zero for randomly chosen samples and larger for the others."""
        if not (self.rate and self.training):
            return x
        keep = x.new_empty((len(x), *[1] * (x.dim() - 1))).bernoulli_(1 - self.rate)
        return x * keep / (1 - self.rate)

    def extra_repr(self) -> str:
        return f'{self.rate}'


class Perceptron(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, channels: int, hidden: int, drop: float = 0.0, always_drop: bool = False):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels)
        self.drop = Dropout(drop, always_drop)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(..., channels)`` to the same."""
        return self.drop(self.fc2(self.drop(self.act(self.fc1(tokens)))))


class SwinBlock(nn.Module):
    """``t <- t + Attn(LN(t))``, ``t <- t + MLP(LN(t))``; the grid is padded with zeros to whole windows.

    Args:
        channels, heads, window, qkv_bias, relative_bias, drop, always_drop: See :class:`WindowAttention`.
        shifted: Move the windows by half their size. As in TransMorph, nothing is moved where a window has one token
            along some axis.
        mlp_ratio: Hidden width of the perceptron, in units of ``channels``.
        drop_path: Rate of leaving out either residual, in training.
        window_reverse: See :func:`merge_windows`.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: Sequence[int],
        shifted: bool = False,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = False,
        relative_bias: bool = True,
        drop: float = 0.0,
        always_drop: bool = False,
        drop_path: float = 0.0,
        window_reverse: str = 'inverse',
    ):
        super().__init__()
        self.window = tuple(window)
        self.shift = tuple(w // 2 for w in window) if shifted and min(window) > 1 else None
        self.window_reverse = window_reverse
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window, qkv_bias, relative_bias, drop, always_drop)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Perceptron(channels, round(channels * mlp_ratio), drop, always_drop)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """``(N, *grid, C)`` to the same; ``mask`` of :func:`shift_mask` for the padded grid, where shifted."""
        tokens = tokens + self.drop_path(self._attend(self.norm1(tokens), mask))
        return tokens + self.drop_path(self.mlp(self.norm2(tokens)))

    def _attend(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        size = tokens.shape[1:-1]
        axes = tuple(range(1, tokens.dim() - 1))
        tokens = pad_tokens(tokens, self.window)
        if self.shift is not None:
            tokens = torch.roll(tokens, [-s for s in self.shift], axes)
        windows = self.attn(partition_windows(tokens, self.window), None if self.shift is None else mask)
        tokens = merge_windows(windows, self.window, tokens.shape[1:-1], self.window_reverse)
        if self.shift is not None:
            tokens = torch.roll(tokens, self.shift, axes)
        return crop_tokens(tokens, size)
