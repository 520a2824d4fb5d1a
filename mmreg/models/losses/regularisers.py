"""Regularisers of higher order or with coupled components: bending, curvature, linear elasticity, total variation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial import spatial_gradient
from mmreg.spatial.constants import constant
from mmreg.spatial.masked import masked_mean

from .field_base import FieldLoss, forward_difference, inner_mask, need_voxels, second_difference, sum_of_terms, window


@LOSSES.register_module()
class BendingEnergy(FieldLoss):
    r"""Bending energy ``mean_x sum_{i,j,k} (d^2 u_i / dx_j dx_k)^2``, in [0, inf); affine maps cost nothing.

    Mixed derivatives appear twice in the sum. Unit of the value: 1 / length^2 (voxel or mm). Central differences at
    the inner voxels; ``scheme='forward'`` is the published form of MIDIR (Rueckert's energy): two forward differences
    with the edge voxel repeated, averaged over all voxels, so that affine maps do cost something at the border.
    A mask weights voxels. Source: Rueckert et al., TMI 1999, eq. 4; golden gradirn/annex_ffd ``bending``.

    Saved for backward: the field by reference; every derivative is computed again.

    Args:
        unit: 'voxel', 'normalised' or 'mm'.
        spacing: voxel size in mm for ``unit='mm'``.
        scheme: 'central' or 'forward'.
    """

    def __init__(
        self, unit: str = 'voxel', spacing: float | Sequence[float] | None = None, scheme: str = 'central'
    ) -> None:
        super().__init__(unit, spacing)
        if scheme not in ('central', 'forward'):
            raise ConfigError(f'BendingEnergy: scheme={scheme!r} is unknown, expected "central" or "forward".')
        self.scheme = scheme

    def penalty(self, field: Tensor, labels: Tensor | None, mask: Tensor | None) -> Tensor:
        """Mean squared second derivatives of ``field`` ``(N, ndim, *S)``."""
        need_voxels(field, 3, self)
        second = second_difference if self.scheme == 'central' else _replicated_second
        weight = inner_mask(mask) if self.scheme == 'central' else mask
        value, step = self.lengths(field.shape[2:])
        ndim = len(step)

        def term(u: Tensor, a: int, b: int) -> Tensor:
            scale = constant([v / (step[a] * step[b]) for v in value], u).view(1, -1, *[1] * ndim)
            return _energy(second(u, a, b) * scale, weight) * (1 if a == b else 2)

        return sum_of_terms((partial(term, a=a, b=b) for a in range(ndim) for b in range(a, ndim)), field)


@LOSSES.register_module()
class Curvature(FieldLoss):
    r"""Curvature regulariser ``mean_x sum_i (laplace u_i)^2``, in [0, inf); affine maps cost nothing.

    Central differences at the inner voxels. Unit of the value: 1 / length^2. Source: Fischer and Modersitzki, JMIV
    2003 (without the factor 1/2). Saved for backward: the field by reference.

    Args:
        unit: 'voxel', 'normalised' or 'mm'.
        spacing: voxel size in mm for ``unit='mm'``.
    """

    def penalty(self, field: Tensor, labels: Tensor | None, mask: Tensor | None) -> Tensor:
        """Mean squared Laplacian of ``field`` ``(N, ndim, *S)``."""
        need_voxels(field, 3, self)
        value, step = self.lengths(field.shape[2:])
        ndim = len(step)

        def term(u: Tensor) -> Tensor:
            scale = constant(value, u).view(1, -1, *[1] * ndim)
            laplacian = sum(second_difference(u, a, a) / step[a] ** 2 for a in range(ndim))
            return _energy(laplacian * scale, inner_mask(mask))

        return sum_of_terms([term], field)


@LOSSES.register_module()
class LinearElastic(FieldLoss):
    r"""Linear elastic energy ``mean_x [ lambda/2 (div u)^2 + mu sum_ij e_ij^2 ]``, in [0, inf).

    ``e = (grad u + grad u^T) / 2`` is the small strain; translations cost nothing and small rotations next to
    nothing (second order). Central differences at the inner voxels; no dimension. Source: Broit 1981; Modersitzki,
    "Numerical methods for image registration", 2004, chapter 9. Saved for backward: the field by reference.

    Args:
        mu: first weight, resistance to shear (Lame's second constant).
        lam: resistance to change of volume (Lame's first constant).
        unit: 'voxel', 'normalised' or 'mm'.
        spacing: voxel size in mm for ``unit='mm'``.
    """

    def __init__(
        self,
        mu: float = 1.0,
        lam: float = 1.0,
        unit: str = 'voxel',
        spacing: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__(unit, spacing)
        if mu < 0 or lam < 0:
            raise ConfigError(f'LinearElastic: mu={mu}, lam={lam}, expected numbers of at least 0.')
        self.mu, self.lam = mu, lam

    def penalty(self, field: Tensor, labels: Tensor | None, mask: Tensor | None) -> Tensor:
        """Mean elastic energy of ``field`` ``(N, ndim, *S)``."""
        need_voxels(field, 3, self)
        value, step = self.lengths(field.shape[2:])
        scale = constant([[v / s for s in step] for v in value], field)

        def term(u: Tensor) -> Tensor:
            gradient = spatial_gradient(u, 'central_cropped') * scale.view(1, *scale.shape, *[1] * len(step))
            strain = (gradient + gradient.transpose(1, 2)) / 2
            divergence = strain.diagonal(dim1=1, dim2=2).sum(-1)
            energy = self.lam / 2 * divergence.square() + self.mu * strain.square().sum((1, 2))
            return masked_mean(energy[:, None], inner_mask(mask))

        return sum_of_terms([term], field)


@LOSSES.register_module()
class TotalVariation(FieldLoss):
    r"""Total variation ``mean_x [ sqrt(sum_{i,a} (du_i/dx_a)^2 + eps^2) - eps ]``, in [0, inf).

    Lets the field jump where tissue slides: a step costs its height, whatever its width. ``coupled=False`` takes one
    root per component and adds them. Forward differences on the grid without its last voxels; no dimension. For
    absolute differences per axis use :class:`Diffusion` with ``penalty='l1'``. Source: Vishnevskiy et al., TMI 2017.

    Saved for backward: the field by reference.

    Args:
        coupled: one root over all components.
        eps: rounds the corner at 0, so that the gradient stays finite.
        unit: 'voxel', 'normalised' or 'mm'.
        spacing: voxel size in mm for ``unit='mm'``.
    """

    def __init__(
        self,
        coupled: bool = True,
        eps: float = 1e-3,
        unit: str = 'voxel',
        spacing: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__(unit, spacing)
        if eps <= 0:
            raise ConfigError(f'TotalVariation: eps={eps}, expected a positive number.')
        self.coupled, self.eps = coupled, eps

    def penalty(self, field: Tensor, labels: Tensor | None, mask: Tensor | None) -> Tensor:
        """Mean length of the gradient of ``field`` ``(N, ndim, *S)``."""
        need_voxels(field, 2, self)
        value, step = self.lengths(field.shape[2:])
        ndim = len(step)
        weight = None if mask is None else window(mask, 0, 1)

        def term(u: Tensor) -> Tensor:
            gradient = spatial_gradient(u, 'forward')
            scale = constant([[v / s for s in step] for v in value], u).view(1, ndim, ndim, *[1] * ndim)
            squares = (gradient * scale).square().sum(2)
            squares = squares.sum(1, keepdim=True) if self.coupled else squares
            variation = (torch.sqrt(squares + self.eps**2) - self.eps).sum(1, keepdim=True)
            return masked_mean(variation, weight)

        return sum_of_terms([term], field)


def _energy(derivative: Tensor, mask: Tensor | None) -> Tensor:
    """Sum over components of the squares, averaged over voxels."""
    return masked_mean(derivative.square().sum(1, keepdim=True), mask)


def _replicated_second(x: Tensor, a: int, b: int) -> Tensor:
    """Forward difference along ``a``, then ``b``, the last difference of an axis being 0."""
    for axis in (a, b):
        difference = forward_difference(x, axis)
        x = torch.cat([difference, torch.zeros_like(difference.narrow(axis + 2, 0, 1))], axis + 2)
    return x
