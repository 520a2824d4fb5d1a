"""What travels along the pipeline: the fields of one forward pass, and one pair with everything known about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from dataclasses import fields as dataclass_fields
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor


@dataclass
class Fields:
    """Velocities and displacements of all levels, finest first.

    Attributes:
        displacements: ``(N, ndim, *spatial_l)`` per level, voxels of the level's own grid, fixed -> moving (pull-back).
            The first lives on the fixed image's grid.
        velocities: What the integrator was given at each level, voxels of its own grid; equal to the increments where
            the method has no integration. A level's velocity may live on a coarser grid than its displacement.
        inverse_displacements: The same for moving -> fixed, empty where the method has no backward direction.
        extras: What only some heads have (affine matrices, intermediate steps, uncertainty).
        inverse_velocities: The velocities of the other direction, of heads that estimate one for each.
        halves: Of heads that move both images half way: displacement of the moving image to the middle.
        inverse_halves: That of the fixed image to the middle.
        means: Mean of the flow, of heads that draw samples of it.
        integrated: What the integrator returned, on the grid of the velocity.

    Lists are finest first and empty where a head has nothing of the kind.
    """

    displacements: list[Tensor]
    velocities: list[Tensor] = field(default_factory=list)
    inverse_displacements: list[Tensor] = field(default_factory=list)
    extras: dict[str, Any] = field(default_factory=dict)
    inverse_velocities: list[Tensor] = field(default_factory=list, kw_only=True)
    halves: list[Tensor] = field(default_factory=list, kw_only=True)
    inverse_halves: list[Tensor] = field(default_factory=list, kw_only=True)
    means: list[Tensor] = field(default_factory=list, kw_only=True)
    integrated: list[Tensor] = field(default_factory=list, kw_only=True)

    @property
    def displacement(self) -> Tensor:
        """Displacement of the finest level, ``(N, ndim, *spatial)``, voxels of the fixed grid."""
        return self.displacements[0]

    def map(self, function: Callable[[Tensor], Tensor]) -> Fields:
        """The same fields after ``function`` on every tensor ``(N, ndim, *spatial_l)`` of the lists; extras are
        kept.
        """
        lists: dict[str, Any] = {one.name: getattr(self, one.name) for one in dataclass_fields(self)}
        del lists['extras']
        lists = {name: [function(tensor) for tensor in values] for name, values in lists.items()}
        return replace(self, **lists)


class RegSample(BaseDataElement):
    """One pair of images with everything known about it.

    Meta information (small, plain values): ``case_id``, ``shape``, ``spacing`` in mm and ``affine`` (voxel -> RAS+ mm)
    of the fixed grid, ``fixed_path``, ``moving_path``. Data fields, where known: ``fixed_labels``, ``moving_labels``
    ``(1, *spatial)`` integer, ``fixed_landmarks``, ``moving_landmarks`` ``(P, ndim)`` voxels, masks, and ``pred``, the
    result: ``displacement`` ``(ndim, *spatial)``, ``warped`` ``(C, *spatial)``, ``warped_labels``,
    ``warped_landmarks``.
    """

    def __repr__(self) -> str:
        """Shapes instead of voxels."""
        parts = [f'{key}={value!r}' for key, value in self.metainfo_items()]
        parts += [f'{key}={_brief(value)}' for key, value in self.items()]
        return f'{type(self).__name__}({", ".join(parts)})'


def _brief(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f'{str(value.dtype).removeprefix("torch.")}{tuple(value.shape)}'
    if isinstance(value, BaseDataElement):
        return '{' + ', '.join(f'{k}={_brief(v)}' for k, v in value.items()) + '}'
    return repr(value)
