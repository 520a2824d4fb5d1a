"""Modality independent neighbourhood descriptors: compare the self-similarity of images instead of intensities."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.errors import ConfigError, InputError
from mmreg.registry import LOSSES
from mmreg.spatial import box_sum

from .base import ImageLoss, masked_mean
from .stored_gradient import stored_gradient

Offset = tuple[int, ...]

#: Pairs of face neighbours at squared distance 2, in the channel order of the published descriptor.
SSC_PAIRS: dict[int, tuple[tuple[Offset, Offset], ...]] = {
    3: (
        ((1, 0, 0), (0, -1, 0)),
        ((0, 1, 0), (-1, 0, 0)),
        ((0, -1, 0), (-1, 0, 0)),
        ((0, 1, 0), (1, 0, 0)),
        ((0, -1, 0), (0, 0, -1)),
        ((0, 1, 0), (0, 0, 1)),
        ((0, 0, -1), (-1, 0, 0)),
        ((1, 0, 0), (0, 0, 1)),
        ((0, 1, 0), (0, 0, -1)),
        ((0, 0, 1), (0, -1, 0)),
        ((1, 0, 0), (0, 0, -1)),
        ((0, 0, 1), (-1, 0, 0)),
    ),
    2: (((1, 0), (0, -1)), ((0, 1), (-1, 0)), ((0, -1), (-1, 0)), ((0, 1), (1, 0))),
}
#: The voxel itself against each face neighbour.
SELF_PAIRS: dict[int, tuple[tuple[Offset, Offset], ...]] = {
    ndim: tuple(
        ((0,) * ndim, tuple(sign if axis == i else 0 for i in range(ndim))) for axis in range(ndim) for sign in (-1, 1)
    )
    for ndim in (2, 3)
}
#: Keeps the quotient finite on images that are constant everywhere; (units of intensity)^2.
_FLOOR = 1e-16


def self_similarity(
    image: Tensor, pairs: tuple[tuple[Offset, Offset], ...], radius: int = 2, dilation: int = 2
) -> Tensor:
    r"""Descriptor :math:`\exp(-D/V)` of images with one channel.

    :math:`D_{pq}(x)` is the mean over the window of ``2 radius + 1`` voxels per axis around ``x`` of
    :math:`(I(\cdot + dp) - I(\cdot + dq))^2`, minus the smallest of all pairs; :math:`V` its mean over the pairs, kept
    within a factor 1000 of its mean over all voxels of the batch. Reads outside repeat the border voxel.

    Args:
        image: ``(N, 1, *spatial)``.
        pairs: offsets in units of ``dilation``.
        radius: of the window, voxels.
        dilation: distance of the compared voxels, voxels.

    Returns:
        ``(N, len(pairs), *spatial)``, values in (0, 1].
    """
    size = image.shape[2:]
    padded = F.pad(image, [dilation] * 2 * len(size), mode='replicate')
    maps = []
    for p, q in pairs:
        difference = _shifted(padded, p, dilation, size) - _shifted(padded, q, dilation, size)
        maps.append(_window_mean(difference.square(), radius))
    distance = torch.cat(maps, dim=1)
    distance = distance - distance.amin(1, keepdim=True)
    spread = distance.mean(1, keepdim=True)
    middle = spread.mean()
    spread = torch.clamp(spread, 0.001 * middle, 1000 * middle).clamp(min=_FLOOR)
    return torch.exp(-distance / spread)


def _shifted(padded: Tensor, offset: Offset, dilation: int, size: torch.Size) -> Tensor:
    for axis, (step, n) in enumerate(zip(offset, size)):
        padded = padded.narrow(axis + 2, (1 + step) * dilation, n)
    return padded


def _window_mean(x: Tensor, radius: int) -> Tensor:
    """Mean over a cube around every voxel, border voxels repeated outside."""
    if radius == 0:
        return x
    side, ndim = 2 * radius + 1, x.ndim - 2
    total = box_sum(F.pad(x, [radius] * 2 * ndim, mode='replicate'), side)
    for axis, n in enumerate(x.shape[2:]):
        total = total.narrow(axis + 2, radius, n)
    return total / side**ndim


class _SelfSimilarityLoss(ImageLoss):
    pairs: dict[int, tuple[tuple[Offset, Offset], ...]]

    def __init__(self, radius: int = 2, dilation: int = 2, penalty: str = 'l2'):
        super().__init__()
        if radius < 0 or dilation < 1:
            raise ConfigError(f'radius={radius}, dilation={dilation}; expected radius >= 0 and dilation >= 1.')
        if penalty not in ('l1', 'l2'):
            raise ConfigError(f"penalty={penalty!r}, expected 'l1' or 'l2'.")
        self.radius, self.dilation, self.penalty = radius, dilation, penalty

    def energy(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        return stored_gradient(warped, fixed, partial(self._distance, mask=mask))

    def descriptor(self, image: Tensor) -> Tensor:
        """Descriptor ``(N * C, pairs, *spatial)`` of ``(N, C, *spatial)``, channel by channel."""
        ndim = image.ndim - 2
        if ndim not in self.pairs:
            raise InputError(f'{type(self).__name__} got an image with {ndim} spatial axes, expected 2 or 3.')
        single = image.reshape(-1, 1, *image.shape[2:])
        return self_similarity(single, self.pairs[ndim], self.radius, self.dilation)

    def _distance(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        difference = self.descriptor(warped) - self.descriptor(fixed)
        values = difference.square() if self.penalty == 'l2' else difference.abs()
        if mask is not None:
            mask = mask.expand(warped.shape[0], *mask.shape[1:]).repeat_interleave(warped.shape[1], dim=0)
        return masked_mean(values, mask)


@LOSSES.register_module()
class MINDSSC(_SelfSimilarityLoss):
    r"""Difference of self-similarity contexts: neighbours of a voxel compared with each other, 12 channels (4 in 2-D).

    .. math:: \overline{(e^{-D_I/V_I} - e^{-D_J/V_J})^2}, \quad D_{pq} = S[(I(\cdot+dp) - I(\cdot+dq))^2] / n - \min

    over the pairs ``(p, q)`` of face neighbours at squared distance 2, see :func:`self_similarity`.

    Source: Heinrich et al., MICCAI 2013; goldens spine_biomech/image_losses ``mind_*``, pyramid_designs/image_losses.

    Value: dimensionless, 0 (equal) to 1. Symmetric. Unchanged by affine changes of either image's intensities, also by
    inverted contrast: for images of different modalities. Images of several channels: the mean over channels.

    Saves for backward: the two images and one volume per image that needs a gradient. While it is computed the forward
    pass holds about 60 volumes per image in 3-D.

    Args:
        radius: of the window over which differences are averaged, voxels.
        dilation: distance of a neighbour, voxels.
        penalty: ``'l2'`` squares or ``'l1'`` absolute values of the descriptors' differences.
    """

    pairs = SSC_PAIRS


@LOSSES.register_module()
class MIND(_SelfSimilarityLoss):
    r"""Difference of neighbourhood descriptors: a voxel compared with its face neighbours, 6 channels (4 in 2-D).

    As :class:`MINDSSC` with the pairs ``(0, q)``. Noise at the voxel itself enters every channel, which
    :class:`MINDSSC` avoids; this one is half as large.

    Source: Heinrich et al., Med. Image Anal. 2012 (with box windows and the normalisation of :class:`MINDSSC`).

    Value: dimensionless, 0 (equal) to 1. Symmetric, unchanged by affine changes of either image's intensities.

    Saves for backward: the two images and one volume per image that needs a gradient.

    Args:
        radius: of the window over which differences are averaged, voxels.
        dilation: distance of a neighbour, voxels.
        penalty: ``'l2'`` squares or ``'l1'`` absolute values of the descriptors' differences.
    """

    pairs = SELF_PAIRS
