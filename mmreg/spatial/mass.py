"""Where the intensities of an image are."""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import coordinate_dtype, spatial_ndim
from .grid import axis_index


def centre_of_mass(image: Tensor) -> Tensor:
    """Mean position weighted by intensity, ``sum I(x) x / sum I(x)``, over all channels.

    Args:
        image: ``(N, C, *spatial)``, not negative.

    Returns:
        ``(N, ndim)`` voxels; the centre of the grid for an image that is zero everywhere.

    Example:
        >>> image = torch.zeros(1, 1, 5, 5)
        >>> image[..., 1, 3] = 2
        >>> centre_of_mass(image).tolist()
        [[1.0, 3.0]]
    """
    ndim = spatial_ndim(image, 'image')
    weights = image.to(coordinate_dtype(image)).sum(1)
    size = weights.shape[1:]
    total = weights.flatten(1).sum(1)
    axes = []
    for axis in range(ndim):
        index = axis_index(size, axis, device=image.device, dtype=weights.dtype)
        # Relative to the middle of the grid: exact there, and small numbers elsewhere.
        middle = (size[axis] - 1) / 2
        moment = (weights * (index - middle)).flatten(1).sum(1)
        axes.append(middle + moment / torch.where(total == 0, torch.ones_like(total), total))
    return torch.stack(axes, dim=1)
