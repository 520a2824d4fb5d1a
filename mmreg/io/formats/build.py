"""From an array and a voxel-to-world matrix to the SimpleITK image that all readers hand on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io.geometry import SPACE, check_affine, lps_flip

#: Keys under which an image carries what its file said beside voxels and grid.
TIME_STEP, TIME_UNIT, COLOUR = 'mmreg_time_step', 'mmreg_time_unit', 'mmreg_colour'
INTENT, INTENT_NAME, INTENT_PARAMETERS = 'mmreg_intent', 'mmreg_intent_name', 'mmreg_intent_parameters'

__all__ = ['COLOUR', 'INTENT', 'INTENT_NAME', 'INTENT_PARAMETERS', 'SPACE', 'TIME_STEP', 'TIME_UNIT', 'itk_image']


def itk_image(
    array: np.ndarray, affine: np.ndarray, vector: bool, path: Path, facts: Mapping[str, str], step: float = 1.0
) -> sitk.Image:
    """Make an image.

    Args:
        array: (i, j[, k][, t][, c]).
        affine: (ndim+1, ndim+1) voxel -> RAS mm, ``ndim`` 2 or 3; further axes of ``array`` get no direction.
        vector: whether the last axis holds the components of one voxel.
        path: named in errors.
        facts: what else the file says, by the keys of this module.
        step: spacing of a fourth axis.

    Raises:
        DataError: a matrix that is no grid.
    """
    check_matrix(affine, path)
    axes = array.ndim - vector
    order = (*reversed(range(axes)), *((axes,) if vector else ()))
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(order)), isVector=vector)
    ndim = len(affine) - 1
    spacing, origin, cosines = _parts(affine)
    direction = np.eye(axes)
    direction[:ndim, :ndim] = cosines
    rest = [step] + [1.0] * axes
    image.SetSpacing([*spacing.tolist(), *rest][:axes])
    image.SetOrigin([*origin.tolist(), *[0.0] * axes][:axes])
    image.SetDirection(direction.ravel().tolist())
    for key, value in facts.items():
        image.SetMetaData(key, value)
    return image


def as_read(affine: np.ndarray) -> np.ndarray:
    """The matrix of an image made by :func:`itk_image`, to the last bit."""
    ndim = len(affine) - 1
    spacing, origin, cosines = _parts(affine)
    found = np.eye(ndim + 1)
    found[:ndim, :ndim], found[:ndim, ndim] = cosines * spacing, origin
    return lps_flip(ndim) @ found + 0.0


def _parts(affine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spacing, origin and direction (LPS) of a voxel -> RAS matrix."""
    ndim = len(affine) - 1
    lps = lps_flip(ndim) @ affine
    spacing = np.linalg.norm(lps[:ndim, :ndim], axis=0)
    return spacing, lps[:ndim, ndim] + 0.0, lps[:ndim, :ndim] / spacing + 0.0


def check_matrix(affine: np.ndarray, path: Path) -> None:
    """Refuse a voxel-to-world matrix that is no grid, in the name of a file."""
    try:
        check_affine(affine)
    except DataError as error:
        raise DataError(f'{path}: {error}') from error


def fact(image: sitk.Image, key: str) -> str | None:
    """What the file of an image said under a key of this module; None where it said nothing."""
    return image.GetMetaData(key) if image.HasMetaDataKey(key) else None
