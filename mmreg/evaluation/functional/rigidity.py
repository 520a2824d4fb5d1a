"""How rigidly labelled bodies move: the best rigid motion of each and what is left of the field besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmreg.errors import DataError
from mmreg.spatial.rigid import fit_labels, present_classes
from mmreg.spatial.rigidity import displacement_gradient, orthonormality, properness

#: With fewer voxels the points of a body determine no rotation.
LEAST_VOXELS = 4


@dataclass(frozen=True)
class BodyRigidity:
    """One body under a displacement.

    Attributes:
        label: Its label.
        voxels: How many voxels it has.
        rotation_deg: Angle of its best rigid motion, degrees; 0 where too few voxels determine none.
        translation_mm: Distance that motion moves the body's centre of mass, mm.
        residual_mm: Root mean square distance of its voxels from where the rigid motion brings them, mm.
        orthonormality: Mean of ``||F^T F - I||^2`` inside, ``F`` the Jacobian matrix of the map in mm.
        properness: Mean of ``(det F - 1)^2`` inside.
    """

    label: int
    voxels: int
    rotation_deg: float
    translation_mm: float
    residual_mm: float
    orthonormality: float
    properness: float

    @property
    def remark(self) -> str:
        """What cannot be told of a body, empty where everything can."""
        if self.voxels >= LEAST_VOXELS:
            return ''
        return f'label {self.label} has {self.voxels} voxel{"s" * (self.voxels > 1)}: its rotation is undetermined.'


def body_rigidity(
    displacement: Tensor, labels: Tensor, spacing: Sequence[float] | None = None, classes: Sequence[int] | None = None
) -> list[BodyRigidity]:
    """Rigidity of every body under a displacement.

    Args:
        displacement: ``(ndim, *S)`` voxels.
        labels: ``(*S)`` or ``(1, *S)`` integers on the same grid, 0 the background.
        spacing: Voxel size in mm; 1 where None.
        classes: Labels to look at; those without a voxel are left out. All present ones but 0 when None.

    Returns:
        In the order of the labels; empty where there is none.

    Raises:
        DataError: the shapes differ, or an axis has fewer than three voxels.

    Source: Jian et al., MICCAI 2022; Staring et al., Med. Phys. 2007 (spine specification 6.1, 6.2).
    """
    ndim = displacement.shape[0]
    labels = labels[0] if labels.dim() == ndim + 1 else labels
    if tuple(labels.shape) != tuple(displacement.shape[1:]):
        raise DataError(
            f'rigidity: the labels have the shape {tuple(labels.shape)} and the displacement '
            f'{tuple(displacement.shape)}, expected one grid.'
        )
    if min(labels.shape) < 3:
        raise DataError(f'rigidity: the grid has the shape {tuple(labels.shape)}, expected 3 voxels per axis or more.')
    step = [1.0] * ndim if spacing is None else [float(s) for s in spacing]
    present = present_classes(labels)
    chosen = present if classes is None else [c for c in classes if c in set(present)]
    if not chosen:
        return []
    displacement = displacement.float() if displacement.dtype != torch.float64 else displacement
    fit = fit_labels(displacement, labels, chosen, step)
    gradient = displacement_gradient(displacement[None], step, step)
    turned, kept = orthonormality(gradient)[0], properness(gradient)[0]
    unit = displacement.new_tensor(step).view(-1, *[1] * ndim)
    found = []
    for k, label in enumerate(chosen):
        inside = labels == label
        shift = (displacement * unit)[:, inside].double().mean(1)
        found.append(
            BodyRigidity(
                label=label,
                voxels=int(inside.sum()),
                rotation_deg=rotation_angle(fit.motion.rotation[k]),
                translation_mm=float(shift.norm()),
                residual_mm=float(fit.residual[k]),
                orthonormality=float(turned[inside].mean()),
                properness=float(kept[inside].mean()),
            )
        )
    return found


def rotation_angle(rotation: Tensor) -> float:
    """Angle of a rotation matrix ``(ndim, ndim)`` in degrees, exact for small angles too."""
    ndim = len(rotation)
    skew = rotation - rotation.T
    sine = skew.norm() / (2 * 2**0.5)
    cosine = (rotation.diagonal().sum() - (ndim - 2)) / 2
    return float(torch.rad2deg(torch.atan2(sine, cosine)))


def volume_change(warped: Tensor, moving: Tensor, labels: Sequence[int]) -> list[float]:
    """Relative change of each label's volume in percent, ``100 |V - V0| / V0``; NaN for labels the moving map lacks.

    Args:
        warped: Hard warped labels, any shape ``(*S)``.
        moving: Hard moving labels on a grid of the same voxel size.
        labels: Which.
    """
    result = []
    for label in labels:
        before, after = int((moving == label).sum()), int((warped == label).sum())
        result.append(100.0 * abs(after - before) / before if before else float('nan'))
    return result
