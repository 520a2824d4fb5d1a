"""Divergence of a Gaussian velocity from a smooth prior."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial.precision import full_precision, without_autocast

from .base import Loss
from .field_base import check_field, forward_difference, sum_of_terms

DERIVATIVES = ('all', 'published')


@LOSSES.register_module()
class GaussianKL(Loss):
    """KL divergence of N(mean, diag(exp(log_variance))) from a prior with the precision of a grid's Laplacian.

    ``ndim / 2 * ( mean(precision D exp(s) - s) + mean_precision / 2 * roughness(mean) )`` without constants, with the
    number ``D`` of neighbours of a voxel and the log-variance ``s``. ``roughness`` is the mean over axes of the mean
    squared forward difference of all components.

    Value: in (-inf, inf), since constants are left out; fields in voxels. Saved for backward: the inputs only.

    With ``derivative='published'`` (TransMorph-diff) it is the sum over axes i of the mean of the squared derivative of
    component i along axis i, central, one-sided at the border; the published recipe takes it of the integrated field:
    ``on='integrated'``. Otherwise say ``on='mean'``.

    Args:
        precision: Of the prior, lambda, in the first term.
        mean_precision: In the second; the same where None.
        derivative: ``'all'`` or ``'published'``.

    Source: Dalca et al., MedIA 2019, eq. 8; golden baselines/transmorph_diff ``kl_loss``.
    """

    kind = 'field'
    extras = ('log_variance',)

    def __init__(self, precision: float = 10.0, mean_precision: float | None = None, derivative: str = 'all'):
        super().__init__()
        if derivative not in DERIVATIVES:
            raise ConfigError(f'GaussianKL: derivative={derivative!r} is unknown, expected one of {DERIVATIVES}.')
        self.precision = precision
        self.mean_precision = precision if mean_precision is None else mean_precision
        self.derivative = derivative

    def forward(
        self, field: Tensor, log_variance: Tensor, labels: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Scalar of ``field``, the mean, and ``log_variance``, both ``(N, ndim, *S)``."""
        check_field(field, type(self).__name__)
        field, log_variance = full_precision(field, log_variance)
        with without_autocast(field):
            ndim = field.shape[1]
            steepness = _own_derivative if self.derivative == 'published' else _differences
            rough = sum_of_terms([partial(steepness, axis=axis) for axis in range(ndim)], field)
            spread = sum_of_terms([partial(_spread, precision=self.precision)], log_variance)
            return ndim / 2 * (spread + self.mean_precision / 2 * rough)


def _spread(log_variance: Tensor, precision: float) -> Tensor:
    return (precision * neighbours(log_variance) * log_variance.exp() - log_variance).mean()


def _differences(field: Tensor, axis: int) -> Tensor:
    """Share of one axis in the mean over axes."""
    return forward_difference(field, axis).square().mean() / field.shape[1]


def _own_derivative(field: Tensor, axis: int) -> Tensor:
    return torch.gradient(field[:, axis], dim=axis + 1)[0].square().mean()


def neighbours(field: Tensor) -> Tensor:
    """How many neighbours along the axes a voxel of ``(N, C, *S)`` has: ``(*S)``, ndim .. 2 ndim."""
    size = field.shape[2:]
    total = torch.zeros(tuple(size), dtype=field.dtype, device=field.device)
    for axis, n in enumerate(size):
        count = field.new_full((n,), 2.0)
        count[0] -= 1
        count[-1] -= 1
        total = total + count.view([-1 if k == axis else 1 for k in range(len(size))])
    return total
