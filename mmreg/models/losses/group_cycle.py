"""Cycles of a group of images that was registered pair by pair around the circle."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.errors import ConfigError, DataError
from mmreg.registry import LOSSES
from mmreg.spatial import compose
from mmreg.spatial.view import in_view

from .consistency import ConsistencyLoss
from .field_distance import check_penalty, field_distance


@LOSSES.register_module()
class GroupCycle(ConsistencyLoss):
    r"""Around a group of images back to the first: ``mean of d(f_1 o f_2 o .. o f_m)`` both ways, in [0, inf).

    The batch holds the groups one after another, the pairs of a group in a circle: pair ``k`` has image ``k`` as fixed
    and image ``k + 1`` as moving, the last one image 1 again (:class:`GroupRegistrar`). ``forward`` fields go around
    one way, ``backward`` fields the other. ``d`` as :func:`field_distance`, over the voxels of image 1 whose way stays
    inside the volume. 0 if the maps agree.

    Unit: voxels, or with ``unit='half_extent'`` lengths of which half the longest axis is 1. Source: the group
    consistency of the LUMIR 2024 winner (SITReg, second stage): ``GroupCycle(unit='half_extent')``. Saved for backward:
    per direction the field after each composition, and one mask.

    Args:
        group: Images per group, 2 or more.
        penalty: 'l1', 'l2', 'rmse' or 'charbonnier'.
        unit: 'voxel' or 'half_extent'.
        padding: fields outside the volume, 'border' or 'zeros'.
    """

    def __init__(self, group: int = 3, penalty: str = 'l2', unit: str = 'voxel', padding: str = 'border') -> None:
        super().__init__()
        if group < 2:
            raise ConfigError(f'GroupCycle: group={group}, expected 2 images or more.')
        if unit not in ('voxel', 'half_extent'):
            raise ConfigError(f'GroupCycle: unit={unit!r} is unknown, expected "voxel" or "half_extent".')
        self.group, self.of, self.unit, self.padding = group, check_penalty(penalty, self), unit, padding

    def penalty(self, forward: Tensor, backward: Tensor, mask: Tensor | None) -> Tensor:
        """Distance from the identity after a walk around every group, fields ``(N, ndim, *S)``."""
        if len(forward) % self.group:
            raise DataError(f'GroupCycle: found a batch of {len(forward)}, expected a multiple of {self.group}.')
        there = [forward[k :: self.group] for k in range(self.group)]
        back = [backward[k :: self.group] for k in reversed(range(self.group))]
        start = None if mask is None else mask[:: self.group]
        return (self._gap(there, start) + self._gap(back, start)) / 2

    def _gap(self, fields: Sequence[Tensor], mask: Tensor | None) -> Tensor:
        """Distance from the identity of the fields in turn, ``(N, ndim, *S)`` each."""
        total = fields[0]
        inside = in_view(total)
        for field in fields[1:]:
            total = compose(field, total, self.padding)
            inside = inside & in_view(total)
        scale = 1.0 if self.unit == 'voxel' else 2 / max(total.shape[2:])
        weight = inside.to(total) if mask is None else mask * inside
        return field_distance(total * scale, self.of, torch.as_tensor(weight))
