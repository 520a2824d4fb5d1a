"""Mutual information of two images, global, normalised and local, from Parzen-windowed joint histograms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.errors import ConfigError
from mmreg.models.base import per_axis
from mmreg.registry import LOSSES
from mmreg.spatial.constants import constant
from mmreg.spatial.histogram import (
    bin_centres,
    box_weights,
    cubic_weights,
    entropy,
    gaussian_weights,
    mutual_information,
    spline_index,
)

from .additive import AdditiveLoss, Prepared, chunk_size
from .base import ImageLoss

KERNELS = ('gaussian', 'b-spline')
#: Full width at half maximum of a Gaussian over its standard deviation.
_FWHM = math.sqrt(8 * math.log(2))


class _Histogram(ImageLoss):
    """A function of the joint histogram of each sample (and channel), mean over them."""

    def __init__(
        self,
        kernel: str,
        bins: int,
        sigma_ratio: float,
        intensity_range: Sequence[float] | None,
        samples: int | None,
        fixed_order: int = 0,
    ):
        super().__init__()
        if kernel not in KERNELS:
            raise ConfigError(f'kernel={kernel!r}, expected one of {KERNELS}.')
        if bins < 5:
            raise ConfigError(f'bins={bins}, expected at least 5.')
        if fixed_order not in (0, 3):
            raise ConfigError(f'fixed_order={fixed_order}, expected 0 or 3.')
        if intensity_range is not None and not intensity_range[0] < intensity_range[1]:
            raise ConfigError(f'intensity_range={intensity_range}, expected (low, high) with low < high, or None.')
        self.kernel, self.bins, self.sigma_ratio = kernel, bins, sigma_ratio
        self.intensity_range = intensity_range
        self.samples, self.fixed_order = samples, fixed_order

    def energy(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        rows, voxels = warped.shape[0] * warped.shape[1], warped[0, 0].numel()
        weights = _flat_mask(mask, warped)
        chosen = None
        if self.samples is not None and self.samples < voxels:
            chosen = torch.randperm(voxels, device=warped.device)[: self.samples]
        loss = AdditiveLoss(
            partial(self._prepare, weights=weights, chosen=chosen),
            self._histogram,
            self._mean_score,
            chunk_size(warped.device, rows, self.bins),
        )
        return loss(warped, fixed)

    def score(self, joint: Tensor) -> Tensor:
        """The loss per sample from joint histograms ``(B, bins of warped, bins of fixed)`` of any sum."""
        raise NotImplementedError

    def _mean_score(self, joint: Tensor) -> Tensor:
        return self.score(joint).mean()

    def _prepare(self, warped: Tensor, fixed: Tensor, weights: Tensor, chosen: Tensor | None) -> Prepared:
        values = [image.flatten(2).flatten(0, 1) for image in (warped, fixed)]
        values.append(weights.expand(values[0].shape))
        if chosen is not None:
            values = [v.index_select(1, chosen) for v in values]
        return tuple(values), (*self._range(warped), *self._range(fixed))

    def _range(self, image: Tensor) -> tuple[Tensor, Tensor]:
        if self.intensity_range is None or self.kernel == 'b-spline':
            return image.min(), image.max()
        low, high = self.intensity_range
        return constant(low, image), constant(high, image)

    def _histogram(self, warped: Tensor, fixed: Tensor, weights: Tensor, *ranges: Tensor) -> Tensor:
        """Joint histograms ``(B, bins, bins)`` of values ``(B, V)``."""
        first = self._memberships(warped, 3, *ranges[:2]) * weights[:, None]
        second = self._memberships(fixed, self.fixed_order, *ranges[2:])
        return first @ second.transpose(1, 2)

    def _memberships(self, values: Tensor, order: int, low: Tensor, high: Tensor) -> Tensor:
        if self.kernel == 'b-spline':
            index = spline_index(values, low, high, self.bins)
            return (cubic_weights if order == 3 else box_weights)(index, self.bins)
        centres, width = bin_centres(low, high, self.bins)
        clamped = torch.clamp(values, low, high)
        return gaussian_weights(clamped, centres, width, self.sigma_ratio)


def _flat_mask(mask: Tensor | None, like: Tensor) -> Tensor:
    """Voxel weights ``(N * C, V)``, or one row of ones that broadcasts."""
    if mask is None:
        return like.new_ones(1, 1)
    return mask.expand(like.shape).flatten(2).flatten(0, 1)


@LOSSES.register_module()
class MutualInformation(_Histogram):
    r"""Negative global mutual information.

    .. math:: -\sum_{ab} p_{ab} \log\Big(\frac{p_{ab} + \epsilon}{p_a p_b + \epsilon} + \epsilon\Big), \qquad
              p_{ab} = \tfrac1N \sum_x A_a(I(x))\, B_b(J(x))

    with the memberships of every voxel summing to one over the bins, per sample and channel, then the mean.

    Source: MONAI's ``GlobalMutualInformationLoss`` (Mattes et al., IEEE TMI 2003, for ``'b-spline'``); golden
    spine_biomech/image_losses ``mi_*``.

    Value: nats, ``-log(bins)`` (a deterministic relation) to about 0 (independent). ``'gaussian'`` and
    ``fixed_order=3`` are symmetric. Unchanged by affine intensity changes when the range is taken from the images
    (``'b-spline'``, or ``intensity_range=None``).

    Saves for backward: the two images and one volume per image that needs a gradient.

    Args:
        kernel: ``'gaussian'`` windows on ``intensity_range``; ``'b-spline'`` a cubic B-spline for the warped image and
            a window of order ``fixed_order`` for the fixed one, on the range of all intensities of the batch.
        bins: of each image.
        sigma_ratio: standard deviation of the Gaussian in bin distances.
        intensity_range: first and last bin centre; intensities outside are clamped. None takes the smallest and
            largest intensity of the batch, for each image.
        samples: number of voxels drawn anew at every call, None for all.
        fixed_order: 0, a box: the fixed image gets no gradient (published); 3, a cubic B-spline for both.
        eps: see the formula.
    """

    def __init__(
        self,
        kernel: str = 'gaussian',
        bins: int = 23,
        sigma_ratio: float = 0.5,
        intensity_range: Sequence[float] | None = (0.0, 1.0),
        samples: int | None = None,
        fixed_order: int = 0,
        eps: float = 1e-7,
    ):
        super().__init__(kernel, bins, sigma_ratio, intensity_range, samples, fixed_order)
        self.eps = eps

    def score(self, joint: Tensor) -> Tensor:
        """Minus the information of joint histograms ``(B, n, n)``, ``(B,)``."""
        return -mutual_information(joint, self.eps)


@LOSSES.register_module()
class NMI(_Histogram):
    r"""Negative normalised mutual information :math:`-(H_I + H_J) / H_{IJ}`.

    Gaussian windows whose full width at half maximum is the intensity range over ``bins``, entropies
    :math:`H = -\sum p \log(p + \epsilon)`, per sample and channel, then the mean.

    Source: Studholme et al., Pattern Recognition 1999, as in MIDIR (golden gradirn/annex_ffd ``nmi``, ``mi``).

    Value: dimensionless, -2 (a deterministic relation) to -1 (independent); with ``ratio=False`` the negative mutual
    information in nats. Symmetric. Less sensitive to the size of the overlap than :class:`MutualInformation`.

    Saves for backward: the two images and one volume per image that needs a gradient.

    Args:
        bins: of each image.
        intensity_range: first and last bin centre; None takes them from the images.
        samples: number of voxels drawn anew at every call, None for all.
        ratio: False returns ``H_IJ - H_I - H_J``.
        eps: in the logarithms and in the histogram's normaliser.
    """

    def __init__(
        self,
        bins: int = 64,
        intensity_range: Sequence[float] | None = (0.0, 1.0),
        samples: int | None = None,
        ratio: bool = True,
        eps: float = 1e-5,
    ):
        super().__init__('gaussian', bins, (bins - 1) / bins / _FWHM, intensity_range, samples)
        self.ratio, self.eps = ratio, eps

    def _memberships(self, values: Tensor, order: int, low: Tensor, high: Tensor) -> Tensor:
        centres, width = bin_centres(low, high, self.bins)
        return gaussian_weights(values, centres, width, self.sigma_ratio, normalise=False)

    def score(self, joint: Tensor) -> Tensor:
        """Minus the normalised information of joint histograms ``(B, n, n)``, ``(B,)``."""
        joint = joint / (joint.sum((1, 2), keepdim=True) + self.eps)
        marginals = entropy(joint.sum(2), self.eps) + entropy(joint.sum(1), self.eps)
        together = entropy(joint.flatten(1), self.eps)
        return -marginals / together.clamp(min=self.eps) if self.ratio else together - marginals


@LOSSES.register_module()
class LocalMutualInformation(_Histogram):
    """Negative mutual information inside patches, mean over the patches.

    Follows intensity relations that change over the image (bias fields, partial coverage), which one global histogram
    averages away; noisier per patch, so give it few bins. Formula of :class:`MutualInformation` per patch.

    Source: the localised form of Mattes' estimator (Loeckx et al., IEEE TMI 2010, in spirit; no golden).

    Value: nats, ``-log(bins)`` to 0. Symmetric with ``'gaussian'``.

    Saves for backward: the two images and one volume per image that needs a gradient. While it is computed the patches
    are held once (``(patch/stride)^ndim`` volumes) and the histograms of one chunk of patches.

    Args:
        patch: voxels per axis, one number or one per axis.
        stride: distance of the patches, by default ``patch``: they tile the image.
        kernel: as in :class:`MutualInformation`; windows are placed on the range of the whole batch, not the patch's.
        bins: of each image.
        sigma_ratio: as in :class:`MutualInformation`.
        intensity_range: as in :class:`MutualInformation`.
        eps: as in :class:`MutualInformation`.
    """

    def __init__(
        self,
        patch: int | Sequence[int] = 16,
        stride: int | Sequence[int] | None = None,
        kernel: str = 'gaussian',
        bins: int = 16,
        sigma_ratio: float = 0.5,
        intensity_range: Sequence[float] | None = (0.0, 1.0),
        eps: float = 1e-7,
    ):
        super().__init__(kernel, bins, sigma_ratio, intensity_range, None)
        self.patch, self.stride, self.eps = patch, patch if stride is None else stride, eps

    def energy(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        """Mean over the patches of images ``(N, C, *spatial)``."""
        ndim = warped.ndim - 2
        patch, stride = (tuple(int(v) for v in per_axis(s, ndim, 'patch')) for s in (self.patch, self.stride))
        inside = torch.ones_like(warped) if mask is None else mask.expand(warped.shape)
        cut = partial(_patches, patch=patch, stride=stride)
        weights = cut(inside)
        total = (weights.sum(0) > 0).sum().clamp(min=1)

        def prepare(warped: Tensor, fixed: Tensor) -> Prepared:
            return (cut(warped), cut(fixed), weights), (*self._range(warped), *self._range(fixed))

        def statistic(warped: Tensor, fixed: Tensor, weights: Tensor, *ranges: Tensor) -> Tensor:
            joint = self._histogram(warped.T, fixed.T, weights.T, *ranges)
            known = weights.sum(0) > 0
            return -(mutual_information(joint, self.eps) * known).sum()

        chunk = chunk_size(warped.device, math.prod(patch), self.bins)
        return AdditiveLoss(prepare, statistic, lambda value: value / total, chunk)(warped, fixed)


def _patches(image: Tensor, patch: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """``(voxels of a patch, all patches)``; the image is filled with zeros at its end to hold whole patches."""
    size = image.shape[2:]
    missing = [max(p - n, 0) if n <= p else -(n - p) % s for n, p, s in zip(size, patch, stride)]
    image = F.pad(image, [width for m in reversed(missing) for width in (0, m)])
    for axis, (p, s) in enumerate(zip(patch, stride)):
        image = image.unfold(axis + 2, p, s)
    return image.reshape(-1, math.prod(patch)).T
