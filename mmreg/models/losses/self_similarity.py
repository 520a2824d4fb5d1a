r"""The self-similarity descriptor of MIND and MIND-SSC, and the gradient of a difference of two of them.

Everything is done one pair of offsets at a time: twelve volumes of moderate size are far cheaper to allocate and to
walk than one tensor with twelve channels. For float32 on a CPU :mod:`mmreg.spatial.compiled.self_similarity` does the
same in C, a tile of the images at a time; this module is its reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.spatial import box_sum
from mmreg.spatial.folding_back import fold_back

Offset = tuple[int, ...]
Pairs = tuple[tuple[Offset, Offset], ...]

#: The spread of a voxel stays within these factors of the mean spread.
LOWEST, HIGHEST = 1e-3, 1e3
#: Keeps the quotient finite on images that are constant everywhere; (units of intensity)^2.
FLOOR = 1e-16


@dataclass(frozen=True)
class Patches:
    """Which patches are compared.

    Attributes:
        pairs: offsets in units of ``dilation``.
        radius: of the window over which squared differences are averaged, voxels.
        dilation: distance of the compared voxels, voxels.
    """

    pairs: Pairs
    radius: int
    dilation: int

    def pad(self, image: Tensor) -> Tensor:
        """The image ``(N, C, *S)`` with its border voxels repeated as far as the offsets reach."""
        return F.pad(image, [self.dilation] * 2 * (image.ndim - 2), mode='replicate')

    def shifted(self, padded: Tensor, offset: Offset) -> Tensor:
        """View ``(N, C, *S)`` of a padded image at ``x + dilation * offset``."""
        for axis, step in enumerate(offset):
            n = padded.shape[axis + 2] - 2 * self.dilation
            padded = padded.narrow(axis + 2, (1 + step) * self.dilation, n)
        return padded

    def difference(self, padded: Tensor, k: int) -> Tensor:
        """Difference ``(N, C, *S)`` of the two shifted images of pair ``k``."""
        p, q = self.pairs[k]
        return self.shifted(padded, p) - self.shifted(padded, q)

    def mean(self, x: Tensor) -> Tensor:
        """Mean ``(N, C, *S)`` over the window around every voxel, border voxels repeated outside."""
        if self.radius == 0:
            return x
        total = box_sum(F.pad(x, [self.radius] * 2 * (x.ndim - 2), mode='replicate'), 2 * self.radius + 1)
        for axis, n in enumerate(x.shape[2:]):
            total = total.narrow(axis + 2, self.radius, n)
        return total / (2 * self.radius + 1) ** (x.ndim - 2)

    def mean_adjoint(self, x: Tensor) -> Tensor:
        """The transpose of :meth:`mean`, ``(N, C, *S)``, unscaled."""
        if self.radius == 0:
            return x
        total = box_sum(F.pad(x, [self.radius] * 2 * (x.ndim - 2)), 2 * self.radius + 1)
        return fold_back(total, [self.radius] * (x.ndim - 2))


def descriptor(image: Tensor, patches: Patches) -> Tensor:
    r"""Descriptor :math:`\exp(-D/V)` of images with one channel, differentiable.

    :math:`D_{pq}(x)` is the mean over the window around ``x`` of :math:`(I(\cdot + dp) - I(\cdot + dq))^2`, minus the
    smallest of all pairs; :math:`V` its mean over the pairs, kept within a factor 1000 of its mean over all voxels of
    the batch. Reads outside repeat the border voxel.

    Args:
        image: ``(N, 1, *spatial)``.
        patches: which ones are compared.

    Returns:
        ``(N, pairs, *spatial)``, values in (0, 1].
    """
    padded = patches.pad(image)
    maps = [patches.mean(patches.difference(padded, k).square()) for k in range(len(patches.pairs))]
    distance = torch.cat(maps, dim=1)
    distance = distance - distance.amin(1, keepdim=True)
    spread = distance.mean(1, keepdim=True)
    middle = spread.mean()
    return torch.exp(-distance / torch.clamp(spread, LOWEST * middle, HIGHEST * middle).clamp(min=FLOOR))


class MeasuredPatches:
    """The descriptor of one image in the form its gradient needs.

    Attributes:
        exponents: ``D_k / V`` of every pair, a list of ``(N, 1, *spatial)``.
    """

    def __init__(self, image: Tensor, patches: Patches):
        self.patches = patches
        self.padded = patches.pad(image)
        count = len(patches.pairs)
        maps = [patches.mean(patches.difference(self.padded, k).square_()) for k in range(count)]
        lowest = maps[0].clone()
        for k in range(1, count):
            torch.minimum(lowest, maps[k], out=lowest)
        self.spread = torch.zeros_like(lowest)
        for distance in maps:
            self.spread.add_(distance.sub_(lowest))
        self.spread.div_(count)
        self.middle = self.spread.mean()
        clamped = torch.clamp(self.spread, LOWEST * self.middle, HIGHEST * self.middle)
        self.alive = clamped >= FLOOR
        self.inverse = clamped.clamp_(min=FLOOR).reciprocal_()
        self.exponents = [distance.mul_(self.inverse) for distance in maps]

    def gradient(self, terms: list[Tensor], lowest: list[Tensor], by_exponent: Tensor, by_weight: Tensor) -> Tensor:
        """Gradient by the image ``(N, C, *S)``.

        Args:
            terms: per pair the loss's derivative by the descriptor times the descriptor; overwritten.
            lowest: per pair whether it is the most similar one; several may be at a voxel and share the gradient.
            by_exponent: sum over the pairs of ``terms`` times the exponents.
            by_weight: sum over the pairs of ``terms``.
        """
        patches, count = self.patches, len(terms)
        shared = self._by_spread(by_exponent.mul_(self.inverse)).div_(count)
        total = torch.addcmul(shared * count, by_weight, self.inverse, value=-1)
        total.div_(torch.stack(lowest).sum(0, dtype=torch.uint8))
        gradient = torch.zeros_like(self.padded)
        scale = 2 / (2 * patches.radius + 1) ** (gradient.ndim - 2)
        for k, term in enumerate(terms):
            by_distance = torch.addcmul(shared, term, self.inverse, value=-1, out=term)
            by_distance.addcmul_(total, lowest[k].to(total.dtype), value=-1)
            step = patches.mean_adjoint(by_distance) * patches.difference(self.padded, k).mul_(scale)
            p, q = patches.pairs[k]
            patches.shifted(gradient, p).add_(step)
            patches.shifted(gradient, q).sub_(step)
        return fold_back(gradient, [patches.dilation] * (gradient.ndim - 2)).contiguous()

    def _by_spread(self, by_clamped: Tensor) -> Tensor:
        """Derivative by the spread before it was clamped, the way over the mean spread included."""
        by_clamped = by_clamped.mul_(self.alive)
        low, high = self.spread < LOWEST * self.middle, self.spread > HIGHEST * self.middle
        by_middle = LOWEST * (by_clamped * low).sum() + HIGHEST * (by_clamped * high).sum()
        return by_clamped.mul_(~(low | high)).add_(by_middle / by_clamped.numel())


def difference_of_descriptors(
    first: MeasuredPatches, second: MeasuredPatches, need: tuple[bool, bool], weight: Tensor | float, squared: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Weighted sum of squared or absolute differences of two descriptors, and its gradients by both images.

    Args:
        first: of one image; its exponents are overwritten.
        second: of the other; overwritten as well.
        need: which gradients are wanted.
        weight: of every voxel, ``(N, 1, *spatial)`` or one number.
        squared: squares instead of absolute values.
    """
    value = first.spread.new_zeros(())
    sides = [_Side(measured, sign) for measured, sign, wanted in ((first, 1, need[0]), (second, -1, need[1])) if wanted]
    for k in range(len(first.exponents)):
        descriptors = {side: torch.exp(-side.exponents[k]) for side in (first, second)}
        difference = descriptors[first] - descriptors[second]
        slope = difference * weight if squared else torch.sign(difference) * weight
        value += (slope * difference).sum()
        if squared:
            slope.mul_(2)
        for side in sides:
            side.add(k, descriptors[side.measured].mul_(slope))
    gradients = {
        side.sign: side.measured.gradient(side.terms, side.lowest, side.by_exponent, side.by_weight) for side in sides
    }
    return value, gradients.get(1), gradients.get(-1)


class _Side:
    """Gathers what one image's gradient needs while the pairs go by."""

    def __init__(self, measured: MeasuredPatches, sign: int):
        self.measured, self.sign = measured, sign
        self.terms: list[Tensor] = []
        self.lowest: list[Tensor] = []
        self.by_exponent, self.by_weight = torch.zeros_like(measured.spread), torch.zeros_like(measured.spread)

    def add(self, k: int, term: Tensor) -> None:
        if self.sign < 0:
            term.neg_()
        self.by_exponent.addcmul_(term, self.measured.exponents[k])
        self.by_weight.add_(term)
        self.lowest.append(self.measured.exponents[k] == 0)
        self.measured.exponents[k] = term  # no longer needed: its memory goes
        self.terms.append(term)
