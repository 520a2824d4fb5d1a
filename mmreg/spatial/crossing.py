"""Fields and images read on the grid of another resolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._checks import Padding, check_field, coordinate_dtype
from .compose import compose
from .resample import resize_field
from .warp import warp_across


def coarse_centres(image: Tensor, size: Sequence[int], factors: Sequence[float]) -> Tensor:
    """An image read at the centres of the voxels of a coarse grid with the same outer edges; no smoothing.

    Coarse voxel j reads position ``(j + 1/2) factor - 1/2``, linearly, kept inside the volume.

    Args:
        image: ``(N, C, *spatial)`` floating point.
        size: of the coarse grid; its last voxels may reach over the edge.
        factors: image voxels per coarse voxel, per axis.

    Returns:
        ``(N, C, *size)`` in the dtype of ``image``.

    Source: golden baselines/sitreg.

    Example:
        >>> coarse_centres(torch.arange(4.0).view(1, 1, 1, 4), (1, 2), (1.0, 2.0)).tolist()
        [[[[0.5, 2.5]]]]
    """
    for axis, (count, factor) in enumerate(zip(size, factors)):
        n = image.shape[axis + 2]
        if factor == 1 and count == n:
            continue
        position = (torch.arange(count, dtype=torch.float64, device=image.device) + 0.5) * factor - 0.5
        position = position.clamp(0, n - 1)
        below = position.floor()
        weight = (position - below).to(image).view(-1, *[1] * (image.dim() - axis - 3))
        low = below.long()
        high = (low + 1).clamp(max=n - 1)
        image = torch.lerp(image.index_select(axis + 2, low), image.index_select(axis + 2, high), weight)
    return image


def compose_across(outer: Tensor, inner: Tensor, padding: Padding = 'border') -> Tensor:
    """:func:`compose` where ``outer`` may live on a grid of another size that covers the same box, corners aligned.

    Args:
        outer: ``(N, ndim, *coarse)``, voxels of its own grid; it is interpolated there, not resized first.
        inner: ``(N, ndim, *spatial)`` voxels.
        padding: ``outer`` outside the volume: 'border' or 'zeros'.

    Returns:
        ``(N, ndim, *spatial)``, voxels of the grid of ``inner``, float32 or float64.

    Raises:
        InputError: not fields, or unknown padding.

    Source: the composition of GradICON's networks; golden baselines/unigradicon.

    Example:
        >>> compose_across(torch.ones(1, 2, 5, 5), torch.zeros(1, 2, 9, 9))[0, :, 4, 4].tolist()
        [2.0, 2.0]
    """
    ndim = check_field(outer, 'outer')
    if outer.shape[2:] == inner.shape[2:]:
        return compose(outer, inner, padding)
    inner = inner.to(coordinate_dtype(outer, inner))
    read = warp_across(outer.to(inner.dtype), inner, padding)
    scale = [(n - 1) / max(m - 1, 1) for m, n in zip(outer.shape[2:], inner.shape[2:])]
    return inner + read * read.new_tensor(scale).view(1, -1, *[1] * ndim)


def chain_displacement(chain: Sequence[Tensor], size: Sequence[int], padding: Padding = 'border') -> Tensor:
    """The map ``chain[0] after chain[1] after ...`` as one displacement on a grid of ``size``.

    Args:
        chain: one or more fields ``(N, ndim, *own)``, each in voxels of its own grid; all span the same box.
        size: of the result's grid.
        padding: see :func:`compose_across`.

    Returns:
        ``(N, ndim, *size)`` voxels.

    Example:
        >>> chain_displacement([torch.ones(1, 2, 5, 5), torch.ones(1, 2, 9, 9)], (9, 9))[0, :, 4, 4].tolist()
        [3.0, 3.0]
    """
    total = resize_field(chain[-1], size=list(size), values='aligned')
    for field in reversed(chain[:-1]):
        total = compose_across(field, total, padding)
    return total
