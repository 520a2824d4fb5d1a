"""Normalised gradient fields: align edges, whatever their contrast."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial import spatial_gradient
from mmreg.spatial.masked import masked_mean
from mmreg.spatial.stored_gradient import stored_gradient

from .base import ImageLoss

FORMS = ('parallel', 'offset')


@LOSSES.register_module()
class NGF(ImageLoss):
    r"""Distance of normalised gradient fields.

    With edge parameters :math:`E^2 = \eta^2\, \overline{|\nabla I|^2} + \epsilon^2` per sample, channel and image:

    * ``'parallel'`` (Haber and Modersitzki): :math:`1 - \overline{\frac{\langle\nabla I, \nabla J\rangle^2}
      {(|\nabla I|^2 + E_I^2)(|\nabla J|^2 + E_J^2)}}`; edges of opposite contrast agree as well; flat regions count 1.
    * ``'offset'`` (Koenig and Ruehaak): :math:`E_I E_J` added to the inner product before it is squared: 0 for equal
      images, flat regions count 0, edges of opposite contrast agree where they are strong.

    Source: Haber and Modersitzki, MICCAI 2006; Koenig and Ruehaak, ISBI 2014. :math:`E` is taken from the mean square
    instead of the mean magnitude of the gradient, which keeps it differentiable on flat images.

    Value: dimensionless, 0 to 1. Symmetric. With ``eps`` far below the gradients unchanged by affine intensity changes
    (``'offset'``: of positive slope).

    Saves for backward: the two images and one volume per image that needs a gradient.

    Args:
        eta: edges weaker than this share of the root mean square gradient are noise.
        form: ``'parallel'`` or ``'offset'``.
        spacing: voxel size, one number or one per axis, so that gradients are per mm; 1 measures them per voxel.
        eps: smallest edge parameter, units of intensity per voxel (per mm).
    """

    def __init__(
        self, eta: float = 0.1, form: str = 'parallel', spacing: float | Sequence[float] = 1.0, eps: float = 1e-4
    ):
        super().__init__()
        if form not in FORMS:
            raise ConfigError(f'form={form!r}, expected one of {FORMS}.')
        if eta < 0 or eps <= 0:
            raise ConfigError(f'NGF got eta={eta}, eps={eps}; expected eta >= 0 and eps > 0.')
        self.eta, self.form, self.spacing, self.eps = eta, form, spacing, eps

    def energy(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        """The loss of images ``(N, C, *spatial)``, mean over voxels inside the mask."""
        return stored_gradient(warped, fixed, partial(self._distance, mask=mask))

    def _distance(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        first, second = (spatial_gradient(image, spacing=self.spacing) for image in (warped, fixed))
        square_w, square_f = first.square().sum(2), second.square().sum(2)
        edge_w, edge_f = self._edge(square_w, mask), self._edge(square_f, mask)
        inner = (first * second).sum(2)
        if self.form == 'offset':
            inner = inner + (edge_w * edge_f).sqrt()
        return 1 - masked_mean(inner.square() / ((square_w + edge_w) * (square_f + edge_f)), mask)

    def _edge(self, square: Tensor, mask: Tensor | None) -> Tensor:
        """Squared edge parameter ``(N, C, 1, ...)``."""
        axes = tuple(range(2, square.ndim))
        if mask is None:
            mean = square.mean(axes, keepdim=True)
        else:
            mean = (square * mask).sum(axes, keepdim=True) / mask.sum(axes, keepdim=True).clamp(min=1e-6)
        return self.eta**2 * mean + self.eps**2
