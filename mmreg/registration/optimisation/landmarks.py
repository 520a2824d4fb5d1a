"""Landmarks that steer: after every step of the images each is brought nearer to its partner, and takes its
surroundings along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmreg.spatial import gaussian_filter, sample
from mmreg.spatial.constants import constant

from .levels import Stage
from .stiffness import TRUNCATE

#: No point moves further in one iteration, voxels of the field: such increments can be composed.
LONGEST = 1.0


@torch.no_grad()
def pull(
    share: float,
    integrator: Callable[[Tensor], Tensor],
    field: Tensor,
    data: Mapping[str, Any],
    stage: Stage,
    sigma: Sequence[float],
) -> tuple[Tensor, float]:
    """The increment by which landmarks move the field: a proximal step of their squared distance.

    Every point asks for ``share`` of what it is off by. Its wish is spread by a Gaussian, and divided by what the
    Gaussians of all points add up to at its place, so that points side by side do not push each other too far.

    Args:
        share: 0 to 1; with 1 the regularisation of the field gives way where landmarks are.
        integrator: From the field to the displacement.
        field: ``(N, ndim, *grid)`` voxels of its own grid.
        data: ``fixed_landmarks``, ``moving_landmarks``: per pair ``(P, ndim)`` voxels of the level's images.
        stage: The level.
        sigma: Of the Gaussian, voxels of the field per axis.

    Returns:
        ``(N, ndim, *grid)`` voxels of the field, and the mean distance of all points before it, mm.
    """
    displacement = integrator(field)
    sizes = zip(stage.images.size, stage.field.size)
    ratio = constant([(m - 1) / (n - 1) if n > 1 else 1.0 for n, m in sizes], field)
    spacing = constant(stage.field.spacing, field)
    increment, lengths = torch.zeros_like(displacement), []
    for n, (start, target) in enumerate(zip(data['fixed_landmarks'], data['moving_landmarks'])):
        points, wanted = start.to(field) * ratio, target.to(field) * ratio
        if not len(points):
            continue
        left = wanted - points - sample(displacement[n : n + 1], points[None])[0].T
        lengths.append(torch.linalg.vector_norm(left * spacing, dim=1))
        length = torch.linalg.vector_norm(left, dim=1, keepdim=True)
        wish = share * left * (LONGEST / length.clamp(min=LONGEST))
        crowd = _spread(points, torch.ones_like(wish[:, :1]), displacement[n : n + 1, :1], sigma)
        density = sample(crowd, points[None])[0].T
        increment[n : n + 1] = _spread(points, wish / density, displacement[n : n + 1], sigma)
    return increment, float(torch.cat(lengths).mean()) if lengths else 0.0


def _spread(points: Tensor, values: Tensor, like: Tensor, sigma: Sequence[float]) -> Tensor:
    """``values`` ``(P, C)`` put at ``points`` of a grid ``(1, C, *grid)`` and smoothed."""
    with torch.enable_grad():  # the derivative of looking up is putting down
        empty = torch.zeros_like(like).requires_grad_()
        found = sample(empty, points[None])
    (put,) = torch.autograd.grad(found, empty, values.T[None])
    return gaussian_filter(put, sigma, truncate=TRUNCATE)
