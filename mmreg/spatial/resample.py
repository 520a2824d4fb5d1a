"""Change of grid size with aligned corners: images, label maps, and fields whose values scale along."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.errors import InputError

from ._checks import check_field, coordinate_dtype, per_axis, spatial_ndim
from .precision import without_autocast

_LINEAR = {1: 'linear', 2: 'bilinear', 3: 'trilinear'}


def output_size(
    size: Sequence[int], new_size: Sequence[int] | None = None, scale: float | Sequence[float] | None = None
) -> tuple[int, ...]:
    """Size after resizing: ``new_size``, or ``floor(n * scale)`` per axis (at least 1).

    Example:
        >>> output_size((9, 10), scale=0.5)
        (4, 5)
    """
    if (new_size is None) == (scale is None):
        raise InputError('resizing got both or neither of size and scale, expected exactly one of them.')
    if new_size is not None:
        new = per_axis(new_size, len(size), 'size')
        if min(new) < 1:
            raise InputError(f'size is {tuple(new)}, expected positive integers.')
        return tuple(int(n) for n in new)
    assert scale is not None
    if min(per_axis(scale, len(size), 'scale')) <= 0:
        raise InputError(f'scale is {scale}, expected positive numbers.')
    # The small term keeps products such as 100 * 0.29 from falling below the integer they stand for.
    return tuple(max(1, math.floor(n * s + 1e-6)) for n, s in zip(size, per_axis(scale, len(size), 'scale')))


def resize(
    image: Tensor,
    size: Sequence[int] | None = None,
    scale: float | Sequence[float] | None = None,
    mode: str = 'linear',
) -> Tensor:
    """Resize an image with aligned corners: index ``j`` of ``m`` reads coordinate ``j (n-1)/(m-1)``; no smoothing.

    Args:
        image: ``(N, C, *spatial)``; integers only with the nearest modes.
        size: new spatial size.
        scale: or a factor, one number or one per axis; new size ``floor(n * scale)``.
        mode: 'linear'; 'centres', linear with aligned outer edges instead of corners, coordinate
            ``(j + 1/2) n/m - 1/2`` kept inside the volume (LKU-Net, LapIRN); 'nearest' (corner aligned, half-way
            positions to the even index); or 'floor', index ``floor(j n/m)``, which for a factor of 1/2 keeps the even
            voxels (the rule of published label pyramids).

    Returns:
        ``(N, C, *size)`` in the dtype of ``image``; the image itself if nothing changes.

    Raises:
        InputError: not exactly one of size and scale, unknown mode, integers to be interpolated.

    Source: golden eoir/ops ``down_half*``.

    Example:
        >>> resize(torch.arange(5.0).view(1, 1, 5), size=(3,)).tolist()
        [[[0.0, 2.0, 4.0]]]
    """
    ndim = spatial_ndim(image, 'image')
    new = output_size(image.shape[2:], size, scale)
    if new == tuple(image.shape[2:]):
        return image
    if mode in ('linear', 'centres'):
        return _resize_linear(image, new, ndim, corners=mode == 'linear')
    if mode not in ('nearest', 'floor'):
        raise InputError(f"mode is {mode!r}, expected 'linear', 'centres', 'nearest' or 'floor'.")
    for i, (n, m) in enumerate(zip(image.shape[2:], new)):
        if n != m:
            image = image.index_select(i + 2, _nearest_rows(n, m, mode, image.device))
    return image


def _resize_linear(image: Tensor, new: tuple[int, ...], ndim: int, corners: bool) -> Tensor:
    if not image.is_floating_point():
        raise InputError(f"image has dtype {image.dtype}, expected floating point or mode='nearest' for labels.")
    with without_autocast(image):
        return F.interpolate(image, size=new, mode=_LINEAR[ndim], align_corners=corners)


def _nearest_rows(n: int, m: int, mode: str, device: torch.device) -> Tensor:
    j = torch.arange(m, dtype=torch.float64)
    rows = (j * n / m).floor() if mode == 'floor' else (j * ((n - 1) / (m - 1) if m > 1 else 0.0)).round()
    return rows.long().clamp_(max=n - 1).to(device)


def resize_field(
    field: Tensor,
    size: Sequence[int] | None = None,
    scale: float | Sequence[float] | None = None,
    values: str | float | Sequence[float] = 'factor',
    mode: str = 'linear',
) -> Tensor:
    """Resize a displacement or velocity; its values, voxels of its own grid, are converted to the new grid.

    Args:
        field: ``(N, ndim, *spatial)`` voxels.
        size: new spatial size.
        scale: or a factor, one number or one per axis.
        values: what component ``i`` is multiplied by: 'factor', the scale of axis ``i`` (``m/n`` if a size is given),
            as published multi-level networks do; 'aligned', ``(m-1)/(n-1)``, which is exact for aligned corners; or
            the numbers themselves, one or one per component.
        mode: 'linear' (aligned corners) or 'centres' (aligned outer edges), see :func:`resize`.

    Returns:
        ``(N, ndim, *size)`` float32 or float64.

    Raises:
        InputError: not a field, not exactly one of size and scale, unknown ``values``.

    Source: golden eoir/ops ``upsample*``, spine_biomech/spatial_ops ``resize_*``.

    Example:
        >>> resize_field(torch.ones(1, 2, 8, 8), scale=0.5)[0, :, 0, 0].tolist()
        [0.5, 0.5]
    """
    ndim = check_field(field, 'field')
    old = tuple(field.shape[2:])
    new = output_size(old, size, scale)
    factors = _value_factors(old, new, scale, values)
    field = field.to(coordinate_dtype(field))
    # Scale where the field is smaller: both orders are the same linear map.
    before = math.prod(old) <= math.prod(new)
    if before:
        field = _scale_components(field, factors, ndim)
    field = resize(field, new, mode=mode)
    return field if before else _scale_components(field, factors, ndim)


def _value_factors(
    old: tuple[int, ...],
    new: tuple[int, ...],
    scale: float | Sequence[float] | None,
    values: str | float | Sequence[float],
) -> tuple[float, ...]:
    if values == 'factor':
        return per_axis(scale, len(old), 'scale') if scale is not None else tuple(m / n for n, m in zip(old, new))
    if values == 'aligned':
        return tuple((m - 1) / (n - 1) if n > 1 else 1.0 for n, m in zip(old, new))
    if isinstance(values, str):
        raise InputError(f"values is {values!r}, expected 'factor', 'aligned' or numbers.")
    return per_axis(values, len(old), 'values')


def _scale_components(field: Tensor, factors: tuple[float, ...], ndim: int) -> Tensor:
    if all(f == factors[0] for f in factors):
        return field if factors[0] == 1 else field * factors[0]
    return field * torch.tensor(factors, dtype=field.dtype, device=field.device).view(-1, *[1] * ndim)
