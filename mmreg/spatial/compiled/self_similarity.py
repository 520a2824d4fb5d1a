"""Difference of two self-similarity descriptors by the kernels: value and gradients, a tile of the images at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .gpu import self_similarity as gpu
from .gpu.switch import on_gpu
from .library import call, serves

Offset = tuple[int, ...]

#: Bits of a number that tells which of the pairs are the most similar ones.
MOST_PAIRS = 32
#: A window's list of the rows that it reads grows with the square of its radius.
MOST_RADIUS = 128


def serves_descriptors(pairs: int, *images: Tensor, radius: int = 0) -> bool:
    """Whether the kernels can take images ``(N, 1, *spatial)`` of two or three axes, compared at so many pairs."""
    shaped = all(4 <= x.dim() <= 5 and x.shape[1] == 1 for x in images)
    small = shaped and pairs <= MOST_PAIRS and radius <= MOST_RADIUS
    return small and (on_gpu(*images) or serves(*images))


def descriptor_difference(
    images: tuple[Tensor, Tensor],
    mask: Tensor | None,
    need: tuple[bool, bool],
    weight: float,
    squared: bool,
    pairs: Sequence[tuple[Offset, Offset]],
    radius: int,
    dilation: int,
    limits: tuple[float, float, float],
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Weighted sum of squared or absolute differences of two descriptors, and its gradients.

    Works in one volume per pair, and another one, for every image whose gradient is wanted.

    Args:
        images: two of ``(N, 1, *spatial)`` float32.
        mask: the same shape, or None.
        need: which gradients are wanted.
        weight: of every voxel, times the mask.
        squared: squares instead of absolute values.
        pairs: offsets in units of ``dilation``, -1 to 1 along each axis.
        radius: of the window over which squared differences are averaged, voxels.
        dilation: voxels.
        limits: factors of the mean spread between which the spread stays, and its smallest value.

    Returns:
        The sum ``()`` and the two gradients, None where not wanted.
    """
    if on_gpu(*images):
        return gpu.descriptor_difference(images, mask, need, weight, squared, pairs, radius, dilation, limits)
    like = images[0]
    missing = 5 - like.dim()
    size = [len(like), *[1] * missing, *like.shape[2:]]
    offsets = [dilation * step for pair in pairs for offset in pair for step in (*[0] * missing, *offset)]
    shape = [*size, dilation, len(pairs), 0 if missing else radius, radius], offsets
    padded = [_repeated_ends(x, dilation) for x in images]
    mask = None if mask is None else mask.contiguous()
    maps = [torch.empty(len(pairs) * x.numel()) if wanted else None for x, wanted in zip(images, need)]
    lowest = [torch.empty(x.numel(), dtype=torch.int32) if wanted else None for x, wanted in zip(images, need)]
    results = torch.empty(3, dtype=torch.float64)
    call('mmreg_self_similarity', *padded, mask, *maps, *lowest, results, *shape, (*limits, weight), squared)
    gradients: list[Tensor | None] = [None, None]
    for side in (0, 1):
        if need[side]:
            gradients[side] = out = torch.zeros(like.shape)
            by_spread = float(results[1 + side]) / like.numel()
            call('mmreg_self_similarity_gradient', padded[side], maps[side], lowest[side], out, *shape, by_spread)
            maps[side] = lowest[side] = None
    return results[0].float(), gradients[0], gradients[1]


def _repeated_ends(image: Tensor, margin: int) -> Tensor:
    """Contiguous, with ``margin`` copies of its ends at either side of each row."""
    ends = [image[..., at : at + 1].expand(*image.shape[:-1], margin) for at in (0, image.shape[-1] - 1)]
    return torch.cat([ends[0], image, ends[1]], dim=-1).contiguous()
