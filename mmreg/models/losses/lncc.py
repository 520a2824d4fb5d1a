"""Local normalised cross-correlation as a loss; the maths is in :mod:`mmreg.spatial.local_ncc`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial.local_ncc import FORMS, STABILISERS, LocalCorrelation
from mmreg.spatial.precision import without_autocast
from mmreg.spatial.stored_gradient import stored_gradient
from mmreg.spatial.windows import Window, build_window, check_window, same_length

from .base import ImageLoss
from .representable import representable


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

    Images that are not finite, or larger than 1e15: the value and all gradients are NaN.

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
            mask) and ``n`` counts those; fast for masks of zeros and ones. Without it a mask weights the mean only.
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
        self.of = LocalCorrelation(form, stabiliser, eps, masked_statistics)
        self.negative, self.closed_form = negative, closed_form
        self.isotropic = isotropic

    def forward(
        self, warped: Tensor, fixed: Tensor, mask: Tensor | None = None, spacing: Sequence[float] | None = None
    ) -> Tensor:
        """As :meth:`ImageLoss.forward`, of ``(N, C, *spatial)``; ``spacing`` in mm, one number per axis, where it is
        known (``isotropic``).
        """
        warped, fixed, mask = self.checked(warped, fixed, mask)
        with without_autocast(warped):
            return self._within(warped, fixed, mask, self._window(warped.ndim - 2, spacing))

    def energy(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        """The loss of ``(N, C, *spatial)`` in a window that counts voxels."""
        return self._within(warped, fixed, mask, self._window(warped.ndim - 2))

    def _within(self, warped: Tensor, fixed: Tensor, mask: Tensor | None, window: Window) -> Tensor:
        of, scalar = self.of, partial(self.of.mean, window=window, mask=mask)
        if not self.closed_form or not of.has_closed_form(mask):
            mean = scalar(warped, fixed)
        else:
            mean = stored_gradient(warped, fixed, scalar, partial(of.mean_and_gradients, window=window, mask=mask))
        mean = mean * representable(warped, fixed)
        return -mean if self.negative else 1 - mean

    def correlation(self, warped: Tensor, fixed: Tensor) -> Tensor:
        """The map ``(N, C, *spatial)`` whose mean the loss takes: the correlation to the power of ``form``."""
        return self.of.map(warped, fixed, self._window(warped.ndim - 2))

    def _window(self, ndim: int, spacing: Sequence[float] | None = None) -> Window:
        if not self.isotropic or spacing is None:
            return build_window(self.window, self.kernel, self.sigma, ndim)
        return build_window(same_length(self.window, spacing), self.kernel, None, ndim)
