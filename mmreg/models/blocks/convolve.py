"""Convolutions as fast as PyTorch can do them on a CPU: memory layout, and one detour."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: PyTorch gives a single sample whose channels, times its first two axes, are at most this many to its slow 3-D
#: convolution (``ConvParams::use_mkldnn``), 2 to 6 times slower than the one for two samples.
_SLOW_ROWS = 20480
#: Fewer voxels than this are not worth a detour.
_FEW_VOXELS = 1000


def channels_minor(x: Tensor) -> Tensor:
    """``x`` ``(N, C, *spatial)`` with the channels stored next to each other, where that makes convolutions faster:
    volumes on the CPU.
    """
    if x.dim() == 5 and x.device.type == 'cpu':
        return x.contiguous(memory_format=torch.channels_last_3d)
    return x


def convolve(conv: nn.Module, x: Tensor, weight: Tensor | None = None) -> Tensor:
    """``conv(x)``, in the memory layout and by the path that are fast.

    Args:
        conv: A convolution layer of any type.
        x: ``(N, in_channels, *spatial)``.
        weight: Stands in for the layer's own kernel; only for plain convolutions.
    """
    x = channels_minor(x)
    if not isinstance(conv, (nn.Conv2d, nn.Conv3d)):
        return conv(x)
    kernel = conv.weight if weight is None else weight
    if _would_be_slow(conv, x):
        return _in_halves(conv, x, kernel)
    return conv(x) if weight is None else conv._conv_forward(x, kernel, conv.bias)


def _would_be_slow(conv: nn.Conv2d | nn.Conv3d, x: Tensor) -> bool:
    if x.dim() != 5 or x.shape[0] != 1 or x.device.type != 'cpu' or x.dtype != torch.float32:
        return False
    rows, voxels = x.shape[1] * x.shape[2] * x.shape[3], x[0, 0].numel()
    plain = conv.groups == 1 and set(conv.stride) == {1} and conv.padding_mode == 'zeros'
    same = all(p == d * (k // 2) for p, d, k in zip(conv.padding, conv.dilation, conv.kernel_size))
    small = set(conv.dilation) == {1} and set(conv.kernel_size) == {3}
    return plain and same and small and rows <= _SLOW_ROWS and voxels >= _FEW_VOXELS


def _in_halves(conv: nn.Conv2d | nn.Conv3d, x: Tensor, kernel: Tensor) -> Tensor:
    """The two halves along the first axis, each with its neighbours' plane, as a batch of two."""
    planes = x.shape[2]
    half = (planes + 1) // 2
    padded = F.pad(x, (0, 0, 0, 0, 1, 1 + planes % 2))
    halves = torch.cat([padded[:, :, : half + 2], padded[:, :, half:]])
    out = F.conv3d(channels_minor(halves), kernel, conv.bias, padding=(0, *conv.padding[1:]))
    # Channels are stored last, so that the halves follow one another in memory and this is a view.
    rows = out.movedim(1, -1)
    joined = rows.reshape(1, 2 * half, *rows.shape[2:])
    return joined.movedim(-1, 1)[:, :, :planes]
