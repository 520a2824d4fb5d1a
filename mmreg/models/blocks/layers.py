"""Convolution blocks, built from ``conv_cfg`` / ``norm_cfg`` / ``act_cfg`` dictionaries with mmcv's builders.

``mmcv.cnn.ConvModule`` itself is not used: it re-initialises the convolution and warns about a bias in front of a
normalisation, and published registration networks have both PyTorch's default initialisation and that bias. mmcv is
imported where a layer is built: a registration without a network does without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmreg.errors import ConfigError

from .branches import merge_branches
from .convolve import convolve
from .norm_act import eps_of, fusable, norm_act, slope_of


def conv_layer(
    ndim: int,
    in_channels: int,
    out_channels: int,
    kernel: int = 3,
    conv_cfg: dict[str, Any] | None = None,
    **kwargs: Any,
) -> nn.Module:
    """Size-preserving (for stride 1 and odd kernels) convolution with bias for ``ndim`` axes; ``conv_cfg`` another."""
    from mmcv.cnn import build_conv_layer

    kwargs.setdefault('padding', kwargs.get('dilation', 1) * (kernel // 2))
    return build_conv_layer(conv_cfg or {'type': f'Conv{ndim}d'}, in_channels, out_channels, kernel, **kwargs)


def norm_layer(ndim: int, channels: int, norm_cfg: dict[str, Any] | None) -> nn.Module:
    """Normalisation of ``channels`` for ``ndim`` axes: ``IN`` and ``BN`` get their dimension, None is the identity."""
    if norm_cfg is None:
        return nn.Identity()
    from mmcv.cnn import build_norm_layer

    cfg = dict(norm_cfg)
    if cfg['type'] in ('IN', 'BN'):
        cfg['type'] = f'{cfg["type"]}{ndim}d'
    return build_norm_layer(cfg, channels)[1]


def act_layer(act_cfg: dict[str, Any] | None) -> nn.Module:
    """Activation; never in place, since activations are kept for backward anyway."""
    if act_cfg is None:
        return nn.Identity()
    from mmcv.cnn import build_activation_layer

    cfg = dict(act_cfg)
    if cfg['type'] in ('ReLU', 'LeakyReLU'):
        cfg.setdefault('inplace', False)
    return build_activation_layer(cfg)


class ConvBlock(nn.Module):
    """Convolution, normalisation, activation.

    Args:
        ndim: Number of spatial axes.
        in_channels, out_channels: Channels.
        kernel: Odd kernel size; the padding keeps the size at stride 1.
        stride: Stride of the convolution, one number or one per axis.
        bias: Whether the convolution has a bias.
        norm_cfg: ``dict(type='IN')`` (no affine parameters, no running statistics), ``dict(type='BN')`` or None.
        act_cfg: ``dict(type='PReLU')`` (one slope), ``dict(type='LeakyReLU', negative_slope=0.2)`` or None.
        dilation: Distance of the taps.
        conv_cfg: Another convolution than the plain one with ``ndim`` axes.
    """

    def __init__(
        self,
        ndim: int,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int | Sequence[int] = 1,
        bias: bool = True,
        norm_cfg: dict[str, Any] | None = None,
        act_cfg: dict[str, Any] | None = None,
        dilation: int = 1,
        conv_cfg: dict[str, Any] | None = None,
    ):
        super().__init__()
        self.conv = conv_layer(
            ndim, in_channels, out_channels, kernel, conv_cfg, stride=stride, bias=bias, dilation=dilation
        )
        self.norm = norm_layer(ndim, out_channels, norm_cfg)
        self.act = act_layer(act_cfg)

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """``(N, in_channels, *spatial)`` to ``(N, out_channels, *spatial)``; ``weight`` stands in for the kernel."""
        x = convolve(self.conv, x, weight)
        plain = isinstance(self.norm, nn.Identity) and type(self.act) is nn.ReLU
        if plain and not torch.compiler.is_compiling() and not x._is_view():
            return functional.relu_(x)  # the convolution does not need what is overwritten
        if fusable(self.norm, self.act):
            return norm_act(x, slope_of(self.act, x), eps_of(self.norm))
        return self.act(self.norm(x))


class LargeKernelBlock(nn.Module):
    """Parallel kernels 3, ``kernel`` and 1, each normalised, summed with the input, then one activation.

    The block of LKU-Net (Jia et al., MLMI 2022), without normalisation there, and of EOIR for OASIS. Without
    normalisation, or with batch normalisation, the sum is one convolution: :meth:`reparameterise`.

    Args:
        kernel: Odd size of the large kernel.
        fused: Build the one convolution right away, for weights that were re-parameterised.
        bias: Whether the three convolutions have a bias; the one convolution always has.
    """

    regular: nn.Module
    large: nn.Module
    point: nn.Module

    def __init__(
        self,
        ndim: int,
        in_channels: int,
        out_channels: int,
        kernel: int = 5,
        norm_cfg: dict[str, Any] | None = None,
        act_cfg: dict[str, Any] | None = None,
        fused: bool = False,
        bias: bool = True,
    ):
        super().__init__()
        if not isinstance(kernel, int) or kernel < 1 or kernel % 2 == 0:
            raise ConfigError(f'kernel={kernel!r} of a large-kernel block, expected an odd number.')
        self.fused: nn.Module | None = conv_layer(ndim, in_channels, out_channels, max(kernel, 3)) if fused else None
        for name, size in () if fused else (('regular', 3), ('large', kernel), ('point', 1)):
            self.add_module(name, ConvBlock(ndim, in_channels, out_channels, size, bias=bias, norm_cfg=norm_cfg))
        self.residual = in_channels == out_channels
        self.act = act_layer(act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, *spatial)`` to ``(N, out_channels, *spatial)``."""
        if self.fused is not None:
            return self.act(self.fused(x))
        total = self.regular(x) + self.large(x) + self.point(x)
        return self.act(total + x if self.residual else total)

    def reparameterise(self) -> None:
        """Replace branches and identity by one convolution with the same output (in evaluation mode).

        Raises:
            ConfigError: the branches have a normalisation that depends on the image (instance norm).
        """
        if self.fused is None:
            branches: list[Any] = [self.large, self.regular, self.point]
            branches.sort(key=lambda branch: -branch.conv.kernel_size[0])
            self.fused = merge_branches([(branch.conv, branch.norm) for branch in branches], self.residual)
            del self.large, self.regular, self.point
