"""Attention within windows, with a bias that depends on the relative position."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """Dropout that can stay on in evaluation, for Monte-Carlo sampling.

    Args:
        rate: Probability of a zero.
        always: Also drop in evaluation.
        channels: Drop whole channels of ``(N, C, *spatial)``.
    """

    def __init__(self, rate: float = 0.0, always: bool = False, channels: bool = False):
        super().__init__()
        self.rate, self.always, self.channels = rate, always, channels

    @property
    def current(self) -> float:
        """The probability in the present mode."""
        return self.rate if self.training or self.always else 0.0

    def forward(self, x: Tensor) -> Tensor:
        """``x`` ``(N, *)`` with zeros, scaled to the same mean; ``x`` itself where the rate is 0."""
        if not self.current:
            return x
        if not self.channels:
            return F.dropout(x, self.current)
        keep = x.new_empty((*x.shape[:2], *[1] * (x.dim() - 2))).bernoulli_(1 - self.current)
        return x * keep / (1 - self.current)

    def extra_repr(self) -> str:
        return f'{self.rate}, always={self.always}'


class WindowAttention(nn.Module):
    """Multi-head self-attention of the tokens in each window.

    Args:
        channels: A multiple of ``heads``.
        heads: Number of heads.
        window: Tokens per axis.
        qkv_bias: Bias of the joint query, key and value layer.
        relative_bias: Add a learned value per head and relative position to the attention.
        drop: Dropout of attention weights and output.
        always_drop: See :class:`Dropout`.

    Source: Liu et al., ICCV 2021 (Swin); Chen et al., MedIA 2022 (TransMorph); goldens baselines/transmorph*.
    """

    relative_index: Tensor

    def __init__(
        self,
        channels: int,
        heads: int,
        window: Sequence[int],
        qkv_bias: bool = False,
        relative_bias: bool = True,
        drop: float = 0.0,
        always_drop: bool = False,
    ):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = nn.Linear(channels, channels)
        self.drop = Dropout(drop, always_drop)
        self.bias_table: nn.Parameter | None = None
        if relative_bias:
            rows = 1
            for w in window:
                rows *= 2 * w - 1
            self.bias_table = nn.Parameter(nn.init.trunc_normal_(torch.zeros(rows, heads), std=0.02))
            self.register_buffer('relative_index', relative_index(window), persistent=False)

    def forward(self, windows: Tensor, mask: Tensor | None = None) -> Tensor:
        """``(B, L, C)`` of all windows to the same; ``mask`` ``(windows of one sample, L, L)`` is added."""
        count, length, channels = windows.shape
        qkv = self.qkv(windows).view(count, length, 3, self.heads, channels // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        bias = self._bias(mask, count)
        out = F.scaled_dot_product_attention(
            query, key, value, None if bias is None else bias.to(query.dtype), dropout_p=self.drop.current
        )
        return self.drop(self.proj(out.transpose(1, 2).reshape(count, length, channels)))

    def _bias(self, mask: Tensor | None, count: int) -> Tensor | None:
        """What is added to the attention of ``count`` windows: ``(1 or count, 1 or heads, L, L)``."""
        bias = None
        if self.bias_table is not None:
            bias = self.bias_table[self.relative_index].permute(2, 0, 1)[None]
        if mask is None:
            return bias
        total = mask[:, None] if bias is None else bias + mask[:, None]
        repeats = count // len(mask)
        return total if repeats == 1 else total.repeat(repeats, 1, 1, 1)


def relative_index(window: Sequence[int]) -> Tensor:
    """Row of the bias table per query and key, ``(L, L)`` int64: the offset query - key, last axis fastest."""
    grid = torch.meshgrid(*[torch.arange(w) for w in window], indexing='ij')
    rows = torch.zeros((), dtype=torch.int64)
    for axis, w in zip(grid, window):
        place = axis.flatten()
        rows = rows * (2 * w - 1) + place[:, None] - place[None, :] + w - 1
    return rows
