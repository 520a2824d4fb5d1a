"""Losses that compare intensities voxel by voxel: for images of one modality with one scale."""

from __future__ import annotations

from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial.masked import masked_mean

from .base import ImageLoss


class _Intensity(ImageLoss):
    """Mean over batch, (masked) voxels and channels of a distance of two intensities.

    Args:
        channels: ``'mean'`` or ``'sum'`` of the distances over channels.
    """

    def __init__(self, channels: str = 'mean'):
        super().__init__()
        if channels not in ('mean', 'sum'):
            raise ConfigError(f"channels={channels!r}, expected 'mean' or 'sum'.")
        self.channels = channels

    def energy(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        value = masked_mean(self.distance(warped - fixed), mask)
        return value * warped.shape[1] if self.channels == 'sum' else value

    def distance(self, difference: Tensor) -> Tensor:
        """Distance per voxel and channel."""
        raise NotImplementedError


@LOSSES.register_module()
class MSE(_Intensity):
    """Mean squared difference ``mean((I - J)^2)``, the sum of squared differences per voxel.

    Source: GraDIRN ``mse``, VoxelMorph, TextSCF (golden textscf/textscf_losses ``mse``); with ``channels='sum'`` the
    ``l2`` intensity loss of the pyramid designs. VoxelMorph's ``image_sigma`` is the weight ``1 / sigma^2``.

    Value: 0 (equal) upwards, in squared units of intensity. Symmetric. Saves for backward: the difference, one image.

    Args:
        channels: ``'mean'`` or ``'sum'`` of the squares over channels.
    """

    def distance(self, difference: Tensor) -> Tensor:
        """``d^2`` of ``(N, C, *spatial)``."""
        return difference.square()


@LOSSES.register_module()
class L1(_Intensity):
    """Mean absolute difference ``mean(|I - J|)``: less moved by outliers than :class:`MSE`.

    Source: least absolute deviations, in general use.

    Value: 0 (equal) upwards, in units of intensity. Symmetric. Saves for backward: the difference, one image.

    Args:
        channels: ``'mean'`` or ``'sum'`` of the absolute values over channels.
    """

    def distance(self, difference: Tensor) -> Tensor:
        """``|d|`` of ``(N, C, *spatial)``."""
        return difference.abs()


@LOSSES.register_module()
class Charbonnier(_Intensity):
    """Generalised Charbonnier distance of the channel vectors, ``mean((sum_c (I_c - J_c)^2 + eps)^power)``.

    Source: the ``charbonnier`` penalty of the pyramid designs with ``eps = 0.001``, ``power = 0.45`` (Sun et al., CVPR
    2010); ``power=0.5, eps=0`` would be the Euclidean norm (``rmse``), whose gradient at 0 is not finite.

    Value: ``eps^power`` (equal) upwards, in intensity^(2 power). Symmetric. Saves for backward: two images.

    Args:
        eps: smooths the kink at zero, squared units of intensity, positive.
        power: exponent, at most 1.
    """

    def __init__(self, eps: float = 1e-3, power: float = 0.45):
        super().__init__('mean')
        if eps <= 0 or not 0 < power <= 1:
            raise ConfigError(f'Charbonnier got eps={eps}, power={power}; expected eps > 0 and 0 < power <= 1.')
        self.eps, self.power = eps, power

    def distance(self, difference: Tensor) -> Tensor:
        """``(|d|^2 + eps)^power`` over channels, ``(N, 1, *spatial)``."""
        return (difference.square().sum(1, keepdim=True) + self.eps).pow(self.power)
