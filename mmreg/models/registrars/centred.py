"""A registrar that first lays the centres of mass of both images upon each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from mmreg.registry import REGISTRARS
from mmreg.spatial import compose, warp
from mmreg.spatial.constants import constant
from mmreg.spatial.mass import centre_of_mass
from mmreg.structures import Fields

from .registrar import AFFINE, Registrar


@REGISTRARS.register_module()
class CentredRegistrar(Registrar):
    """The pipeline on the moving image translated by the difference of the centres of mass; fields include it.

    ``extras['start']`` ``(N, ndim)``: the translation, voxels. Images are interpolated once by the whole displacement;
    published C2FViT interpolates the translated image again.

    Source: Mok and Chung, CVPR 2022 (C2FViT, pairwise); golden baselines/c2fvit ``com_*``.
    """

    def fields(self, inputs: Mapping[str, Any]) -> Fields:
        """Fields to the moving image itself, of a network that saw it translated."""
        fixed, moving = inputs['fixed'], inputs['moving']
        start = centre_of_mass(moving) - centre_of_mass(fixed)
        moved = warp(moving, as_field(start, moving.shape[2:]))
        return translated(super().fields({**inputs, 'moving': moved}), start)


def as_field(translation: Tensor, size: Sequence[int]) -> Tensor:
    """``(N, ndim)`` voxels as a displacement ``(N, ndim, *size)``."""
    return translation.view(*translation.shape, *[1] * len(size)).expand(*translation.shape, *size)


def translated(fields: Fields, start: Tensor) -> Fields:
    """``fields`` to a moving image translated by ``start`` ``(N, ndim)``, voxels, as fields to the image itself."""
    full = fields.displacement.shape[2:]

    def on(field: Tensor) -> Tensor:
        ratio = constant([m / n for m, n in zip(field.shape[2:], full)], start)
        return as_field(start * ratio, field.shape[2:]).to(field)

    extras = dict(fields.extras)
    extras['start'] = start
    if AFFINE in extras:
        matrix = extras[AFFINE].clone()
        matrix[:, :-1, -1] += start.to(matrix)
        extras[AFFINE] = matrix
    return replace(
        fields,
        displacements=[u + on(u) for u in fields.displacements],
        inverse_displacements=[compose(u, -on(u), padding='border') for u in fields.inverse_displacements],
        extras=extras,
    )
