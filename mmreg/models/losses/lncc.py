"""Local normalised cross correlation with gradients in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial.compiled.correlating import local_correlation
from mmreg.spatial.compiled.summing import serves_sums

from .base import ImageLoss, masked_mean, without_autocast
from .stored_gradient import stored_gradient
from .windows import Window, build_window, check_window, same_length

#: Exponent of the local correlation.
FORMS = {'signed': 1, 'squared': 2, 'fourth': 4}
STABILISERS = ('product', 'clamp', 'each')


@LOSSES.register_module()
class LNCC(ImageLoss):
    r"""Local normalised cross correlation.

    With weighted sums :math:`S` over a window of volume :math:`n` around every voxel (zeros outside, :math:`n` counted
    in full at the border):

    .. math:: c = S(IJ) - S(I)S(J)/n, \quad a = S(I^2) - S(I)^2/n, \quad b = S(J^2) - S(J)^2/n

    squared form :math:`cc = c^2 / (ab + \epsilon)`, loss :math:`1 - \overline{cc}`, mean over batch, channels, voxels.

    Source: EOIR's squared form (the default; goldens eoir/losses ``ncc_*``); VoxelMorph, TransMorph, LKU-Net, LapIRN,
    SITReg: ``negative=True``; Avants et al., Med. Image Anal. 2008.

    Value: dimensionless. ``squared``, ``fourth``: 0 (perfect) to 1; ``signed``: 0 to 2; with ``negative`` one less.
    Symmetric. Away from flat regions and the border unchanged by affine changes of either image's intensities.

    Saves for backward: the two images and one volume per image that needs a gradient. The gradient is differentiable
    once more (the second pass rebuilds the graph from the images).

    Args:
        window: voxels per axis, odd; one number or one per axis.
        form: ``'squared'`` ignores the sign of the correlation, ``'signed'`` keeps it,
            ``'fourth'`` is the fourth power that some code publishes as "squared LNCC".
        negative: loss ``-mean`` instead of ``1 - mean``.
        kernel: ``'box'``, MONAI's ``'triangular'`` and ``'gaussian'`` windows, or ``'gaussian_tail'``, what older MONAI
            computed as its Gaussian: the first taps of a longer one, so that the window lies beside the voxel.
            ``'box_cubed'`` counts ``n = window^3`` whatever the number of axes, as LKU-Net's 2-D code does.
        sigma: standard deviation in voxels of a Gaussian window with ``4 sigma + 1`` taps and sum 1 (GradICON), with
            ``kernel='gaussian'``; replaces ``window``.
        isotropic: ``window`` (one number) counts voxels of the finest axis; an axis with larger voxels gets the odd
            number of them that covers no more millimetres, one at least, so that thick slices are not mixed. Takes
            effect where the call says the voxel size (``spacing``).
        eps: keeps the quotient finite, in (units of intensity)^4 for ``'product'``, ^2 otherwise.
        stabiliser: ``'product'`` :math:`ab + \epsilon`; ``'clamp'`` :math:`\max(a,\epsilon)\max(b,\epsilon)` (MONAI);
            ``'each'`` :math:`(a+\epsilon)(b+\epsilon)` (GradICON). Rounding below zero is cut first.
        masked_statistics: the window sums run over voxels inside the mask only (inside the image when there is no
            mask) and ``n`` counts those. Without it a mask weights the mean only.
        closed_form: gradients from the closed form; False builds the full graph (slower, several times the memory).
    """

    takes = ('spacing',)

    def __init__(
        self,
        window: int | Sequence[int] = 9,
        form: str = 'squared',
        negative: bool = False,
        kernel: str = 'box',
        sigma: float | Sequence[float] | None = None,
        eps: float = 1e-5,
        stabiliser: str = 'product',
        masked_statistics: bool = False,
        closed_form: bool = True,
        isotropic: bool = False,
    ):
        super().__init__()
        check_window(window, kernel, sigma)
        if isotropic and (sigma is not None or not isinstance(window, int)):
            raise ConfigError(f'isotropic=True with window={window!r}, sigma={sigma!r}; expected one number of voxels.')
        if form not in FORMS:
            raise ConfigError(f'form={form!r}, expected one of {tuple(FORMS)}.')
        if stabiliser not in STABILISERS:
            raise ConfigError(f'stabiliser={stabiliser!r}, expected one of {STABILISERS}.')
        self.window, self.kernel, self.sigma = window, kernel, sigma
        self.form, self.negative = form, negative
        self.eps, self.stabiliser = eps, stabiliser
        self.masked_statistics, self.closed_form = masked_statistics, closed_form
        self.isotropic = isotropic

    def forward(
        self, warped: Tensor, fixed: Tensor, mask: Tensor | None = None, spacing: Sequence[float] | None = None
    ) -> Tensor:
        """As :meth:`ImageLoss.forward`; ``spacing`` in mm, one number per axis, where it is known (``isotropic``)."""
        warped, fixed, mask = self.checked(warped, fixed, mask)
        with without_autocast(warped):
            return self._within(warped, fixed, mask, self._window(warped.ndim - 2, spacing))

    def energy(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        """The loss of ``(N, C, *spatial)`` in a window that counts voxels."""
        return self._within(warped, fixed, mask, self._window(warped.ndim - 2))

    def _within(self, warped: Tensor, fixed: Tensor, mask: Tensor | None, window: Window) -> Tensor:
        scalar = partial(self._mean, window=window, mask=mask)
        if not self.closed_form or self.masked_statistics:
            mean = scalar(warped, fixed)
        else:
            mean = stored_gradient(warped, fixed, scalar, partial(self._closed_form, window=window, mask=mask))
        return -mean if self.negative else 1 - mean

    def correlation(self, warped: Tensor, fixed: Tensor) -> Tensor:
        """The map ``(N, C, *spatial)`` whose mean the loss takes: the correlation to the power of ``form``."""
        return self._power(*_local_moments(warped, fixed, self._window(warped.ndim - 2)))

    def _window(self, ndim: int, spacing: Sequence[float] | None = None) -> Window:
        if not self.isotropic or spacing is None:
            return build_window(self.window, self.kernel, self.sigma, ndim)
        return build_window(same_length(self.window, spacing), self.kernel, None, ndim)

    # The differentiable definition ---------------------------------------------------------------------------------

    def _mean(self, warped: Tensor, fixed: Tensor, window: Window, mask: Tensor | None) -> Tensor:
        if self.masked_statistics:
            moments = _masked_moments(warped, fixed, window, mask)
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

    # Value and gradients in closed form ----------------------------------------------------------------------------

    def _closed_form(
        self, warped: Tensor, fixed: Tensor, need: tuple[bool, bool], window: Window, mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Mean of the map and its gradients; the maths is in docs/losses_image.md."""
        if window.taps is None and self.stabiliser == 'product' and serves_sums(warped) and serves_sums(fixed):
            return self._compiled(warped, fixed, need, window, mask)
        sum_w, sum_f = window.sum(warped), window.sum(fixed)
        mean_w, mean_f = sum_w / window.volume, sum_f / window.volume  # a rounded 1/n would bias every variance
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

    def _compiled(
        self, warped: Tensor, fixed: Tensor, need: tuple[bool, bool], window: Window, mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The same in one kernel."""
        exponent = FORMS[self.form]
        total = float(warped.numel())
        if mask is not None:
            total = float(mask.expand_as(warped[:, :1]).sum()) * warped.shape[1] or 1.0
        arguments = (window.sizes, window.volume, self.eps, exponent, exponent / total)
        value, grad_w, grad_f = local_correlation(warped, fixed, mask, need, *arguments)
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
        self.spread = window.spread(by_cross)

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
        gradient = self.window.spread(mixed).addcmul_(other, self.spread)
        return gradient.addcmul_(image, self.window.spread(by_variance), value=-1).mul_(self.scale)
