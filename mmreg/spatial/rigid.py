"""The best rigid motion of a body: weighted Procrustes (Kabsch) fits, many bodies at once, differentiable.

A motion maps fixed to moving coordinates, ``x -> R x + t``. Bodies that do not determine a rotation have one all the
same: a single voxel gets the identity, a line the smallest rotation that turns it, a plane its only proper one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmreg.errors import DataError

from ._checks import voxel_size

#: Two singular values whose sum is below this share of the largest one leave their plane of rotation undetermined.
TOLERANCE = 1e-5


class RigidMotion(NamedTuple):
    """Motions ``x -> R x + t`` of K bodies: ``rotation`` (K, ndim, ndim), ``translation`` (K, ndim), float64."""

    rotation: Tensor
    translation: Tensor

    def body(self, k: int) -> RigidMotion:
        """The motion of body ``k`` alone."""
        return RigidMotion(self.rotation[k : k + 1], self.translation[k : k + 1])

    def displacement(self, body: int, points: Tensor) -> Tensor:
        """``R x + t - x`` of one body at ``points`` (ndim, ...), in their dtype."""
        rotation = self.rotation[body].to(points.dtype)
        shift = self.translation[body].to(points.dtype).view(-1, *[1] * (points.dim() - 1))
        return torch.tensordot(rotation, points, 1) + shift - points


class LabelFit(NamedTuple):
    """Fits per label: ``classes`` (K), ``motion``, ``residual`` (K): root mean square distance from the motion."""

    classes: list[int]
    motion: RigidMotion
    residual: Tensor


def best_rigid_motion(
    points: Tensor,
    moved: Tensor,
    body: Tensor,
    bodies: int,
    weight: Tensor | None = None,
    centre: Tensor | None = None,
    moved_centre: Tensor | None = None,
) -> RigidMotion:
    """Motions that bring ``points`` nearest to ``moved`` in the weighted least-squares sense, one per body.

    Args:
        points: (P, ndim) of all bodies together.
        moved: (P, ndim), where each point should go.
        body: (P,) integers 0..bodies-1, the body of each point.
        bodies: number of bodies; one without points gets the identity (shifted if centres are given).
        weight: (P,) at least 0; all 1 by default.
        centre: (bodies, ndim) centres to rotate about instead of the weighted means of ``points``.
        moved_centre: the same for ``moved``.

    Returns:
        Float64 motions, differentiable towards points, moved, weights and centres; gradients stay finite for every
        configuration of points.

    Source: Kabsch 1976, Umeyama 1991; spine specification "best rigid motion of a vertebra".

    Example:
        >>> points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> motion = best_rigid_motion(points, points + 2, torch.zeros(3, dtype=torch.long), 1)
        >>> motion.translation.round(decimals=6).tolist()
        [[2.0, 2.0]]
    """
    if points.shape != moved.shape or len(body) != len(points):
        raise DataError(
            f'Rigid motion: found points {tuple(points.shape)}, moved {tuple(moved.shape)}, body {tuple(body.shape)}, '
            'expected (P, ndim), (P, ndim), (P,).'
        )
    points, moved = points.double(), moved.double()
    weight = points.new_ones(len(points)) if weight is None else weight.double()
    centre = _means(points, weight, body, bodies) if centre is None else centre.double()
    moved_centre = _means(moved, weight, body, bodies) if moved_centre is None else moved_centre.double()
    from_centre, to_centre = points - centre[body], moved - moved_centre[body]
    products = (weight[:, None] * to_centre)[:, :, None] * from_centre[:, None, :]
    covariance = products.new_zeros(bodies, *products.shape[1:]).index_add(0, body, products)
    rotation = nearest_rotation(covariance)
    return RigidMotion(rotation, moved_centre - (rotation @ centre[:, :, None])[:, :, 0])


def nearest_rotation(matrix: Tensor) -> Tensor:
    """The rotation ``R`` (determinant +1) that maximises ``trace(R^T M)``, for ``matrix`` (..., ndim, ndim).

    Example:
        >>> nearest_rotation(torch.diag(torch.tensor([2.0, 0.5]))).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return _NearestRotation.apply(matrix)


class _NearestRotation(torch.autograd.Function):
    r"""``M = U S V^T``, ``R = U D V^T``, ``D = diag(1, .., det(U V^T))``.

    From ``R^T M`` symmetric: ``V^T R^T dR V = Y`` with ``Y_ij = (C - C^T)_ij / (s_i + s_j)``, ``C = D U^T dM V`` and
    ``s`` the diagonal of ``D S``. Unlike the SVD's own derivative this is finite for equal singular values.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        u, s, vt, sign = _signed_svd(matrix)
        largest = s[..., :1]
        loose = (s[..., -2:].sum(-1, keepdim=True) <= TOLERANCE * largest)[..., None]
        if bool(loose.any()):  # pull what the points leave open towards no rotation
            pull = torch.where(largest > 0, TOLERANCE * largest, 1)[..., None] * torch.eye(
                matrix.shape[-1], dtype=matrix.dtype, device=matrix.device
            )
            u, s, vt, sign = _signed_svd(torch.where(loose, matrix + pull, matrix))
        ctx.save_for_backward(u, s, vt, sign, largest)
        return (u * sign[..., None, :]) @ vt

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        u, s, vt, sign, largest = ctx.saved_tensors
        slope = sign[..., :, None] * (u.mT @ grad @ vt.mT)
        total = s[..., :, None] + s[..., None, :]
        fixed = total > 4 * TOLERANCE * largest[..., None]
        slope = torch.where(fixed, (slope - slope.mT) / torch.where(fixed, total, 1), 0)
        return (u * sign[..., None, :]) @ slope @ vt


def _signed_svd(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``U``, singular values with the last one signed, ``V^T``, and the signs (1, .., det(U V^T))."""
    u, s, vt = torch.linalg.svd(matrix)
    sign = torch.ones_like(s)
    sign[..., -1] = torch.linalg.det(u @ vt).sign()
    return u, s * sign, vt, sign


def _means(points: Tensor, weight: Tensor, body: Tensor, bodies: int) -> Tensor:
    """Weighted mean per body (bodies, ndim); 0 for a body without points."""
    total = weight.new_zeros(bodies).index_add(0, body, weight)
    sums = points.new_zeros(bodies, points.shape[1]).index_add(0, body, weight[:, None] * points)
    return sums / torch.where(total > 0, total, 1)[:, None]


def mass_centre(body: Tensor) -> Tensor:
    """Centre of mass (ndim) of a soft body (*S) in voxels, float64; 0 for an empty one.

    Example:
        >>> body = torch.zeros(5, 5)
        >>> body[1, 3] = 1
        >>> mass_centre(body).tolist()
        [1.0, 3.0]
    """
    total = body.sum(dtype=torch.float64)
    centre = []
    for axis, n in enumerate(body.shape):
        profile = body.sum(dim=[a for a in range(body.dim()) if a != axis], dtype=torch.float64)
        centre.append((profile * torch.arange(n, dtype=torch.float64, device=body.device)).sum())
    return torch.stack(centre) / torch.where(total > 0, total, 1)


def fit_labels(
    displacement: Tensor,
    labels: Tensor,
    classes: Sequence[int] | None = None,
    spacing: float | Sequence[float] | None = None,
) -> LabelFit:
    """Best rigid motion of each label under a displacement, over all its voxels, and how far it is from rigid.

    Args:
        displacement: (ndim, *S) voxels.
        labels: (*S) integers on the same grid.
        classes: labels to fit; by default all that are present except 0.
        spacing: mm per voxel; then the motion acts on ``voxel index * spacing`` and the residual is in mm.

    Example:
        >>> labels = torch.zeros(6, 6, dtype=torch.long)
        >>> labels[1:4, 1:4] = 7
        >>> fit = fit_labels(torch.ones(2, 6, 6), labels)
        >>> fit.classes, fit.residual.round(decimals=6).tolist()
        ([7], [0.0])
    """
    ndim = displacement.shape[0]
    if displacement.shape[1:] != labels.shape:
        raise DataError(f'Rigid fit: labels {tuple(labels.shape)}, displacement {tuple(displacement.shape)} differ.')
    chosen = present_classes(labels) if classes is None else [int(c) for c in classes]
    step = displacement.new_tensor(voxel_size(spacing, ndim, 'fit_labels')).double()
    places = [(labels == c).nonzero() for c in chosen]
    index = torch.cat(places) if places else labels.new_zeros(0, ndim, dtype=torch.long)
    body = torch.cat([torch.full((len(p),), k) for k, p in enumerate(places)]) if places else index[:, 0]
    body = body.to(labels.device)
    points = index.double() * step
    moved = points + vectors_at(displacement, index).double() * step
    motion = best_rigid_motion(points, moved, body, len(chosen))
    away = (motion.rotation[body] @ points[:, :, None])[:, :, 0] + motion.translation[body] - moved
    square = away.new_zeros(len(chosen)).index_add(0, body, away.square().sum(1))
    count = away.new_zeros(len(chosen)).index_add(0, body, away.new_ones(len(away)))
    return LabelFit(chosen, motion, (square / count).sqrt())


def vectors_at(field: Tensor, voxels: Tensor) -> Tensor:
    """Vectors (P, ndim) of a field (ndim, *S) at integer ``voxels`` (P, ndim).

    Example:
        >>> vectors_at(torch.arange(8.0).view(2, 2, 2), torch.tensor([[0, 1]])).tolist()
        [[1.0, 5.0]]
    """
    where = tuple(voxels.unbind(1))
    return field[(slice(None),) + where].T


def present_classes(labels: Tensor) -> list[int]:
    """Positive label values in ``labels`` ``(*S)``, ascending.

    Example:
        >>> present_classes(torch.tensor([[0, 3], [3, 1]]))
        [1, 3]
    """
    return [int(v) for v in labels.unique() if v > 0]
