"""What published evaluations compute besides and nobody needs: a box around a region, the determinant's roughness."""

import math

import numpy as np
from torch import Tensor

from mmreg.errors import DataError
from mmreg.spatial import spatial_gradient


def region_box(mask: np.ndarray, margin: float = 0.2, whole: bool = True) -> tuple[slice, ...]:
    """A box around a mask, wider by a share of the room that is left.

    On each axis both sides move out by ``floor(margin * m / 2)``, m the smaller distance of the box to the border.

    Args:
        mask: Non-empty mask.
        margin: That share.
        whole: False leaves the last row of the mask out, as published code does.

    Raises:
        DataError: the mask is empty.
    """
    inside = np.argwhere(mask)
    if not len(inside):
        raise DataError('the region of interest is empty, expected at least one voxel.')
    box = []
    for first, last, size in zip(inside.min(0), inside.max(0), mask.shape):
        stop = int(last) + int(whole)
        extra = math.floor(margin * min(int(first), size - stop) / 2)
        box.append(slice(int(first) - extra, stop + extra))
    return tuple(box)


def determinant_roughness(determinants: Tensor) -> float:
    """Mean over voxels and axes of the absolute central difference of the determinant (one-sided at the border).

    Args:
        determinants: ``(*spatial)``, the whole grid.

    Source: ``gradirn.md`` section 6, ``mag_grad_det_J``.
    """
    return float(spatial_gradient(determinants[None, None], scheme='central').abs().double().mean())
