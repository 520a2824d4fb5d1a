"""Maps per voxel that a model finds besides the displacement: how uncertain it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.io import Volume, resample_to
from mmreg.models.registrars.registrar import MAPS
from mmreg.registration.working.pair import WorkingPair
from mmreg.structures import Fields

#: Variance per component, squared voxels of the working grid; becomes ``uncertainty`` in mm.
_VARIANCE = 'displacement_variance'


def maps_of(fields: Fields, pairs: Sequence[WorkingPair]) -> list[dict[str, Tensor]]:
    """The maps of every pair of a batch, ``(C, *S)`` float32 on the working grid and the CPU, by name.

    The variance of the displacement becomes ``uncertainty``: the standard deviation of the position in the moving
    image, ``sqrt(sum_i variance_i spacing_i^2)``, in mm.
    """
    found: list[dict[str, Tensor]] = [{} for _ in pairs]
    for name, batch in fields.extras.get(MAPS, {}).items():
        for on, values, maps in zip(pairs, batch.float().cpu(), found):
            if name == _VARIANCE:
                squared = torch.tensor(on.grid.spacing).square().view(-1, *[1] * (values.dim() - 1)).float()
                maps['uncertainty'] = (values * squared).sum(0, keepdim=True).sqrt()
            else:
                maps[name] = values
    return found


def map_on_fixed_grid(values: Tensor, on: WorkingPair) -> Volume:
    """A map ``(C, *S)`` of the working grid, read at the voxels of the fixed image; 0 outside."""
    array = values.numpy()[0] if len(values) == 1 else values.movedim(0, -1).numpy()
    return resample_to(Volume(array, on.grid), on.pair.fixed.geometry, 'linear')
