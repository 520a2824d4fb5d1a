"""What the losses on fields share: checks, precision, and the unit of a derivative."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mmreg.errors import ConfigError, DataError
from mmreg.spatial.grid import voxel_size
from mmreg.spatial.precision import full_precision, without_autocast

from .base import Loss, prepare_mask

UNITS = ('voxel', 'normalised', 'mm', 'lku')


class FieldLoss(Loss):
    """Base of the losses ``(field, labels=None, mask=None) -> scalar`` on one field ``(N, ndim, *S)`` in voxels.

    A derivative along axis ``a`` of component ``i`` is measured in one of these units (``n`` is the grid size):

    ============ ============================================ ========================
    unit         length of one voxel along axis ``a``         factor of du_i / dx_a
    ============ ============================================ ========================
    'voxel'      1                                            1
    'mm'         ``spacing[a]``                               ``spacing[i] / spacing[a]``
    'normalised' ``2 / (n_a - 1)`` (the grid spans -1..1)     ``(n_a - 1) / (n_i - 1)``
    'lku'        as published by LKU-Net: ``n_a`` instead of  ``n_a / (n_i - 1)``
                 ``n_a - 1`` for the step only
    ============ ============================================ ========================

    First derivatives have no dimension: on an isotropic grid all units agree. A derivative of order ``k`` carries
    ``1 / length^(k-1)``: sampled twice as finely, a bending energy in voxels is 4 times smaller, in mm it stays.

    Args:
        unit: see the table.
        spacing: voxel size in mm, one number or one per axis; needed by ``unit='mm'``. For a term on a coarser level
            give the spacing of that level.
    """

    kind = 'field'

    def __init__(self, unit: str = 'voxel', spacing: float | Sequence[float] | None = None) -> None:
        super().__init__()
        if unit not in UNITS:
            raise ConfigError(f'{type(self).__name__}: unit={unit!r} is unknown, expected one of {", ".join(UNITS)}.')
        if unit == 'mm' and spacing is None:
            raise ConfigError(f'{type(self).__name__}: unit="mm" needs spacing= in mm, found none.')
        self.unit = unit
        self.spacing = spacing

    def lengths(self, size: Sequence[int]) -> tuple[list[float], list[float]]:
        """Length of one voxel per axis, for displacements and for the steps of a difference."""
        ndim = len(size)
        if self.unit == 'voxel':
            return [1.0] * ndim, [1.0] * ndim
        if self.unit == 'mm':
            spacing = voxel_size(self.spacing, ndim, type(self).__name__)
            return spacing, spacing
        value = [2.0 / max(n - 1, 1) for n in size]
        return value, ([2.0 / n for n in size] if self.unit == 'lku' else value)

    def forward(self, field: Tensor, labels: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Penalty of ``field`` (N, ndim, *S); ``labels`` (N, 1, *S) or (N, K, *S), ``mask`` (N, 1, *S)."""
        check_field(field, type(self).__name__)
        (field,) = full_precision(field)
        with without_autocast(field):
            return self.penalty(field, labels, prepare_mask(mask, field))

    def penalty(self, field: Tensor, labels: Tensor | None, mask: Tensor | None) -> Tensor:
        """The loss itself, outside autocast, of ``field`` ``(N, ndim, *S)`` and ``mask`` in float32 or float64."""
        raise NotImplementedError


def check_field(field: Tensor, name: str) -> None:
    """Refuse anything but ``(N, ndim, *S)`` with 2 or 3 axes."""
    if field.dim() not in (4, 5) or field.shape[1] != field.dim() - 2:
        raise DataError(f'{name}: found a field of shape {tuple(field.shape)}, expected (N, ndim, *S), ndim 2 or 3.')


def forward_difference(x: Tensor, axis: int) -> Tensor:
    """``x[.. + 1 ..] - x`` along spatial ``axis`` of (N, C, *S); that axis is one shorter."""
    dim, size = axis + 2, x.shape[axis + 2]
    return x.narrow(dim, 1, size - 1) - x.narrow(dim, 0, size - 1)


def second_difference(x: Tensor, a: int, b: int) -> Tensor:
    """Second derivative of (N, C, *S) along axes ``a`` and ``b`` by central differences, at the inner voxels only.

    Unmixed ``x(+e) - 2 x + x(-e)``, mixed a quarter of the differences of the four diagonal neighbours.
    """
    if a == b:
        return _inner(x, {a: 1}) - 2 * _inner(x, {}) + _inner(x, {a: -1})
    same = _inner(x, {a: 1, b: 1}) + _inner(x, {a: -1, b: -1})
    return (same - _inner(x, {a: 1, b: -1}) - _inner(x, {a: -1, b: 1})) / 4


def inner_voxels(x: Tensor) -> Tensor:
    """``x`` (N, C, *S) without the outermost voxels."""
    return _inner(x, {})


def inner_mask(mask: Tensor | None) -> Tensor | None:
    """The same for a mask ``(N, 1, *S)`` that may be absent."""
    return None if mask is None else inner_voxels(mask)


def window(x: Tensor, first: int, lost: int) -> Tensor:
    """``x`` (N, C, *S) from voxel ``first`` on along every axis, ``lost`` voxels fewer."""
    for axis in range(x.dim() - 2):
        x = x.narrow(axis + 2, first, x.shape[axis + 2] - lost)
    return x


def _inner(x: Tensor, shift: dict[int, int]) -> Tensor:
    """The inner voxels of ``x`` moved by one voxel along the axes in ``shift``."""
    for axis in range(x.dim() - 2):
        x = x.narrow(axis + 2, 1 + shift.get(axis, 0), x.shape[axis + 2] - 2)
    return x


def need_voxels(field: Tensor, least: int, part: object) -> None:
    """Refuse a field ``(N, ndim, *S)`` with fewer than ``least`` voxels along an axis."""
    if min(field.shape[2:]) < least:
        raise DataError(
            f'{type(part).__name__}: found a field of shape {tuple(field.shape)}, expected at least {least} voxels per '
            'axis.'
        )


def need_true_unit(part: FieldLoss) -> None:
    """Refuse LKU-Net's unit where only a true length has a meaning."""
    if part.unit == 'lku':
        raise ConfigError(f'{type(part).__name__}: unit="lku", expected "voxel", "normalised" or "mm".')


def sum_of_terms(terms: Iterable[Callable[[Tensor], Tensor]], field: Tensor) -> Tensor:
    """``sum_k term_k(field)``, ``field`` ``(N, ndim, *S)``, with one term's buffers alive at a time: the backward pass
    computes each term again.

    Saved for backward: the field, by reference.
    """
    parts = [checkpoint(term, field, use_reentrant=False, preserve_rng_state=False) for term in terms]
    return torch.stack(parts).sum()
