"""What every function of this room asks of its tensors, with one sentence per refusal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.errors import ConfigError, InputError

Padding = str  # 'zeros' or 'border'
PADDINGS = ('zeros', 'border')


def spatial_ndim(tensor: Tensor, name: str = 'tensor') -> int:
    """Number of spatial axes of a tensor ``(N, C, *spatial)``: 1, 2 or 3."""
    ndim = tensor.dim() - 2
    if ndim not in (1, 2, 3):
        raise InputError(f'{name} has shape {tuple(tensor.shape)}, expected (N, C, *spatial) with 1 to 3 spatial axes.')
    return ndim


def check_field(field: Tensor, name: str = 'displacement') -> int:
    """Check that ``field`` is ``(N, ndim, *spatial)`` floating point with ndim 2 or 3; returns ndim."""
    ndim = field.dim() - 2
    if ndim not in (2, 3) or field.shape[1] != ndim:
        raise InputError(
            f'{name} has shape {tuple(field.shape)}, expected (N, 2, H, W) or (N, 3, D, H, W): one component per axis.'
        )
    if not field.is_floating_point():
        raise InputError(f'{name} has dtype {field.dtype}, expected a floating-point tensor.')
    return ndim


def check_padding(padding: Padding) -> Padding:
    """Check the name of the rule for positions outside the volume."""
    if padding not in PADDINGS:
        raise InputError(f'padding is {padding!r}, expected one of {PADDINGS}.')
    return padding


def per_axis(value: float | Sequence[float], ndim: int, name: str) -> tuple[float, ...]:
    """A number repeated for each axis, or a sequence checked to have one entry per axis."""
    if isinstance(value, (int, float)):
        return (value,) * ndim
    values = tuple(value)
    if len(values) != ndim:
        raise InputError(f'{name} has {len(values)} entries, expected one number or one per spatial axis ({ndim}).')
    return values


def coordinate_dtype(*tensors: Tensor) -> torch.dtype:
    """Dtype in which positions are computed: float64 if any tensor is, else float32, never half precision."""
    return torch.float64 if any(t.dtype == torch.float64 for t in tensors) else torch.float32


def voxel_size(spacing: float | Sequence[float] | None, ndim: int, name: str) -> list[float]:
    """``spacing`` as one positive number per axis."""
    if spacing is None:
        return [1.0] * ndim
    values = [float(spacing)] * ndim if isinstance(spacing, (int, float)) else [float(s) for s in spacing]
    if len(values) != ndim or min(values) <= 0:
        raise ConfigError(f'{name}: spacing={spacing!r}, expected {ndim} positive numbers in mm.')
    return values
