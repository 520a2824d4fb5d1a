"""Local rigidity conditions: the map inside labelled bodies should be orthonormal, proper and linear."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial import warp
from mmreg.spatial.constants import constant
from mmreg.spatial.rigidity import displacement_gradient, orthonormality, properness

from .field_base import FieldLoss, inner_voxels, need_voxels, second_difference, sum_of_terms

#: Treatment of the border -> finite-difference scheme of :func:`mmreg.spatial.spatial_gradient`.
BORDERS = {'one_sided': 'central', 'zeros': 'central_zeros', 'crop': 'central_cropped'}
FRAMES = ('moving', 'fixed')


class BodyLoss(FieldLoss):
    """Base of the losses that look at labelled bodies.

    ``labels`` are integers (N, 1, *S), 0 the background, any other values. With ``label_frame='moving'`` they belong
    to the moving image and are warped here by the field, as in the published system; with 'fixed' they lie on the
    field's grid already. No labels, or no body in them: the loss is 0, attached to the graph.

    The field must be the displacement (``on='displacement'``), not a velocity. ``unit='mm'`` with the spacing measures
    rigidity in millimetres, which anisotropic voxels need.
    """

    requires = ('labels',)

    def __init__(self, unit: str, spacing: float | Sequence[float] | None, label_frame: str) -> None:
        super().__init__(unit, spacing)
        if label_frame not in FRAMES:
            raise ConfigError(f'{type(self).__name__}: label_frame={label_frame!r}, expected one of {FRAMES}.')
        self.label_frame = label_frame

    def on_grid(self, body: Tensor, field: Tensor) -> Tensor:
        """Soft body (N, 1, *S) on the fixed grid: warped linearly if it belongs to the moving image."""
        body = body.to(field.dtype)
        return warp(body, field) if self.label_frame == 'moving' else body


class _Condition(BodyLoss):
    """``mean_n sum_x m c(u) / sum_x m``, ``m`` all bodies together, differentiable through ``m`` unless detached."""

    def __init__(
        self,
        unit: str = 'voxel',
        spacing: float | Sequence[float] | None = None,
        label_frame: str = 'moving',
        border: str = 'one_sided',
        detach_labels: bool = False,
    ) -> None:
        super().__init__(unit, spacing, label_frame)
        if border not in BORDERS:
            raise ConfigError(f'{type(self).__name__}: border={border!r}, expected one of {list(BORDERS)}.')
        self.border = border
        self.detach_labels = detach_labels

    def penalty(self, field: Tensor, labels: Tensor | None, mask: Tensor | None) -> Tensor:
        need_voxels(field, 3, self)
        if labels is None:
            return field.sum() * 0

        def term(u: Tensor) -> Tensor:
            body = self.on_grid(labels > 0, u.detach() if self.detach_labels else u)
            weight = body if mask is None else body * mask
            condition = self.condition(u)
            weight = weight if weight.shape[2:] == condition.shape[1:] else inner_voxels(weight)
            total = weight.flatten(1).sum(1)
            value = (weight[:, 0] * condition).flatten(1).sum(1)
            return (value / torch.where(total > 0, total, 1)).mean()

        return sum_of_terms([term], field)

    def condition(self, field: Tensor) -> Tensor:
        """Violation per voxel (N, *S)."""
        raise NotImplementedError

    def gradient(self, field: Tensor) -> list[list[Tensor]]:
        """``du_i / dx_j`` in the unit, each (N, *S): rows are components, columns axes."""
        return displacement_gradient(field, *self.lengths(field.shape[2:]), BORDERS[self.border])


@LOSSES.register_module()
class OrthonormalityCondition(_Condition):
    r"""``mean_n sum_x m ||F^T F - I||_F^2 / sum_x m``, ``F = I + du/dx``, in [0, inf).

    ``m`` is the sum of the warped body labels. 0 where bodies rotate and shift only; uniform scaling by ``s`` costs
    ``ndim (s^2 - 1)^2``. No dimension. The gradient flows through ``F`` and through ``m``.

    Source: Staring et al., Med. Phys. 2007; spine system ``oc_pc``, first value (``border='zeros'`` as published, where
    the derivative at the border takes 0 outside). Saved for backward: the field and the labels by reference.

    Args:
        unit: 'voxel', 'normalised' or 'mm'.
        spacing: voxel size in mm for ``unit='mm'``.
        label_frame: whose labels are handed over, 'moving' or 'fixed'.
        border: derivative at the border: 'one_sided', 'zeros', or 'crop' to leave the border out.
        detach_labels: no gradient through ``m``.
    """

    def condition(self, field: Tensor) -> Tensor:
        """``||F^T F - I||^2`` per voxel ``(N, *S)`` of ``field`` ``(N, ndim, *S)``."""
        return orthonormality(self.gradient(field))


@LOSSES.register_module()
class PropernessCondition(_Condition):
    r"""``mean_n sum_x m (det F - 1)^2 / sum_x m``, ``F = I + du/dx``, in [0, inf); 0 where bodies keep their volume.

    Uniform scaling by ``s`` costs ``(s^ndim - 1)^2``. Source: Staring et al., Med. Phys. 2007; spine system ``oc_pc``,
    second value (``border='zeros'``). No unit. Arguments and gradient as :class:`OrthonormalityCondition`. Saved for
    backward: the field and the labels by reference.
    """

    def condition(self, field: Tensor) -> Tensor:
        """``(det F - 1)^2`` per voxel ``(N, *S)`` of ``field`` ``(N, ndim, *S)``."""
        return properness(self.gradient(field))


@LOSSES.register_module()
class Linearity(_Condition):
    r"""``mean_n sum_x m sum_{i,j,k} (d^2 u_i / dx_j dx_k)^2 / sum_x m``, in [0, inf); 0 where bodies move affinely.

    Mixed terms count twice. Unit of the value: 1 / length^2. Central differences at the inner voxels (``border`` has no
    meaning here). Source: Staring et al., Med. Phys. 2007. Saved for backward: the field and the labels by reference.

    Args:
        unit: 'voxel', 'normalised' or 'mm'.
        spacing: voxel size in mm for ``unit='mm'``.
        label_frame: whose labels are handed over, 'moving' or 'fixed'.
        detach_labels: no gradient through ``m``.
    """

    def __init__(
        self,
        unit: str = 'voxel',
        spacing: float | Sequence[float] | None = None,
        label_frame: str = 'moving',
        detach_labels: bool = False,
    ) -> None:
        super().__init__(unit, spacing, label_frame, 'crop', detach_labels)

    def condition(self, field: Tensor) -> Tensor:
        """Sum of squared second derivatives per inner voxel ``(N, *S)`` of ``field`` ``(N, ndim, *S)``."""
        value, step = self.lengths(field.shape[2:])
        scale = constant(value, field).view(1, -1, *[1] * len(step))
        total = torch.zeros_like(inner_voxels(field)[:, 0])
        for a in range(len(step)):
            for b in range(a, len(step)):
                second = second_difference(field, a, b) * (scale / (step[a] * step[b]))
                total = total + second.square().sum(1) * (1 if a == b else 2)
        return total
