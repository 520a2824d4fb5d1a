"""Stages of Swin blocks with patch merging between them: TransMorph's encoder for one image or a stack of images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmreg.models.base import per_axis, require

from .block import SwinBlock
from .embedding import PatchEmbedding, PatchMerging
from .position import LearnedPosition, SinusoidalPosition
from .windows import REVERSES, shift_mask

POSITIONS = (None, 'learned', 'sinusoidal')


class SwinStage(nn.Module):
    """Blocks on one grid, every second one with shifted windows, then (not in the last stage) patch merging.

    Args:
        ndim, channels, heads, window: See :class:`SwinBlock`.
        drop_paths: Rate of :class:`DropPath` per block; their number is the depth.
        merge: Whether patch merging follows.
        use_checkpoint: Recompute the blocks in the backward pass.
        block: Further arguments of :class:`SwinBlock`.
    """

    def __init__(
        self,
        ndim: int,
        channels: int,
        heads: int,
        window: Sequence[int],
        drop_paths: Sequence[float],
        merge: bool,
        use_checkpoint: bool = False,
        **block: float | bool | str,
    ):
        super().__init__()
        self.window = tuple(window)
        self.use_checkpoint = use_checkpoint
        self.blocks = nn.ModuleList(
            SwinBlock(channels, heads, window, shifted=k % 2 == 1, drop_path=rate, **block)  # type: ignore[arg-type]
            for k, rate in enumerate(drop_paths)
        )
        self.merge = PatchMerging(ndim, channels) if merge else None

    def forward(self, tokens: Tensor) -> Tensor:
        """``(N, *grid, C)`` to the same, before merging."""
        mask = self._mask(tokens)
        for block in self.blocks:
            if self.use_checkpoint and torch.is_grad_enabled():
                tokens = checkpoint(block, tokens, mask, use_reentrant=False)
            else:
                tokens = block(tokens, mask)
        return tokens

    def _mask(self, tokens: Tensor) -> Tensor | None:
        """The mask that all shifted blocks of the stage share."""
        shifts = [cast(SwinBlock, block).shift for block in self.blocks]
        shift = next((s for s in shifts if s is not None), None)
        if shift is None:
            return None
        padded = [-(-n // w) * w for n, w in zip(tokens.shape[1:-1], self.window)]
        return shift_mask(padded, self.window, shift, tokens.device)


class SwinEncoder(nn.Module):
    """Images to features at 1/patch, 1/(2 patch), ... of their resolution, normalised, finest first.

    Args:
        ndim: Number of spatial axes, 2 or 3.
        in_channels: Channels of the input (2 for a stacked pair).
        width: Channels of the first stage; each next one has twice as many.
        depths: Blocks per stage.
        heads: Heads per stage.
        window: Tokens per window, one number or one per axis.
        patch_size: Voxels per token of the first stage, one number or one per axis.
        mlp_ratio, qkv_bias, relative_bias, window_reverse: See :class:`SwinBlock`.
        patch_norm: LayerNorm after the patch embedding.
        drop, always_drop: Dropout of attention weights, projections and perceptrons; also in evaluation.
        drop_path: Largest rate of :class:`DropPath`; it grows linearly over all blocks from 0.
        position: None, ``'learned'`` or ``'sinusoidal'``: absolute position embedding.
        position_size: Grid of the learned one.
        use_checkpoint: Recompute the blocks in the backward pass (less memory, more time).

    Attributes:
        channels: Channels per level.
        strides: Input voxels per token, per level and axis.

    Input of any size: it is padded with zeros at its end to whole patches, and odd grids before merging. With sizes
    that are multiples of the last stride, level ``l`` has exactly ``size / strides[l]`` tokens.

    Raises:
        ConfigError: stages and heads that do not belong together, widths no multiple of the heads, unknown options.

    Source: Liu et al., ICCV 2021; Chen et al., MedIA 2022; goldens baselines/transmorph*, pyramid_designs/tm_*.
    """

    def __init__(
        self,
        ndim: int,
        in_channels: int,
        width: int = 96,
        depths: Sequence[int] = (2, 2, 4, 2),
        heads: Sequence[int] = (4, 4, 8, 8),
        window: int | Sequence[int] = 7,
        patch_size: int | Sequence[int] = 4,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = False,
        relative_bias: bool = True,
        patch_norm: bool = True,
        drop: float = 0.0,
        always_drop: bool = False,
        drop_path: float = 0.3,
        position: str | None = None,
        position_size: int | Sequence[int] = 56,
        window_reverse: str = 'inverse',
        use_checkpoint: bool = False,
    ):
        super().__init__()
        require(position in POSITIONS, self, f'got position={position!r}, expected one of {POSITIONS}.')
        require(window_reverse in REVERSES, self, f'got window_reverse={window_reverse!r}, expected one of {REVERSES}.')
        windows = per_axis(window, ndim, 'window')
        patch = per_axis(patch_size, ndim, 'patch_size')
        require(
            len(depths) == len(heads) > 0 and min(depths) > 0,
            self,
            f'got depths={tuple(depths)} and heads={tuple(heads)}, expected one number of each per stage.',
        )
        self.channels = tuple(width * 2**k for k in range(len(depths)))
        self.strides = tuple(tuple(p * 2**k for p in patch) for k in range(len(depths)))
        bad = [(c, h) for c, h in zip(self.channels, heads) if c % h]
        require(not bad, self, f'got {bad[:1]} (channels, heads) of a stage, expected a multiple of the heads.')
        self.embed = PatchEmbedding(in_channels, width, patch, patch_norm)
        self.position: nn.Module = nn.Identity()
        if position == 'learned':
            self.position = LearnedPosition(width, per_axis(position_size, ndim, 'position_size'))
        elif position == 'sinusoidal':
            self.position = SinusoidalPosition()
        rates = _rates(drop_path, depths)
        self.stages = nn.ModuleList(
            SwinStage(
                ndim,
                self.channels[k],
                heads[k],
                windows,
                next(rates),
                merge=k + 1 < len(depths),
                use_checkpoint=use_checkpoint,
                mlp_ratio=mlp_ratio,
                qkv_bias=qkv_bias,
                relative_bias=relative_bias,
                drop=drop,
                always_drop=always_drop,
                window_reverse=window_reverse,
            )
            for k in range(len(depths))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for channels in self.channels)

    def forward(self, image: Tensor) -> list[Tensor]:
        """``(N, in_channels, *spatial)`` to ``(N, channels_l, *grid_l)`` per level, finest first."""
        tokens = self.position(self.embed(image))
        features = []
        for module, norm in zip(self.stages, self.norms):
            stage = cast(SwinStage, module)
            tokens = stage(tokens)
            features.append(norm(tokens).movedim(-1, 1))
            if stage.merge is not None:
                tokens = stage.merge(tokens)
        return features


def _rates(largest: float, depths: Sequence[int]) -> Iterator[list[float]]:
    """Rates of :class:`DropPath`, from 0 to ``largest`` over all blocks, in one list per stage."""
    last = max(sum(depths) - 1, 1)
    rates = iter([largest * k / last for k in range(sum(depths))])
    return (list(itertools.islice(rates, depth)) for depth in depths)
