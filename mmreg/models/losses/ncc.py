"""Global normalised cross correlation."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial.stored_gradient import stored_gradient

from .base import ImageLoss


@LOSSES.register_module()
class NCC(ImageLoss):
    r"""Global normalised cross correlation per sample and channel, then the mean.

    .. math:: c = \sum (I - \bar I)(J - \bar J), \quad A = \sum (I - \bar I)^2, \quad B = \sum (J - \bar J)^2

    squared form: loss :math:`1 - c^2 / (AB + \epsilon)`; signed form :math:`1 - c / \sqrt{AB + \epsilon}`.

    Source: GraDIRN's ``ncc`` with ``negative=True`` (golden gradirn/ops ``ncc_loss``).

    Value: dimensionless. ``squared``: 0 (perfect) to 1, the sign of the correlation is ignored; ``signed``: 0 to 2;
    with ``negative`` one less. Symmetric, unchanged by affine changes of either image's intensities.

    Saves for backward: the two images and one volume per image that needs a gradient.

    Args:
        form: ``'squared'`` or ``'signed'``.
        negative: loss ``-cc`` instead of ``1 - cc``.
        eps: keeps the quotient finite, (units of intensity)^4.
    """

    def __init__(self, form: str = 'squared', negative: bool = False, eps: float = 1e-5):
        super().__init__()
        if form not in ('squared', 'signed'):
            raise ConfigError(f"form={form!r}, expected 'squared' or 'signed'.")
        self.form, self.negative, self.eps = form, negative, eps

    def energy(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        """The loss of images ``(N, C, *spatial)``, per sample and channel, then the mean."""
        mean = stored_gradient(warped, fixed, partial(self._correlation, mask=mask))
        return -mean if self.negative else 1 - mean

    def _correlation(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        axes = tuple(range(2, warped.ndim))
        first, second = _centred(warped, mask, axes), _centred(fixed, mask, axes)
        weighted = first if mask is None else first * mask
        cross = (weighted * second).sum(axes)
        squares = second.square() if mask is None else second.square() * mask
        product = (weighted * first).sum(axes) * squares.sum(axes) + self.eps
        values = cross.square() / product if self.form == 'squared' else cross / product.sqrt()
        return values.mean()


def _centred(image: Tensor, mask: Tensor | None, axes: tuple[int, ...]) -> Tensor:
    if mask is None:
        return image - image.mean(axes, keepdim=True)
    weight = mask.sum(axes, keepdim=True).clamp(min=1e-6)
    return image - (image * mask).sum(axes, keepdim=True) / weight
