"""Correlation ratio: how well one image is explained as a function of the other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial.constants import constant
from mmreg.spatial.histogram import bin_centres, gaussian_weights

from .additive import AdditiveLoss, Prepared, chunk_size
from .base import ImageLoss

DIRECTIONS = ('fixed', 'warped', 'both')


@LOSSES.register_module()
class CorrelationRatio(ImageLoss):
    r"""One minus the correlation ratio.

    With memberships :math:`w_b(x)` of the explaining image's intensity in bin :math:`b` (summing to one) and the
    explained image :math:`Y` of mean :math:`\mu`, the share of variance that no function of the explaining image
    accounts for:

    .. math:: 1 - \eta^2 = \frac{\sum_x (Y-\mu)^2 - \sum_b (\sum_x w_b (Y - \mu))^2 / \sum_x w_b}
              {\sum_x (Y-\mu)^2 + \epsilon}

    per sample and channel, then the mean.

    Source: Roche et al., MICCAI 1998, with Gaussian Parzen windows.

    Value: dimensionless, 0 (a function of the other image) to 1; 0 when the explained image is constant. Symmetric
    with ``given='both'``. Unchanged by affine intensity changes of the explained image, and of the explaining one when
    ``intensity_range=None``; any functional relation between the intensities scores well, so it fits images of
    different modalities with fewer bins than mutual information needs.

    Saves for backward: the two images and one volume per image that needs a gradient.

    Args:
        bins: of the explaining image.
        sigma_ratio: standard deviation of the Gaussian window in bin distances.
        intensity_range: first and last bin centre; None takes the smallest and largest intensity of the batch.
        given: the explaining image, ``'fixed'`` or ``'warped'``, or the mean over ``'both'`` directions.
        eps: keeps the quotient finite, squared units of intensity per voxel.
    """

    def __init__(
        self,
        bins: int = 32,
        sigma_ratio: float = 0.5,
        intensity_range: Sequence[float] | None = None,
        given: str = 'both',
        eps: float = 1e-8,
    ):
        super().__init__()
        if given not in DIRECTIONS:
            raise ConfigError(f'given={given!r}, expected one of {DIRECTIONS}.')
        if bins < 2:
            raise ConfigError(f'bins={bins}, expected at least 2.')
        self.bins, self.sigma_ratio, self.intensity_range = bins, sigma_ratio, intensity_range
        self.given, self.eps = given, eps

    def energy(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        """The loss of ``(N, C, *spatial)``; ``mask`` ``(N, 1, *spatial)`` weights voxels."""
        rows = warped.shape[0] * warped.shape[1]
        weights = torch.ones_like(warped) if mask is None else mask.expand(warped.shape)
        loss = AdditiveLoss(
            partial(self._prepare, weights=weights),
            self._sums,
            self._unexplained,
            chunk_size(warped.device, rows, self.bins),
        )
        return loss(warped, fixed)

    def _prepare(self, warped: Tensor, fixed: Tensor, weights: Tensor) -> Prepared:
        w, f, m = (image.flatten(2).flatten(0, 1) for image in (warped, fixed, weights))
        ranges = (*self._range(w), *self._range(f))
        count = m.sum(1, keepdim=True).clamp(min=1e-6)
        means = tuple((v * m).sum(1, keepdim=True) / count for v in (w, f))
        return (w, f, m), (*ranges, *means)

    def _range(self, image: Tensor) -> tuple[Tensor, Tensor]:
        if self.intensity_range is None:
            return image.min(), image.max()
        low, high = self.intensity_range
        return constant(low, image), constant(high, image)

    def _sums(self, warped: Tensor, fixed: Tensor, weights: Tensor, *whole: Tensor) -> Tensor:
        """``(B, directions, 2 bins + 2)``: per bin the weight and the sum, then sum of squares and voxel count."""
        (low_w, high_w, low_f, high_f), (mean_w, mean_f) = whole[:4], whole[4:]
        parts = []
        if self.given in ('fixed', 'both'):
            parts.append(self._direction(fixed, low_f, high_f, warped - mean_w, weights))
        if self.given in ('warped', 'both'):
            parts.append(self._direction(warped, low_w, high_w, fixed - mean_f, weights))
        return torch.stack(parts, dim=1)

    def _direction(self, given: Tensor, low: Tensor, high: Tensor, explained: Tensor, weights: Tensor) -> Tensor:
        centres, width = bin_centres(low, high, self.bins)
        clamped = torch.clamp(given, low, high)
        membership = gaussian_weights(clamped, centres, width, self.sigma_ratio)
        columns = torch.stack([weights, weights * explained], dim=1)
        per_bin = (columns @ membership.transpose(1, 2)).flatten(1)
        square = (weights * explained.square()).sum(1, keepdim=True)
        return torch.cat([per_bin, square, weights.sum(1, keepdim=True)], dim=1)

    def _unexplained(self, sums: Tensor) -> Tensor:
        count, total, square, voxels = sums.split([self.bins, self.bins, 1, 1], dim=-1)
        explained = (total.square() / count.clamp(min=1e-6)).sum(-1)
        square, voxels = square[..., 0], voxels[..., 0]
        return ((square - explained).clamp(min=0) / (square + self.eps * voxels.clamp(min=1))).mean()
