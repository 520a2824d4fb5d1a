"""Whether the kernels for a GPU are wanted, installed, and able to take some tensors."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from mmreg.spatial.compiled.library import MOST_ELEMENTS

#: Types of images; everything is added up in float32.
_IMAGES = (torch.float32, torch.bfloat16, torch.float16)


@cache
def triton_installed() -> bool:
    """Whether Triton can be imported."""
    return find_spec('triton') is not None


def triton_in_use() -> bool:
    """Whether ``MMREG_COMPILED`` is ``triton`` and Triton is there."""
    return os.environ.get('MMREG_COMPILED') == 'triton' and triton_installed()


def interpreted() -> bool:
    """Whether Triton's interpreter runs kernels, which then take tensors on the CPU."""
    return os.environ.get('TRITON_INTERPRET') == '1'


def on_gpu(*tensors: Tensor, images: bool = False) -> bool:
    """Whether the kernels for a GPU take these tensors.

    Args:
        tensors: ``(N, C, *spatial)`` with two or three axes.
        images: Types with fewer digits than float32 are allowed.
    """
    if not triton_in_use() or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    device = 'cpu' if interpreted() else 'cuda'
    types = _IMAGES if images else _IMAGES[:1]
    return all(
        x.device.type == device
        and x.dtype in types
        and type(x) in (Tensor, torch.nn.Parameter)
        and x.dim() in (4, 5)
        and 0 < x.numel() <= MOST_ELEMENTS
        for x in tensors
    )
