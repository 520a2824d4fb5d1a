"""Penalties on the Jacobian determinant: folding, change of volume, non-diffeomorphic volume."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial import jacobian_determinant
from mmreg.spatial.masked import masked_mean
from mmreg.spatial.simplices import Determinant, simplex_determinants, simplex_share

from .field_base import FieldLoss, inner_mask, need_true_unit, need_voxels, sum_of_terms, window


class _DeterminantLoss(FieldLoss):
    """Mean over voxels of a function of ``det`` of ``id + displacement``; a determinant has no dimension.

    ``unit`` and ``spacing`` are taken as by every field loss and change nothing: lengths of both spaces scale alike.
    """

    def __init__(self, scheme: str, crop: int, unit: str, spacing: float | Sequence[float] | None) -> None:
        super().__init__(unit, spacing)
        need_true_unit(self)
        if scheme not in ('central', 'forward') or crop < 0:
            raise ConfigError(
                f'{type(self).__name__}: scheme={scheme!r}, crop={crop}, expected "central" or "forward" and crop >= 0.'
            )
        self.scheme, self.crop = scheme, crop

    def penalty(self, field: Tensor, labels: Tensor | None, mask: Tensor | None) -> Tensor:
        need_voxels(field, 2 * self.crop + 2, self)
        lost = 1 if self.scheme == 'forward' else 0
        weight = None if mask is None else window(mask, self.crop, lost + 2 * self.crop)

        def term(u: Tensor) -> Tensor:
            determinant = jacobian_determinant(u, scheme=self.scheme, crop=self.crop)
            return masked_mean(self.of_determinant(determinant)[:, None], weight)

        return sum_of_terms([term], field)

    def of_determinant(self, determinant: Tensor) -> Tensor:
        """Penalty per voxel."""
        raise NotImplementedError


@LOSSES.register_module()
class JacobianFolding(_DeterminantLoss):
    r"""Folding ``mean_x max(margin - det J(x), 0)``, ``J`` the Jacobian matrix of ``id + u``, in [0, inf).

    0 where the map keeps the orientation everywhere. Source: ``scheme='forward', crop=0`` is the anti-folding term of
    LapIRN and SYMNet, ``crop=2`` that of the pyramid designs (golden pyramid_designs/flow_losses ``np_jacdet``). Field:
    displacement in voxels. A mask weights voxels. Saved for backward: the field by reference.

    Args:
        margin: determinants below it cost; 0 penalises folds only.
        scheme: 'central' or 'forward' differences.
        crop: voxels left out on every side.
        unit, spacing: 'voxel', 'normalised' or 'mm' with the voxel size; the value is the same in all of them.
    """

    def __init__(
        self,
        margin: float = 0.0,
        scheme: str = 'forward',
        crop: int = 0,
        unit: str = 'voxel',
        spacing: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__(scheme, crop, unit, spacing)
        self.margin = margin

    def of_determinant(self, determinant: Tensor) -> Tensor:
        """How far the determinants ``(N, *S)`` lie below the margin."""
        return torch.relu(self.margin - determinant)


@LOSSES.register_module()
class JacobianVolume(_DeterminantLoss):
    r"""Change of volume, ``mean_x g(det J(x))``, in [0, inf); 0 where the map keeps volumes.

    ``penalty``: 'l2' ``(det - 1)^2``, 'l1' ``|det - 1|``, or 'log' ``(log det)^2``, for which growing and shrinking
    by the same factor cost the same; below ``floor`` the logarithm goes on as its tangent, so that folds keep a finite
    gradient that undoes them. With a mask: incompressible tissue. Field: displacement in voxels.
    Saved for backward: the field by reference. Source: Rohlfing et al., TMI 2003 (logarithm).

    Args:
        penalty: 'l1', 'l2' or 'log'.
        scheme: 'central' or 'forward' differences.
        crop: voxels left out on every side.
        floor: see 'log'.
        unit, spacing: 'voxel', 'normalised' or 'mm' with the voxel size; the value is the same in all of them.
    """

    def __init__(
        self,
        penalty: str = 'log',
        scheme: str = 'central',
        crop: int = 0,
        floor: float = 0.05,
        unit: str = 'voxel',
        spacing: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__(scheme, crop, unit, spacing)
        if penalty not in ('l1', 'l2', 'log') or floor <= 0:
            raise ConfigError(
                f'JacobianVolume: penalty={penalty!r}, floor={floor}, expected "l1", "l2" or "log" and floor > 0.'
            )
        self.of, self.floor = penalty, floor

    def of_determinant(self, determinant: Tensor) -> Tensor:
        """How far the determinants ``(N, *S)`` are from 1."""
        if self.of == 'log':
            above = determinant.clamp_min(self.floor)
            return (above.log() + (determinant - above) / self.floor).square()
        return (determinant - 1).abs() if self.of == 'l1' else (determinant - 1).square()


@LOSSES.register_module()
class NonDiffeomorphicVolume(FieldLoss):
    r"""Non-diffeomorphic volume of a digital map: the share of the grid's volume that is turned inside out, >= 0.

    Each cell of the grid is cut into simplices in all symmetric ways (3-D: ten tetrahedra per voxel; 2-D: four
    triangles), on which the interpolated map is linear. The value is the mean over inner voxels of the absolute
    volume of those with a negative determinant, each way of cutting weighing the same: 0 if and only if the map is
    a digital diffeomorphism. Times 100 it is the percentage that LUMIR reports (restrict it with ``mask``).

    Formula: ``share * sum_k mean_x max(-det_k(x), 0)`` over the simplices ``k`` of
    :func:`~mmreg.spatial.simplices.simplex_determinants`, ``share`` 1/12 in 3-D and 1/4 in 2-D. A share of volume, no
    unit. Field: displacement in voxels. Source: Liu et al., IJCV 2024. Saved for backward: the field by reference.

    Args:
        unit, spacing: 'voxel', 'normalised' or 'mm' with the voxel size; the value is the same in all of them.
    """

    def __init__(self, unit: str = 'voxel', spacing: float | Sequence[float] | None = None) -> None:
        super().__init__(unit, spacing)
        need_true_unit(self)

    def penalty(self, field: Tensor, labels: Tensor | None, mask: Tensor | None) -> Tensor:
        """Share of volume of ``field`` ``(N, ndim, *S)`` that is folded, over the simplices of every voxel."""
        need_voxels(field, 3, self)
        weight = inner_mask(mask)
        ndim = field.dim() - 2

        def term(u: Tensor, determinant: Determinant) -> Tensor:
            return masked_mean(torch.relu(-determinant(u))[:, None], weight) * simplex_share(ndim)

        simplices = simplex_determinants(ndim).values()
        return sum_of_terms((partial(term, determinant=d) for d in simplices), field)
