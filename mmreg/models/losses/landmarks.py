"""Distance of landmarks: the target registration error as a loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial.constants import constant
from mmreg.spatial.grid import voxel_size
from mmreg.spatial.precision import full_precision, without_autocast

from .base import Loss, same_shape


@LOSSES.register_module()
class LandmarkDistance(Loss):
    r"""Mean distance of corresponding points, ``mean_{n,p} rho(| (q_np - t_np) * spacing |)``, in [0, inf).

    ``rho`` is the identity ('distance': the target registration error, voxels, or mm with the spacing), the square
    ('l2'), or 'huber': quadratic up to ``delta``, linear beyond. Points with a coordinate that is not a number are left
    out; without any point the loss is 0, attached to the graph. The gradient of a perfect match is 0.
    Source: target registration error, Fitzpatrick et al., TMI 1998. Saved for backward: four arrays of the points.

    Args:
        spacing: mm per voxel of the image the points lie in.
        penalty: 'distance', 'l2' or 'huber'.
        delta: of 'huber', in the unit of the distance.
    """

    kind = 'landmark'

    def __init__(
        self, spacing: float | Sequence[float] | None = None, penalty: str = 'distance', delta: float = 1.0
    ) -> None:
        super().__init__()
        if penalty not in ('distance', 'l2', 'huber') or delta <= 0:
            raise ConfigError(
                f'LandmarkDistance: penalty={penalty!r}, delta={delta}, expected "distance", "l2", "huber" and > 0.'
            )
        self.spacing, self.penalty, self.delta = spacing, penalty, delta

    def forward(self, warped_points: Tensor, target_points: Tensor) -> Tensor:
        """Distance of ``warped_points`` from ``target_points``, both (N, P, ndim) in voxels of one image."""
        same_shape(self, warped_points=warped_points, target_points=target_points)
        warped, target = full_precision(warped_points, target_points)
        with without_autocast(warped):
            step = constant(voxel_size(self.spacing, warped.shape[-1], 'LandmarkDistance'), warped)
            known = (warped.isfinite() & target.isfinite()).all(-1, keepdim=True)
            away = torch.where(known, warped - target, 0) * step
            return self._rho(away).sum() / known.sum().clamp_min(1)

    def _rho(self, away: Tensor) -> Tensor:
        square = away.square().sum(-1)
        if self.penalty == 'l2':
            return square
        distance = torch.linalg.vector_norm(away, dim=-1)
        if self.penalty == 'distance':
            return distance
        return torch.where(distance <= self.delta, square / 2, self.delta * (distance - self.delta / 2))
