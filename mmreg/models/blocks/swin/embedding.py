"""Images to tokens, and tokens to fewer, wider tokens."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .windows import pad_tokens


class PatchEmbedding(nn.Module):
    """One token per patch: zeros at the end up to whole patches, a convolution with the patch as kernel and stride.

    Args:
        in_channels, channels: Of the image, of a token.
        patch: Voxels per axis.
        norm: LayerNorm of the tokens.
    """

    def __init__(self, in_channels: int, channels: int, patch: Sequence[int], norm: bool = True):
        super().__init__()
        self.patch = tuple(patch)
        conv: Any = nn.Conv2d if len(patch) == 2 else nn.Conv3d
        self.proj = conv(in_channels, channels, self.patch, stride=self.patch)
        self.norm: nn.Module = nn.LayerNorm(channels) if norm else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        """``(N, in_channels, *spatial)`` to ``(N, *grid, channels)``."""
        missing = [-n % p for n, p in zip(image.shape[2:], self.patch)]
        if any(missing):
            image = F.pad(image, [w for m in reversed(missing) for w in (0, m)])
        return self.norm(self.proj(image).movedim(1, -1))


class PatchMerging(nn.Module):
    """Half the grid, twice the channels: the ``2^ndim`` neighbours of a token next to each other, LayerNorm, linear.

    The neighbours come in the order of the number of their offsets, earlier axes first: 000, 100, 010, 001, 110, 011,
    101, 111, and 00, 10, 01, 11 in 2-D. An odd axis gets zeros at its end.
    """

    def __init__(self, ndim: int, channels: int):
        super().__init__()
        self.offsets = _OFFSETS[ndim]
        self.norm = nn.LayerNorm(2**ndim * channels)
        self.reduction = nn.Linear(2**ndim * channels, 2 * channels, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(N, *grid, C)`` to ``(N, *ceil(grid / 2), 2 C)``."""
        tokens = pad_tokens(tokens, [2] * (tokens.dim() - 2))
        lattices = [(slice(None), *[slice(o, None, 2) for o in offset]) for offset in self.offsets]
        parts = [tokens[lattice] for lattice in lattices]
        return self.reduction(self.norm(torch.cat(parts, dim=-1)))


#: 3-D as TransMorph's code has it (011 before 101), 2-D as Swin's.
_OFFSETS: dict[int, list[tuple[int, ...]]] = {
    2: sorted(itertools.product((0, 1), repeat=2), key=lambda o: (sum(o), [-k for k in o])),
    3: [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1), (1, 1, 1)],
}
