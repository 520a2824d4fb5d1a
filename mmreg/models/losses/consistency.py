"""Consistency of fields: forward and backward undo each other, cycles close, groups agree."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.errors import ConfigError, DataError
from mmreg.registry import LOSSES
from mmreg.spatial import compose, identity_grid, sample
from mmreg.spatial.constants import constant
from mmreg.spatial.grid import voxel_size
from mmreg.spatial.precision import full_precision, without_autocast

from .base import Loss, prepare_mask, same_shape
from .field_base import check_field
from .field_distance import check_penalty, field_distance

UNITS = ('voxel', 'mm', 'unit')


class ConsistencyLoss(Loss):
    """Base: two displacements (N, ndim, *S) in voxels, of the same grid, ``forward`` and ``backward``."""

    kind = 'consistency'

    def forward(self, forward: Tensor, backward: Tensor, mask: Tensor | None = None) -> Tensor:
        """Inconsistency of two displacements; ``mask`` (N, 1, *S) weights voxels."""
        same_shape(self, forward=forward, backward=backward)
        check_field(forward, type(self).__name__)
        forward, backward = full_precision(forward, backward)
        with without_autocast(forward):
            return self.penalty(forward, backward, prepare_mask(mask, forward))

    def penalty(self, forward: Tensor, backward: Tensor, mask: Tensor | None) -> Tensor:
        """The loss itself, of fields ``(N, ndim, *S)`` in full precision outside autocast."""
        raise NotImplementedError


@LOSSES.register_module()
class InverseConsistency(ConsistencyLoss):
    r"""``d(f + b o (id + f)) + d(b + f o (id + b))`` on the grid, in [0, inf); 0 if each undoes the other.

    ``d`` is :func:`field_distance`, voxels ('l2': voxels squared). Outside the volume a field is 0, or the nearest
    value with ``padding='border'``. Source: Christensen and Johnson, TMI 2001; golden pyramid_designs/flow_losses
    ``inverse_consistency_*``. Saved for backward: both fields, two sampling grids and two residual fields.

    Args:
        penalty: 'l1', 'l2', 'rmse' or 'charbonnier'.
        padding: 'zeros' or 'border'.
        symmetric: both directions, or the first only.
    """

    def __init__(self, penalty: str = 'l2', padding: str = 'zeros', symmetric: bool = True) -> None:
        super().__init__()
        self.of, self.padding, self.symmetric = check_penalty(penalty, self), padding, symmetric

    def penalty(self, forward: Tensor, backward: Tensor, mask: Tensor | None) -> Tensor:
        """Distance from the identity after both maps ``(N, ndim, *S)``, voxels."""
        total = field_distance(compose(backward, forward, self.padding), self.of, mask)
        if self.symmetric:
            total = total + field_distance(compose(forward, backward, self.padding), self.of, mask)
        return total


class _OffGrid(ConsistencyLoss):
    """Base of ICON and GradICON: the residual at random points off the grid, in a chosen unit.

    With ``unit='unit'`` coordinates run 0..1 along every axis, as in the authors' code; 'voxel' and 'mm' are plain
    lengths. Noise is drawn anew at each call from torch's global generator, or from ``seed`` if given.
    """

    def __init__(
        self,
        noise: float,
        unit: str,
        spacing: float | Sequence[float] | None,
        padding: str,
        symmetric: bool,
        stride: int,
        detach_inner: bool,
        seed: int | None,
    ) -> None:
        super().__init__()
        if unit not in UNITS or (unit == 'mm' and spacing is None):
            raise ConfigError(f'{type(self).__name__}: unit={unit!r}, expected one of {UNITS}, "mm" with spacing.')
        if noise < 0 or stride < 1:
            raise ConfigError(f'{type(self).__name__}: noise={noise}, stride={stride}, expected >= 0 and >= 1.')
        self.noise, self.unit, self.spacing, self.padding = noise, unit, spacing, padding
        self.symmetric, self.stride, self.detach_inner, self.seed = symmetric, stride, detach_inner, seed

    def forward(
        self, forward: Tensor, backward: Tensor, mask: Tensor | None = None, draw: Tensor | None = None
    ) -> Tensor:
        """Inconsistency; ``draw`` (1 or N, ndim, *S) are standard normal numbers to use instead of fresh ones."""
        self._draw = draw
        try:
            return super().forward(forward, backward, mask)
        finally:
            self._draw = None

    def penalty(self, forward: Tensor, backward: Tensor, mask: Tensor | None) -> Tensor:
        points = self._points(forward)
        weight = None
        if mask is not None:
            weight = sample(mask.expand(len(forward), *mask.shape[1:]), points)
        total = self.one_way(backward, forward, points, weight)
        return total + self.one_way(forward, backward, points, weight) if self.symmetric else total

    def one_way(self, outer: Tensor, inner: Tensor, points: Tensor, weight: Tensor | None) -> Tensor:
        """Loss of ``id + outer`` after ``id + inner`` at ``points`` (N, P, ndim), weights (N, 1, P)."""
        raise NotImplementedError

    def residual(self, outer: Tensor, inner: Tensor, points: Tensor) -> Tensor:
        """Displacement (N, ndim, P) of ``id + outer`` after ``id + inner`` at ``points`` (N, P, ndim), all voxels."""
        first = sample(inner, points, self.padding)
        reached = points + (first.detach() if self.detach_inner else first).transpose(1, 2)
        return first + sample(outer, reached, self.padding)

    def lengths(self, field: Tensor) -> Tensor:
        """Length of one voxel per axis (ndim) in the unit."""
        size = field.shape[2:]
        if self.unit == 'unit':
            return constant([1 / max(n - 1, 1) for n in size], field)
        return constant(voxel_size(self.spacing if self.unit == 'mm' else None, len(size), type(self).__name__), field)

    def _points(self, field: Tensor) -> Tensor:
        """Noisy grid points (N, P, ndim) in voxels."""
        grid = identity_grid(field.shape[2:], device=field.device, dtype=field.dtype)[None]
        points = (grid + self._offsets(field)).expand(len(field), *field.shape[1:])
        for axis in range(field.dim() - 2) if self.stride > 1 else ():
            index = torch.arange(0, points.shape[axis + 2], self.stride, device=points.device)
            points = points.index_select(axis + 2, index)
        return points.flatten(2).transpose(1, 2)

    def _offsets(self, field: Tensor) -> Tensor:
        """Random offsets (1 or N, ndim, *S) in voxels."""
        if self._draw is None:
            generator = None if self.seed is None else torch.Generator(field.device).manual_seed(self.seed)
            draw = torch.randn(field.shape, generator=generator, device=field.device, dtype=field.dtype)
        else:
            draw = self._draw.to(field)
        scale = field.new_ones(len(field.shape) - 2)
        if self.unit == 'unit':  # one voxel of the last axis, the same length in unit coordinates for all axes
            scale = 1 / (field.shape[-1] * self.lengths(field))
        return self.noise * draw * scale.view(1, -1, *[1] * (field.dim() - 2))

    _draw: Tensor | None = None


@LOSSES.register_module()
class ICON(_OffGrid):
    r"""Inverse consistency off the grid: ``d(E)``, ``E = f(p) + b(p + f(p))`` at ``p = x + noise``, in [0, inf).

    Both directions are added. The noise keeps a network from hiding folds between grid points. ``d`` per point is
    :func:`field_distance`; ``reduction='components'`` averages over the components too, as the authors do.

    Source, and the options that give the published forms:

    * Greer et al., ICCV 2021 (golden baselines/gradicon_loss ``InverseConsistentNet``):
      ``ICON(unit='unit', padding='border', reduction='components')``.
    * pyramid designs (golden flow_losses ``icon``): the defaults.

    Saved for backward: both fields, and per direction three fields of points. A mask weights points.

    Args:
        penalty: 'l1', 'l2', 'rmse' or 'charbonnier'.
        noise: standard deviation of the offsets in voxels (of the last axis for 'unit').
        unit: 'voxel', 'mm' or 'unit'.
        spacing: voxel size in mm for 'mm'.
        padding: fields outside the volume, 'zeros' or 'border'.
        symmetric: both directions, or ``id + backward`` after ``id + forward`` only.
        reduction: 'voxels' or 'components'.
        detach_inner: no gradient through the point at which the outer field is read.
        seed: of the noise.
    """

    def __init__(
        self,
        penalty: str = 'l2',
        noise: float = 1.0,
        unit: str = 'voxel',
        spacing: float | Sequence[float] | None = None,
        padding: str = 'zeros',
        symmetric: bool = True,
        reduction: str = 'voxels',
        detach_inner: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__(noise, unit, spacing, padding, symmetric, 1, detach_inner, seed)
        if reduction not in ('voxels', 'components'):
            raise ConfigError(f'ICON: reduction={reduction!r} is unknown, expected "voxels" or "components".')
        self.of, self.reduction = check_penalty(penalty, self), reduction

    def one_way(self, outer: Tensor, inner: Tensor, points: Tensor, weight: Tensor | None) -> Tensor:
        """Mean squared residual at ``points`` ``(N, P, ndim)`` of ``outer`` after ``inner``, both ``(N, ndim, *S)``."""
        error = self.residual(outer, inner, points) * self.lengths(outer).view(1, -1, 1)
        share = 1 / error.shape[1] if self.reduction == 'components' else 1.0
        return field_distance(error, self.of, weight) * share


@LOSSES.register_module()
class GradICON(_OffGrid):
    r"""``sum_a mean ( (E(p + h e_a) - E(p)) / h )^2`` with the residual ``E`` of :class:`ICON`, in [0, inf).

    The Jacobian of the composition should be the identity; the mean runs over batch, components and points. ``h`` is
    ``step`` in the unit. Published steps are so small that float32 loses about two digits; the default does not.

    Source, and the options that give the published forms:

    * Tian et al., CVPR 2023 (golden baselines/gradicon_loss): ``GradICON(step=0.001, unit='unit', padding='border',
      symmetric=False)``; its sparse training form adds ``noise=2.0, stride=2``. There the composition is
      ``phi_AB o phi_BA``: hand ``phi_BA`` over as ``forward`` and ``phi_AB`` as ``backward``.
    * pyramid designs (golden flow_losses ``gradicon``): ``GradICON(step=0.001 * (n // 2))``, ``n`` the last size.

    Saved for backward: both fields, and per direction and step three fields of points. A mask weights points.

    Args:
        step: of the finite difference, in the unit.
        noise, unit, spacing, padding, symmetric, detach_inner, seed: as :class:`ICON`.
        stride: use every ``stride``-th point per axis.
    """

    def __init__(
        self,
        step: float = 0.1,
        noise: float = 1.0,
        unit: str = 'voxel',
        spacing: float | Sequence[float] | None = None,
        padding: str = 'zeros',
        symmetric: bool = True,
        stride: int = 1,
        detach_inner: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__(noise, unit, spacing, padding, symmetric, stride, detach_inner, seed)
        if step <= 0:
            raise ConfigError(f'GradICON: step={step}, expected a positive number.')
        self.step = step

    def one_way(self, outer: Tensor, inner: Tensor, points: Tensor, weight: Tensor | None) -> Tensor:
        """Mean squared gradient of the residual at ``points`` ``(N, P, ndim)``, of fields ``(N, ndim, *S)``."""
        lengths = self.lengths(outer)
        here = self.residual(outer, inner, points)
        total = points.new_zeros(())
        for axis in range(points.shape[-1]):
            shift = torch.zeros_like(lengths)
            shift[axis] = self.step / lengths[axis]
            slope = (self.residual(outer, inner, points + shift) - here) * (lengths / self.step).view(1, -1, 1)
            total = total + field_distance(slope, 'l2', weight) / len(lengths)
        return total


@LOSSES.register_module()
class Cycle(Loss):
    r"""A cycle of fields should close: ``d(u_1 o .. o u_m)``, 0 if the maps in a row are the identity, in [0, inf).

    ``Cycle()(f, b)`` is one direction of :class:`InverseConsistency`; with more fields (``others``), for images
    1 -> 2 -> .. -> 1, ``u_k`` lives on the grid of image ``k`` and maps to image ``k + 1``. ``d`` as
    :func:`field_distance`, voxels. Source: the term of Christensen and Johnson, TMI 2001, for any number of
    fields (ours). Saved for backward: the fields, and per composition a sampling grid and a field.

    Args:
        penalty: 'l1', 'l2', 'rmse' or 'charbonnier'.
        padding: 'zeros' or 'border'.
    """

    kind = 'consistency'

    def __init__(self, penalty: str = 'l2', padding: str = 'zeros') -> None:
        super().__init__()
        self.of, self.padding = check_penalty(penalty, self), padding

    def forward(
        self, forward: Tensor, backward: Tensor, mask: Tensor | None = None, others: Sequence[Tensor] = ()
    ) -> Tensor:
        """Gap of the cycle ``forward``, ``backward``, ``others`` (N, ndim, *S), weighted by ``mask`` (N, 1, *S)."""
        fields = full_precision(forward, backward, *others)
        same_shape(self, **{f'field {k}': field for k, field in enumerate(fields)})
        with without_autocast(forward):
            total = fields[0]
            for field in fields[1:]:
                total = compose(field, total, self.padding)
            return field_distance(total, self.of, prepare_mask(mask, total))


@LOSSES.register_module()
class GroupConsistency(Loss):
    r"""Three images agree: ``d(u_23 + u_12 o (id + u_23) - u_13)``, 0 if the detour gives the direct field.

    In [0, inf), voxels. ``u_13`` is a constant of the gradient by default. Call it with ``(u_12, u_23, u_13)``, or with
    one batch of three stacked fields per group: ``loss.stacked(fields)`` (the longitudinal form, ``u_13`` trained too
    with ``detach_target=False``). Source: golden pyramid_designs/flow_losses ``group_consistency_flow*``,
    ``longitudinal_consistency``. Saved for backward: the fields, a sampling grid and the gap.

    Args:
        penalty: 'l1', 'l2', 'rmse' or 'charbonnier'.
        padding: 'zeros' or 'border'.
        detach_inner: no gradient through the point at which ``u_12`` is read.
        detach_target: no gradient towards ``u_13``.
    """

    kind = 'consistency'

    def __init__(
        self, penalty: str = 'l2', padding: str = 'zeros', detach_inner: bool = False, detach_target: bool = True
    ) -> None:
        super().__init__()
        self.of, self.padding = check_penalty(penalty, self), padding
        self.detach_inner, self.detach_target = detach_inner, detach_target

    def composed(self, first: Tensor, second: Tensor) -> Tensor:
        """``u_23 + u_12 o (id + u_23)`` for ``first`` = ``u_12`` and ``second`` = ``u_23``, both (N, ndim, *S)."""
        if not self.detach_inner:
            return compose(first, second, self.padding)
        point = second.detach()
        return second + compose(first, point, self.padding) - point

    def forward(self, first: Tensor, second: Tensor, direct: Tensor, mask: Tensor | None = None) -> Tensor:
        """Gap, of fields ``(N, ndim, *S)``, between ``direct`` (``u_13``) and the detour over ``first`` (``u_12``) and
        ``second`` (``u_23``).
        """
        same_shape(self, first=first, second=second, direct=direct)
        first, second, direct = full_precision(first, second, direct)
        with without_autocast(first):
            target = direct.detach() if self.detach_target else direct
            return field_distance(self.composed(first, second) - target, self.of, prepare_mask(mask, first))

    def stacked(self, fields: Tensor, mask: Tensor | None = None) -> Tensor:
        """The same for ``fields`` (3N, ndim, *S): all ``u_12``, then all ``u_23``, then all ``u_13``."""
        if len(fields) % 3:
            raise DataError(f'GroupConsistency: found a batch of {len(fields)} fields, expected a multiple of 3.')
        return self(*fields.chunk(3), mask)
