"""Local normalised cross-correlation (LNCC) of two images, its mean, and the gradients of the mean in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .compiled.correlating import local_correlation
from .compiled.summing import serves_box
from .masked import masked_mean
from .windows import Window, build_window

#: Exponent of the local correlation.
FORMS = {'signed': 1, 'squared': 2, 'fourth': 4}
STABILISERS = ('product', 'clamp', 'each')


def local_ncc(
    first: Tensor, second: Tensor, window: int | Sequence[int] = 9, form: str = 'squared', eps: float = 1e-5
) -> Tensor:
    """Map of the local normalised cross-correlation of two images.

    Args:
        first: ``(N, C, *spatial)``.
        second: The same shape.
        window: Voxels per axis of the box around every voxel, odd; one number or one per axis.
        form: ``'signed'`` (-1 to 1), ``'squared'`` or ``'fourth'`` power (0 to 1).
        eps: Added to the product of both variances.

    Returns:
        ``(N, C, *spatial)``, 1 where both images are the same up to an affine change of intensity.

    Source: Avants et al., Med. Image Anal. 2008.

    Example:
        >>> image = torch.rand(1, 1, 9, 9)
        >>> local_ncc(image, 3 * image + 1, window=3, form='signed').mean().item() > 0.8
        True
    """
    return LocalCorrelation(form, 'product', eps).map(first, second, build_window(window, 'box', None, first.dim() - 2))


@dataclass(frozen=True)
class LocalCorrelation:
    """One definition of the local correlation, ``c / sqrt(a b)`` of covariance and variances inside a window.

    Attributes:
        form: A key of ``FORMS``, the power that is taken.
        stabiliser: How ``eps`` keeps the quotient finite: see :class:`~mmreg.models.losses.lncc.LNCC`.
        eps: In (units of intensity)^4 for ``'product'``, ^2 otherwise.
        masked: The window counts voxels inside the mask only.
    """

    form: str = 'squared'
    stabiliser: str = 'product'
    eps: float = 1e-5
    masked: bool = False

    def map(self, warped: Tensor, fixed: Tensor, window: Window) -> Tensor:
        """The map ``(N, C, *spatial)``: the correlation inside the window to the power of ``form``."""
        return self._power(*_local_moments(warped, fixed, window))

    def mean(self, warped: Tensor, fixed: Tensor, window: Window, mask: Tensor | None = None) -> Tensor:
        """Mean of the map, a differentiable scalar; ``mask`` ``(N, 1, *spatial)`` weights it."""
        compiled = self._serves(window, warped, fixed)
        if self.masked and compiled and self.has_closed_form(mask):
            return self.mean_and_gradients(warped, fixed, (False, False), window, mask)[0]
        if self.masked:
            moments = _masked_moments(warped, fixed, window, mask)
        elif compiled:
            return self._compiled(warped, fixed, (False, False), window, mask, None)[0]
        else:
            moments = _local_moments(warped, fixed, window)
        return masked_mean(self._power(*moments), mask)

    def _power(self, cross: Tensor, var_w: Tensor, var_f: Tensor) -> Tensor:
        first, second = self._factors(var_w, var_f)
        denominator = first * second + (self.eps if self.stabiliser == 'product' else 0.0)
        if self.form == 'signed':
            return cross / denominator.sqrt()
        squared = cross.square() / denominator
        return squared if self.form == 'squared' else squared.square()

    def _factors(self, var_w: Tensor, var_f: Tensor) -> tuple[Tensor, Tensor]:
        """The two factors of the denominator."""
        if self.stabiliser == 'clamp':
            return var_w.clamp(min=self.eps), var_f.clamp(min=self.eps)
        shift = self.eps if self.stabiliser == 'each' else 0.0
        return var_w.clamp(min=0) + shift, var_f.clamp(min=0) + shift

    def has_closed_form(self, mask: Tensor | None) -> bool:
        """Whether :meth:`mean_and_gradients` serves: inside a mask ``(N, 1, *spatial)``, only if it holds nothing but
        zeros and ones.
        """
        return not self.masked or mask is None or bool(((mask == 0) | (mask == 1)).all())

    def mean_and_gradients(
        self, warped: Tensor, fixed: Tensor, need: tuple[bool, bool], window: Window, mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Mean of the map and its gradients by both images where needed, in closed form.

        The maths is in docs/losses_image.md. Images are ``(N, C, *spatial)``, ``mask`` is ``(N, 1, *spatial)``.
        """
        if not self.masked:
            return self._in_windows(warped, fixed, need, window, mask, None)
        # Voxels outside the mask are zero after centring, so that they add nothing; windows count the others.
        mask = torch.ones_like(warped[:, :1]) if mask is None else mask
        voxels = (mask.expand_as(warped[:, :1]).sum() * warped.shape[1]).clamp(min=1)
        warped, fixed = ((image - (image * mask).sum() / voxels) * mask for image in (warped, fixed))
        mean, *gradients = self._in_windows(warped, fixed, need, window, mask, window.sum(mask))
        first, second = (None if gradient is None else gradient * mask for gradient in gradients)
        return mean, first, second

    def _in_windows(
        self,
        warped: Tensor,
        fixed: Tensor,
        need: tuple[bool, bool],
        window: Window,
        mask: Tensor | None,
        counts: Tensor | None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Mean and gradients; ``counts`` ``(N, 1, *spatial)`` are the voxels that each window counts, where some."""
        if self._serves(window, warped, fixed):
            return self._compiled(warped, fixed, need, window, mask, counts)
        volume = window.volume if counts is None else counts.clamp(min=1e-6)
        sum_w, sum_f = window.sum(warped), window.sum(fixed)
        mean_w, mean_f = sum_w / volume, sum_f / volume  # a rounded 1/n would bias every variance
        cross = window.sum(warped * fixed).addcmul_(mean_w, sum_f, value=-1)
        var_w = window.sum(warped.square()).addcmul_(mean_w, sum_w, value=-1)
        var_f = window.sum(fixed.square()).addcmul_(mean_f, sum_f, value=-1)
        free_w, free_f = self._free(var_w, need[0]), self._free(var_f, need[1])
        factor_w, factor_f = self._factors_(var_w, var_f)
        denominator = factor_w * factor_f
        if self.stabiliser == 'product':
            denominator.add_(self.eps)
        power, by_cross, by_denominator = _slopes(cross, denominator, FORMS[self.form])
        mean = masked_mean(power, mask)
        scale: float | Tensor = FORMS[self.form] / cross.numel()
        if mask is not None:
            total = mask.expand_as(cross).sum()
            scale = FORMS[self.form] / torch.where(total > 0, total, torch.ones_like(total))
            by_cross, by_denominator = by_cross.mul_(mask), by_denominator.mul_(mask)

        gradient = _Gradient(window, by_cross, by_denominator, scale)
        grad_w = gradient(warped, fixed, mean_w, mean_f, factor_f, free_w) if need[0] else None
        grad_f = gradient(fixed, warped, mean_f, mean_w, factor_w, free_f) if need[1] else None
        return mean, grad_w, grad_f

    def _serves(self, window: Window, *images: Tensor) -> bool:
        """Whether the kernel can do it: a box, and no graph to be recorded."""
        graph = torch.is_grad_enabled() and any(image.requires_grad for image in images)
        plain = window.taps is None and self.stabiliser == 'product'
        return plain and not graph and all(map(serves_box, images))

    def _compiled(
        self,
        warped: Tensor,
        fixed: Tensor,
        need: tuple[bool, bool],
        window: Window,
        mask: Tensor | None,
        counts: Tensor | None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The same in one kernel."""
        exponent = FORMS[self.form]
        total = float(warped.numel())
        if mask is not None:
            total = float(mask.expand_as(warped[:, :1]).sum()) * warped.shape[1] or 1.0
        arguments = (window.sizes, window.volume, self.eps, exponent, exponent / total)
        value, grad_w, grad_f = local_correlation(warped, fixed, mask, need, *arguments, counts)
        return value / total, grad_w, grad_f

    def _factors_(self, var_w: Tensor, var_f: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`_factors` overwriting its arguments."""
        if self.stabiliser == 'clamp':
            return var_w.clamp_(min=self.eps), var_f.clamp_(min=self.eps)
        var_w.clamp_(min=0), var_f.clamp_(min=0)
        return (var_w.add_(self.eps), var_f.add_(self.eps)) if self.stabiliser == 'each' else (var_w, var_f)

    def _free(self, variance: Tensor, needed: bool) -> Tensor | None:
        """Where the clamp of the variance lets the gradient through; None stands for everywhere."""
        if not needed or self.stabiliser == 'product':  # there only rounding falls below the clamp
            return None
        return variance > (self.eps if self.stabiliser == 'clamp' else 0.0)


def _local_moments(warped: Tensor, fixed: Tensor, window: Window) -> tuple[Tensor, Tensor, Tensor]:
    """Windowed covariance and the two variances, each times the window's volume."""
    n = window.volume
    sum_w, sum_f = window.sum(warped), window.sum(fixed)
    cross = window.sum(warped * fixed) - sum_w * sum_f / n
    return cross, window.sum(warped.square()) - sum_w.square() / n, window.sum(fixed.square()) - sum_f.square() / n


def _masked_moments(
    warped: Tensor, fixed: Tensor, window: Window, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The same over voxels inside the mask; images are centred first, which changes nothing but the rounding."""
    mask = torch.ones_like(warped[:, :1]) if mask is None else mask
    warped, fixed = warped - warped.detach().mean(), fixed - fixed.detach().mean()
    count = window.sum(mask)
    inverse = torch.where(count > 0, 1 / count.clamp(min=1e-6), torch.zeros_like(count))
    sum_w, sum_f = window.sum(warped * mask), window.sum(fixed * mask)
    cross = window.sum(warped * fixed * mask) - sum_w * sum_f * inverse
    var_w = window.sum(warped.square() * mask) - sum_w.square() * inverse
    var_f = window.sum(fixed.square() * mask) - sum_f.square() * inverse
    return cross, var_w, var_f


def _slopes(cross: Tensor, denominator: Tensor, exponent: int) -> tuple[Tensor, Tensor, Tensor]:
    """``q^k`` for ``q = c / sqrt(D)``, then ``q^(k-1) / sqrt(D)`` and ``q^k / D``; overwrites its arguments."""
    if exponent == 1:
        slope = denominator.rsqrt_()
        power = cross.mul_(slope)
        return power, slope, slope.square().mul_(power)
    slope = cross / denominator
    squared = cross.mul_(slope)
    if exponent == 2:
        return squared, slope, slope.square()
    return squared.square(), slope * squared, slope.square().mul_(squared)


class _Gradient:
    """The gradient by either image, from the slopes that both share."""

    def __init__(self, window: Window, by_cross: Tensor, by_denominator: Tensor, scale: float | Tensor):
        self.window, self.scale = window, scale
        self.by_cross, self.by_denominator = by_cross, by_denominator
        self.cross_adjoint = window.adjoint(by_cross)

    def __call__(
        self,
        image: Tensor,
        other: Tensor,
        mean_image: Tensor,
        mean_other: Tensor,
        factor_other: Tensor,
        free: Tensor | None,
    ) -> Tensor:
        by_variance = self.by_denominator * factor_other
        if free is not None:
            by_variance.mul_(free)
        mixed = (by_variance * mean_image).addcmul_(self.by_cross, mean_other, value=-1)
        gradient = self.window.adjoint(mixed).addcmul_(other, self.cross_adjoint)
        return gradient.addcmul_(image, self.window.adjoint(by_variance), value=-1).mul_(self.scale)
