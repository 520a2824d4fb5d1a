"""A pair on the working grid: what a source of displacements is handed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmreg.io import Geometry, Volume, affine_transform, resample_to
from mmreg.registration.alignment import Alignment
from mmreg.registration.inputs import Pair
from mmreg.registration.inputs.views import View, view_of
from mmreg.spatial import displacement_to_grid

from .preparation import Preparation, on_grid


@dataclass(frozen=True)
class WorkingPair:
    """One pair, its affine and the grid that both images are brought to.

    Attributes:
        pair: What was read.
        alignment: fixed world -> moving world, applied where the moving image is sampled.
        grid: Working grid, over the fixed image's field of view.
        axis: Axis of the slices where a 2-D model is run on a stack; None: the model sees the whole grid.
    """

    pair: Pair
    alignment: Alignment
    grid: Geometry
    axis: int | None = None

    def images(self, preparation: Preparation, extend: bool = False) -> dict[str, np.ndarray]:
        """``fixed`` and ``moving`` ``(C, *grid.shape)`` float32, intensities as ``preparation`` says.

        ``extend``: what is behind the edge of what an image shows goes on as its edge does.
        """
        found = {}
        for role, affine in (('fixed', None), ('moving', self.alignment.matrix)):
            volume = self.shown[role].volume if extend else self.pair.images[role].volume
            found[role] = on_grid(volume, self.grid, preparation, affine, role, self.axis, extend)
        return found

    @cached_property
    def shown(self) -> dict[str, View]:
        """What each image shows, by role."""
        return {role: view_of(image.volume, image.unknown) for role, image in self.pair.images.items()}

    @cached_property
    def views(self) -> dict[str, np.ndarray]:
        """Which voxels of the grid each image shows, where those are not all, ``(*grid.shape)`` bool by role."""
        found = {}
        for role, view in self.shown.items():
            seen = view.on(self.grid, self.alignment.matrix if role == 'moving' else None)
            if seen is not None and seen.any():
                found[role] = seen
        return found

    @cached_property
    def given(self) -> dict[str, np.ndarray]:
        """Masks of the user, ``(*grid.shape)`` bool by role."""
        return {role: self._nearest(image.volume, role)[0] > 0 for role, image in self.pair.masks.items()}

    def masks(self) -> dict[str, np.ndarray]:
        """``fixed_mask``, ``moving_mask`` ``(1, *grid.shape)`` float32: given, and what the images show; where any."""
        found = {}
        for role in self.pair.images:
            parts = [masks[role] for masks in (self.given, self.views) if role in masks]
            if parts:
                both = np.logical_and.reduce(parts)
                found[f'{role}_mask'] = (both if both.any() else parts[0])[None].astype(np.float32)
        return found

    def labels(self) -> dict[str, np.ndarray]:
        """``fixed_labels``, ``moving_labels`` ``(1, *grid.shape)`` int64, where given."""
        return {
            f'{role}_labels': self._nearest(image.volume, role).astype(np.int64)
            for role, image in self.pair.scored.items()
        }

    def landmarks(self) -> dict[str, np.ndarray]:
        """``fixed_landmarks``, ``moving_landmarks`` ``(P, ndim)`` float32 voxels of the grid, where given."""
        found = {}
        for role, points in self.pair.points.items():
            world = points.in_world(self.pair.images[role].geometry)
            if role == 'moving' and self.alignment.matrix is not None:
                world = affine_transform(self.alignment.matrix).inverse().transform_points(world)
            found[f'{role}_landmarks'] = self.grid.world_to_voxel(world).astype(np.float32)
        return found

    def _nearest(self, volume: Volume, role: str) -> np.ndarray:
        affine = self.alignment.matrix if role == 'moving' else None
        transform = None if affine is None else affine_transform(affine)
        return resample_to(volume, self.grid, 'nearest', transform=transform).channel_first()

    def key(self) -> tuple[Any, ...]:
        """Pairs of one key can be stacked into one batch."""
        channels = self.pair.fixed.volume.channels
        return (self.grid.shape, tuple(np.round(self.grid.spacing, 6)), channels, *sorted(self.masks()))


@dataclass(frozen=True)
class SourceResult:
    """What a source returns for one pair, on the working grid and on the CPU.

    Attributes:
        displacement: ``(ndim, *S)`` float32, voxels of the working grid.
        curves: Name of a term -> list of (level, iteration, value).
        seconds: By step.
        notes: What else belongs into the plan.
        maps: Name -> ``(C, *S)`` float32: what else the model says per voxel of the working grid.
        warnings: What a user should know of how it was found.
        minimised: What the optimisation minimised, before and after; None without one.
        inverse: ``(ndim, *S)`` float32, voxels of the working grid: what the model itself says of the way back; None
            where it says nothing.
    """

    displacement: Tensor
    curves: Mapping[str, Sequence[tuple[int, int, float]]]
    seconds: Mapping[str, float]
    notes: Mapping[str, object]
    maps: Mapping[str, Tensor] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    minimised: tuple[float, float] | None = None
    inverse: Tensor | None = None


def stack(arrays: Iterable[Mapping[str, np.ndarray]], device: torch.device) -> dict[str, Tensor]:
    """A batch ``(N, ...)`` per key from the arrays of each pair."""
    rows = list(arrays)
    return {key: torch.from_numpy(np.stack([row[key] for row in rows])).to(device) for key in rows[0]}


def to_fixed_grid(field: Tensor, on: WorkingPair) -> np.ndarray:
    """``(ndim, *S)`` float32 voxels of the fixed image's own grid from a field on the working grid."""
    target = on.pair.fixed.geometry
    if on.grid != target:
        source, wanted = (torch.tensor(g.affine) for g in (on.grid, target))
        field = displacement_to_grid(field[None], source, wanted, target.shape)[0]
    return field.numpy()
