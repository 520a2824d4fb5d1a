"""Modality independent neighbourhood descriptors: compare the self-similarity of images instead of intensities."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from mmreg.errors import ConfigError, InputError
from mmreg.registry import LOSSES
from mmreg.spatial.compiled.self_similarity import descriptor_difference, serves_descriptors
from mmreg.spatial.masked import masked_mean
from mmreg.spatial.stored_gradient import stored_gradient

from .base import ImageLoss
from .representable import representable
from .self_similarity import (
    FLOOR,
    HIGHEST,
    LOWEST,
    MeasuredPatches,
    Pairs,
    Patches,
    descriptor,
    difference_of_descriptors,
)

#: Pairs of face neighbours at squared distance 2, in the channel order of the published descriptor.
SSC_PAIRS: dict[int, Pairs] = {
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
SELF_PAIRS: dict[int, Pairs] = {
    ndim: tuple(
        ((0,) * ndim, tuple(sign if axis == i else 0 for i in range(ndim))) for axis in range(ndim) for sign in (-1, 1)
    )
    for ndim in (2, 3)
}


#: Windows and distances may be larger than a small image (the coarse levels of a pyramid), up to this many voxels.
_REACH = 64


class _SelfSimilarityLoss(ImageLoss):
    pairs: dict[int, Pairs]

    def __init__(self, radius: int = 2, dilation: int = 2, penalty: str = 'l2'):
        super().__init__()
        if not (isinstance(radius, int) and isinstance(dilation, int) and radius >= 0 and dilation >= 1):
            raise ConfigError(
                f'radius={radius!r}, dilation={dilation!r}; expected whole numbers, radius >= 0 and dilation >= 1.'
            )
        if penalty not in ('l1', 'l2'):
            raise ConfigError(f"penalty={penalty!r}, expected 'l1' or 'l2'.")
        self.radius, self.dilation, self.penalty = radius, dilation, penalty

    def energy(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        first, second = (image.reshape(-1, 1, *image.shape[2:]) for image in (warped, fixed))
        mask = None if mask is None else mask.expand(warped.shape).reshape(first.shape)
        patches = self._patches(warped)
        scalar = partial(self._distance, patches=patches, mask=mask)
        value = stored_gradient(first, second, scalar, partial(self._closed_form, patches, mask))
        return value * representable(warped, fixed)

    def descriptor(self, image: Tensor) -> Tensor:
        """Descriptor ``(N * C, pairs, *spatial)`` of ``(N, C, *spatial)``, channel by channel."""
        return descriptor(image.reshape(-1, 1, *image.shape[2:]), self._patches(image))

    def _patches(self, image: Tensor) -> Patches:
        ndim = image.ndim - 2
        if ndim not in self.pairs:
            raise InputError(f'{type(self).__name__} got an image with {ndim} spatial axes, expected 2 or 3.')
        reach, most = max(self.radius, self.dilation), max(_REACH, *image.shape[2:])
        if reach > most:
            raise InputError(
                f'{type(self).__name__} with radius={self.radius}, dilation={self.dilation} got an image of size '
                f'{tuple(image.shape[2:])}, expected neither to be more than {most} voxels.'
            )
        return Patches(self.pairs[ndim], self.radius, self.dilation)

    def _distance(self, warped: Tensor, fixed: Tensor, patches: Patches, mask: Tensor | None) -> Tensor:
        graph = torch.is_grad_enabled() and (warped.requires_grad or fixed.requires_grad)
        if not graph and serves_descriptors(len(patches.pairs), warped, fixed, radius=patches.radius):
            return self._closed_form(patches, mask, warped, fixed, (False, False))[0]
        difference = descriptor(warped, patches) - descriptor(fixed, patches)
        return masked_mean(difference.square() if self.penalty == 'l2' else difference.abs(), mask)

    def _closed_form(
        self, patches: Patches, mask: Tensor | None, warped: Tensor, fixed: Tensor, need: tuple[bool, bool]
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        count = len(patches.pairs)
        shares = None if mask is None else _shares(mask, count)
        share = 1 / (count * warped.numel())
        if serves_descriptors(count, warped, fixed, radius=patches.radius):
            return descriptor_difference(
                *((warped, fixed), shares, need, share if shares is None else 1.0, self.penalty == 'l2'),
                *(patches.pairs, patches.radius, patches.dilation, (LOWEST, HIGHEST, FLOOR)),
            )
        sides = MeasuredPatches(warped, patches), MeasuredPatches(fixed, patches)
        return difference_of_descriptors(*sides, need, share if shares is None else shares, self.penalty == 'l2')


def _shares(mask: Tensor, count: int) -> Tensor:
    """The mask ``(N, 1, *spatial)`` over ``count`` times its sum, without waiting for it; zeros stay."""
    total = mask.sum() * count
    return mask / torch.where(total > 0, total, torch.ones_like(total))


@LOSSES.register_module()
class MINDSSC(_SelfSimilarityLoss):
    r"""Difference of self-similarity contexts: neighbours of a voxel compared with each other, 12 channels (4 in 2-D).

    .. math:: \overline{(e^{-D_I/V_I} - e^{-D_J/V_J})^2}, \quad D_{pq} = S[(I(\cdot+dp) - I(\cdot+dq))^2] / n - \min

    over the pairs ``(p, q)`` of face neighbours at squared distance 2; :math:`S` sums over the window of :math:`n`
    voxels, :math:`V` is the mean of :math:`D` over the pairs (see :mod:`~mmreg.models.losses.self_similarity`).

    Source: Heinrich et al., MICCAI 2013; goldens spine_biomech/image_losses ``mind_*``, pyramid_designs/image_losses.

    Value: dimensionless, 0 (equal) to 1. Symmetric. Unchanged by affine changes of either image's intensities, also by
    inverted contrast: for images of different modalities. Images of several channels: the mean over channels. NaN, as
    all gradients, where an image is not finite or larger than 1e15.

    Saves for backward: the two images and one volume per image that needs a gradient. While it is computed the forward
    pass holds about 30 volumes in 3-D; with the compiled kernels 16, or 30 when both images need a gradient.

    Args:
        radius: of the window over which differences are averaged, voxels.
        dilation: distance of a neighbour, voxels.
        penalty: ``'l2'`` squares or ``'l1'`` absolute values of the descriptors' differences.
    """

    pairs = SSC_PAIRS


@LOSSES.register_module()
class MIND(_SelfSimilarityLoss):
    r"""Difference of neighbourhood descriptors: a voxel compared with its face neighbours, 6 channels (4 in 2-D).

    ``mean((e^(-D_I/V_I) - e^(-D_J/V_J))^2)``: as :class:`MINDSSC` with the pairs ``(0, q)``. Noise at the voxel
    itself enters every channel, which :class:`MINDSSC` avoids; this one is half as large.

    Source: Heinrich et al., Med. Image Anal. 2012 (with box windows and the normalisation of :class:`MINDSSC`).

    Value: dimensionless, 0 (equal) to 1. Symmetric, unchanged by affine changes of either image's intensities.

    Saves for backward: the two images and one volume per image that needs a gradient.

    Args:
        radius: of the window over which differences are averaged, voxels.
        dilation: distance of a neighbour, voxels.
        penalty: ``'l2'`` squares or ``'l1'`` absolute values of the descriptors' differences.
    """

    pairs = SELF_PAIRS
