"""Image dissimilarities seen from the warped image: the energy, and its gradient voxel by voxel.

A force knows neither the displacement nor the warp: the descent multiplies it by the derivative of the warp. It is
*per sample* and *not divided by the number of voxels*, so that it depends on neither batch nor image size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial.precision import full_precision, without_autocast


class ImageForce(nn.Module):
    """Base. Images are ``(N, C, *spatial)``; float64 stays, everything else is computed in float32."""

    def energy(self, warped: Tensor, fixed: Tensor) -> Tensor:
        """Dissimilarity of each sample, ``(N,)``."""
        raise NotImplementedError

    def gradient(self, warped: Tensor, fixed: Tensor) -> Tensor:
        """``dE_n/dW`` times the number of entries of a sample, ``(N, C, *spatial)``; can be differentiated again."""
        raise NotImplementedError

    def forward(self, warped: Tensor, fixed: Tensor) -> Tensor:
        """:meth:`gradient` of ``(N, C, *spatial)`` in full precision."""
        warped, fixed = full_precision(warped, fixed)
        with without_autocast(warped):
            return self.gradient(warped, fixed)


class SSDForce(ImageForce):
    """Mean squared difference, ``2 (W - F)``. Source: GraDIRN ``ssd``, golden gradirn/ops ``ssd_exact_grad``."""

    def energy(self, warped: Tensor, fixed: Tensor) -> Tensor:
        """Mean squared difference ``(N,)`` of images ``(N, C, *spatial)``."""
        return (warped - fixed).square().flatten(1).mean(1)

    def gradient(self, warped: Tensor, fixed: Tensor) -> Tensor:
        """Its gradient by ``warped``, ``(N, C, *spatial)``, times the number of values."""
        return 2 * (warped - fixed)


class NCCForce(ImageForce):
    r"""Global squared correlation :math:`-c^2 / (AB + \epsilon)` per sample and channel, mean over channels.

    With :math:`a = F - \bar F, b = W - \bar W, c = \sum ab, A = \sum a^2, B = \sum b^2, D = AB + \epsilon` the gradient
    is :math:`V (-2 c a / D + 2 c^2 A b / D^2)`; the derivatives of the means cancel. Source: GraDIRN ``ncc``, golden
    gradirn/ops ``ncc_exact_grad``.

    Args:
        eps: Keeps the quotient finite, (units of intensity)^4.
    """

    def __init__(self, eps: float = 1e-5):
        super().__init__()
        self.eps = eps

    def energy(self, warped: Tensor, fixed: Tensor) -> Tensor:
        """Minus the mean squared local correlation ``(N,)`` of images ``(N, C, *spatial)``."""
        _, _, cross, square, denominator = self._moments(warped, fixed)
        return -(cross.square() / denominator).flatten(1).mean(1)

    def gradient(self, warped: Tensor, fixed: Tensor) -> Tensor:
        """Its gradient by ``warped``, ``(N, C, *spatial)``, times the number of values."""
        a, b, cross, square, denominator = self._moments(warped, fixed)
        quotient = 2 * warped[0, 0].numel() * cross / denominator
        return quotient * (cross * square / denominator * b - a)

    def _moments(self, warped: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        axes = tuple(range(2, warped.dim()))
        a = fixed - fixed.mean(axes, keepdim=True)
        b = warped - warped.mean(axes, keepdim=True)
        cross = (a * b).sum(axes, keepdim=True)
        square = a.square().sum(axes, keepdim=True)
        return a, b, cross, square, square * b.square().sum(axes, keepdim=True) + self.eps


class LossForce(ImageForce):
    """Any differentiable image loss of the library, its gradient by automatic differentiation.

    In training the gradient is differentiated again, so the loss must be differentiable twice; the losses with
    gradients in closed form rebuild their graph for that. A loss is a mean over samples, so its gradient times the size
    of the batch is that of every sample.

    Args:
        loss: Config of an image loss in LOSSES.

    Raises:
        ConfigError: the loss is not an image loss.
    """

    def __init__(self, loss: dict[str, Any]):
        super().__init__()
        self.loss = LOSSES.build(loss)
        if self.loss.kind != 'image':
            raise ConfigError(
                f'similarity={loss.get("type")!r} is a loss of the kind {self.loss.kind!r}, expected an image loss.'
            )

    def energy(self, warped: Tensor, fixed: Tensor) -> Tensor:
        """The loss of every pair ``(N,)``, of images ``(N, C, *spatial)``."""
        return torch.stack([self.loss(w[None], f[None]) for w, f in zip(warped, fixed)])

    def gradient(self, warped: Tensor, fixed: Tensor) -> Tensor:
        """Its gradient by ``warped``, ``(N, C, *spatial)``, by automatic differentiation."""
        training = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            if training:
                warped = warped if warped.requires_grad else warped.detach().requires_grad_()
            else:  # copies: nothing made in inference mode can be differentiated
                warped, fixed = warped.detach().clone().requires_grad_(), fixed.detach().clone()
            (gradient,) = torch.autograd.grad(self.loss(warped, fixed), warped, create_graph=training)
        return gradient * warped.numel()


_CLOSED_FORM = {'ssd': SSDForce, 'ncc': NCCForce}


def build_force(similarity: str | dict[str, Any]) -> ImageForce:
    """The force of ``'ssd'``, ``'ncc'`` or of the config of an image loss.

    Raises:
        ConfigError: anything else.
    """
    if isinstance(similarity, str) and similarity in _CLOSED_FORM:
        return _CLOSED_FORM[similarity]()
    if not isinstance(similarity, dict) or 'type' not in similarity:
        raise ConfigError(
            f'similarity={similarity!r} of the descent is unknown, expected one of {tuple(_CLOSED_FORM)} or the config '
            'of an image loss, such as dict(type="LNCC", window=7).'
        )
    return LossForce(similarity)
