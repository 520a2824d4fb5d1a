"""Levels of config-driven encoders and decoders: what comes before the convolutions, and the convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from mmreg.errors import ConfigError

from .layers import ConvBlock, act_layer, norm_layer

POOLS = ('max', 'avg')
#: How a decoder level enlarges its input: an interpolation, ``DeconvModule`` or ``InterpConv``.
INTERPOLATIONS = ('nearest', 'linear')


def widths(value: int | Sequence[int], num_convs: int) -> list[int]:
    """Output channels of the convolutions of a level; a single number is repeated."""
    return [value] * num_convs if isinstance(value, int) else list(value)


def per_level(value: Any, levels: int, name: str) -> list[Any]:
    """``value`` as a list with one entry per level.

    Raises:
        ConfigError: a list of another length.
    """
    values = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value] * levels
    if len(values) != levels:
        raise ConfigError(f'{name}={value} has {len(values)} entries, expected one number or one per level ({levels}).')
    return values


def conv_units(
    ndim: int,
    channels: int,
    out_channels: Sequence[int],
    kernel: int = 3,
    stride: int = 1,
    dilation: int = 1,
    **options: Any,
) -> list[nn.Module]:
    """Convolutions of one level: ``stride`` is that of the first, ``dilation`` that of all others."""
    units: list[nn.Module] = []
    for k, width in enumerate(out_channels):
        spread = dilation if k else 1
        units.append(ConvBlock(ndim, channels, width, kernel, stride=1 if k else stride, dilation=spread, **options))
        channels = width
    return units


def pool_layer(ndim: int, pool_cfg: dict[str, Any]) -> nn.Module:
    """Pooling of ``dict(type='max'|'avg', kernel_size=2)``.

    Raises:
        ConfigError: another type.
    """
    kind, size = pool_cfg.get('type', 'max'), pool_cfg.get('kernel_size', 2)
    if kind not in POOLS:
        raise ConfigError(f'pool_cfg.type is {kind!r}, expected one of {POOLS}.')
    return getattr(nn, f'{kind.capitalize()}Pool{ndim}d')(size)


class Upsample(nn.Module):
    """Enlarges features to the grid of the skip connection.

    Args:
        ndim: Number of spatial axes.
        channels: Channels in and out.
        factor: Ratio of the two grids.
        upsample_cfg: ``type``: ``'nearest'``, ``'linear'`` (aligned outer edges), ``'DeconvModule'`` (transposed
            convolution) or ``'InterpConv'`` (``mode`` interpolation, then a convolution).
        options: Of the blocks with weights: ``conv_cfg``, ``norm_cfg``, ``act_cfg``.

    Raises:
        ConfigError: another type.
    """

    def __init__(self, ndim: int, channels: int, factor: int, upsample_cfg: dict[str, Any], **options: Any):
        super().__init__()
        kind = upsample_cfg.get('type', 'nearest')
        if kind not in (*INTERPOLATIONS, 'DeconvModule', 'InterpConv'):
            raise ConfigError(
                f"upsample_cfg.type is {kind!r}, expected 'nearest', 'linear', 'DeconvModule' or 'InterpConv'."
            )
        mode = upsample_cfg.get('mode', 'nearest') if kind == 'InterpConv' else kind
        self.mode = {'linear': ('bilinear', 'trilinear')[ndim - 2]}.get(mode, mode)
        self.deconv: nn.Module | None = None
        self.block: nn.Module = nn.Identity()
        if kind == 'DeconvModule':
            deconv: Any = getattr(nn, f'ConvTranspose{ndim}d')
            self.deconv = deconv(channels, channels, factor, stride=factor)
            self.block = nn.Sequential(
                norm_layer(ndim, channels, options.get('norm_cfg')), act_layer(options.get('act_cfg'))
            )
        elif kind == 'InterpConv':
            self.block = ConvBlock(ndim, channels, channels, upsample_cfg.get('kernel_size', 3), **options)

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """``(N, channels, *spatial)`` to ``(N, channels, *size)``."""
        if self.deconv is not None:
            return self.block(self.deconv(x))
        aligned = {} if self.mode == 'nearest' else {'align_corners': False}
        return self.block(F.interpolate(x, size=tuple(size), mode=self.mode, **aligned))
