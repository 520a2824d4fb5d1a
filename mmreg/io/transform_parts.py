"""What a transform consists of: its single maps in the order in which a point meets them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from .displacement import displacement_from_sitk
from .geometry import Geometry
from .transforms import Transform, affine_transform, compose


def parts_of(transform: Transform) -> list[Transform]:
    """Return the single maps of a transform, the one that meets the fixed point first in front."""
    return [Transform(itk) for itk in _flat(transform.itk)]


def displacement_of(part: Transform) -> tuple[np.ndarray, Geometry] | None:
    """Return ((ndim, *S) float32 voxels of its grid, grid) of a displacement-field transform, None of another kind."""
    itk = part.itk.Downcast()
    if not isinstance(itk, sitk.DisplacementFieldTransform):
        return None
    return displacement_from_sitk(itk.GetDisplacementField())


def own_grid(transform: Transform) -> Geometry | None:
    """Return the grid of the displacement that meets the fixed point first; None where something else does."""
    itk = _flat(transform.itk)[0]
    if not isinstance(itk, sitk.DisplacementFieldTransform):
        return None
    return Geometry.from_sitk(itk.GetDisplacementField())


def simplified(parts: Sequence[Transform]) -> Transform:
    """Chain maps, first one first; neighbouring affines become one matrix and displacements stay as they are."""
    merged: list[Transform] = []
    for part in parts:
        affine = part.affine
        before = merged[-1].affine if merged else None
        if affine is not None and before is not None:
            merged[-1] = affine_transform(affine @ before)
        else:
            merged.append(part if affine is None else affine_transform(affine))
    return merged[0] if len(merged) == 1 else compose(*merged)


def _flat(itk: sitk.Transform) -> list[sitk.Transform]:
    itk = itk.Downcast()
    # SimpleITK shows types it does not know (ANTs' MatrixOffsetTransformBase) as a composite of themselves.
    if not isinstance(itk, sitk.CompositeTransform) or itk.IsLinear():
        return [itk]
    # ITK applies the transform that was added last first.
    order = reversed(range(itk.GetNumberOfTransforms()))
    return [leaf for n in order for leaf in _flat(itk.GetNthTransform(n))]
