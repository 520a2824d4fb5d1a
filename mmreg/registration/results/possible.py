"""Displacements that cannot be: no registration of two scans looks like this, whatever the images."""

from __future__ import annotations

import numpy as np
import torch

from mmreg.errors import DataError
from mmreg.evaluation.functional import jacobian
from mmreg.io import Geometry

from .result import RegistrationResult

#: More folded voxels than this, in percent, are noise and not a deformation.
MOST_FOLDS = 33.0


def longer_than_image(displacement: np.ndarray, geometry: Geometry) -> str:
    """Words where the longest displacement ``(ndim, *S)``, voxels, exceeds the longest side of its grid; else empty."""
    spacing = np.asarray(geometry.spacing, dtype=np.float64)
    steps = spacing.reshape(-1, *[1] * (geometry.ndim - 1))
    # Slice by slice: no field in float64 in memory.
    squares = [np.square(displacement[:, n] * steps).sum(axis=0).max() for n in range(geometry.shape[0])]
    longest, side = float(np.sqrt(np.max(squares))), float((spacing * geometry.shape).max())
    if longest <= side:
        return ''
    return f'moves by up to {longest:.4g} mm, expected less than the longest side of the image, {side:.4g} mm'


def refuse_impossible(result: RegistrationResult) -> None:
    """Refuse a displacement longer than the image's longest side, or folded in more than :data:`MOST_FOLDS` percent.

    The commands ask before they write anything; a result in Python is the caller's to judge, by its warnings.

    Raises:
        DataError: saying which, and what usually is the reason.
    """
    found = longer_than_image(result.displacement, result.geometry)
    if not found:
        folds = jacobian.fold_percent(jacobian.determinant_map(torch.from_numpy(result.displacement), 0))
        if folds > MOST_FOLDS:
            found = f'is folded in {folds:.0f} % of the voxels, expected at most {MOST_FOLDS:.0f} %'
    if found:
        reason = _PRESET if (result.provenance or {}).get('preset') else _NETWORK
        raise DataError(f'{result.moving.name}: its displacement {found}; {reason}')


_NETWORK = (
    'check that the weights belong to this config, and that the intensities are those it was trained on '
    '(inference=dict(intensity=[...]))'
)
_PRESET = 'check that both images show the same, and try another --preset, a higher --smoothness or another --affine'
