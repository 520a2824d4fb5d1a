"""Maps per voxel that a model finds besides the displacement: how uncertain it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from mmreg.io import Volume, resample_to
from mmreg.models.registrars.registrar import MAPS
from mmreg.registration.working.pair import WorkingPair
from mmreg.registration.working.stacks import volume_of
from mmreg.structures import Fields

#: Variance per component, squared voxels of the working grid; becomes ``uncertainty`` in mm.
_VARIANCE = 'displacement_variance'


def maps_of(fields: Fields, pairs: Sequence[WorkingPair]) -> list[dict[str, Tensor]]:
    """The maps of every pair of a batch, ``(C, *S)`` float32 on the working grid and the CPU, by name.

    The variance of the displacement becomes ``uncertainty``: the standard deviation of the position in the moving
    image, ``sqrt(sum_i variance_i spacing_i^2)``, in mm.
    """
    raw = raw_maps(fields)
    return [dict(_named(raw, number, on)) for number, on in enumerate(pairs)]


def maps_of_stack(batches: Sequence[Mapping[str, Tensor]], on: WorkingPair, axis: int) -> dict[str, Tensor]:
    """The maps of a volume that a 2-D model saw slice by slice, as :func:`maps_of`; nothing varies along ``axis``.

    Args:
        batches: :func:`raw_maps` of the slices, batches in their order.
        on: The volume.
        axis: The axis that counts the slices.
    """
    whole = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    raw = {
        name: (volume_of(slices, axis) if name == _VARIANCE else slices.movedim(0, axis + 1))[None]
        for name, slices in whole.items()
    }
    return dict(_named(raw, 0, on))


def raw_maps(fields: Fields) -> dict[str, Tensor]:
    """What a model says besides the displacement, ``(B, C, *S)`` float32 on the CPU."""
    return {name: batch.float().cpu() for name, batch in fields.extras.get(MAPS, {}).items()}


def _named(raw: Mapping[str, Tensor], number: int, on: WorkingPair) -> Iterator[tuple[str, Tensor]]:
    """Name and values of the maps of one pair of a batch."""
    for name, batch in raw.items():
        values = batch[number]
        if name == _VARIANCE:
            squared = torch.tensor(on.grid.spacing).square().view(-1, *[1] * (values.dim() - 1)).float()
            yield 'uncertainty', (values * squared).sum(0, keepdim=True).sqrt()
        else:
            yield name, values


def map_on_fixed_grid(values: Tensor, on: WorkingPair) -> Volume:
    """A map ``(C, *S)`` of the working grid, read at the voxels of the fixed image; 0 outside."""
    array = values.numpy()[0] if len(values) == 1 else values.movedim(0, -1).numpy()
    return resample_to(Volume(array, on.grid), on.pair.fixed.geometry, 'linear')
