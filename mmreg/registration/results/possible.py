"""Displacements that cannot be: no registration of two scans looks like this, whatever the images."""

from __future__ import annotations

import numpy as np
import torch

from mmreg.errors import DataError
from mmreg.evaluation.functional import jacobian

from .result import RegistrationResult

#: More folded voxels than this, in percent, are noise and not a deformation.
MOST_FOLDS = 33.0


def longer_than_image(displacement: np.ndarray) -> str:
    """Words where the longest displacement ``(ndim, *S)``, voxels, exceeds the diagonal of its grid; else empty."""
    longest = float(np.sqrt(np.square(displacement, dtype=np.float64).sum(axis=0)).max())
    diagonal = float(np.linalg.norm(displacement.shape[1:]))
    if longest <= diagonal:
        return ''
    return f'moves by up to {longest:.4g} voxels, expected less than the diagonal of the image, {diagonal:.4g}'


def refuse_impossible(result: RegistrationResult) -> None:
    """Refuse a displacement that is longer than the image's diagonal, or folds more than :data:`MOST_FOLDS` percent.

    The commands ask before they write anything; a result in Python is the caller's to judge, by its warnings.

    Raises:
        DataError: saying which, and what usually is the reason.
    """
    found = longer_than_image(result.displacement)
    if not found:
        folds = jacobian.fold_percent(jacobian.determinant_map(torch.from_numpy(result.displacement), 0))
        if folds > MOST_FOLDS:
            found = f'is folded in {folds:.0f} % of the voxels, expected at most {MOST_FOLDS:.0f} %'
    if found:
        raise DataError(f'{result.moving.name}: its displacement {found}; {_REASONS}')


_REASONS = (
    'check that the weights belong to this config, and that the intensities are those it was trained on '
    '(inference=dict(intensity=[...]))'
)
