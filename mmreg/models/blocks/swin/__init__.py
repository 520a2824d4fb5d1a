"""Swin transformers in two and three dimensions: windows, attention, blocks, an encoder of several stages.

Tokens are ``(N, *grid, C)``, channels last; images and features that leave the encoder are ``(N, C, *grid)``. Nothing
here holds an image size.
"""

from .attention import Dropout, WindowAttention
from .block import DropPath, SwinBlock
from .embedding import PatchEmbedding, PatchMerging
from .encoder import SwinEncoder
from .position import LearnedPosition, SinusoidalPosition
from .windows import merge_windows, partition_windows, shift_mask

__all__ = [
    'DropPath',
    'Dropout',
    'LearnedPosition',
    'PatchEmbedding',
    'PatchMerging',
    'SinusoidalPosition',
    'SwinBlock',
    'SwinEncoder',
    'WindowAttention',
    'merge_windows',
    'partition_windows',
    'shift_mask',
]
