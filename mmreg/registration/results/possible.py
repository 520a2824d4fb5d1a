"""Displacements that cannot be: no registration of two scans looks like this, whatever the images."""

from __future__ import annotations

import numpy as np
import torch

from mmreg.errors import DataError
from mmreg.evaluation.functional import jacobian

from .result import RegistrationResult

#: More folded voxels than this, in percent, are noise and not a deformation.
MOST_FOLDS = 25.0


def refuse_impossible(result: RegistrationResult) -> None:
    """Refuse a displacement that is longer than the image's diagonal, or folds more than :data:`MOST_FOLDS` percent.

    The commands ask before they write anything; a result in Python is the caller's to judge, by its warnings.

    Raises:
        DataError: saying which, and what usually is the reason.
    """
    displacement, name = result.displacement, result.moving.name
    longest = float(np.sqrt(np.square(displacement, dtype=np.float64).sum(axis=0)).max())
    diagonal = float(np.linalg.norm(displacement.shape[1:]))
    if longest > diagonal:
        raise DataError(
            f'{name}: the model moves it by up to {longest:.4g} voxels, expected less than the diagonal of the image, '
            f'{diagonal:.4g}; {_REASONS}'
        )
    folds = jacobian.fold_percent(jacobian.determinant_map(torch.from_numpy(displacement), 0))
    if folds > MOST_FOLDS:
        raise DataError(
            f'{name}: the displacement is folded in {folds:.0f} % of the voxels, expected at most {MOST_FOLDS:.0f} %; '
            f'{_REASONS}'
        )


_REASONS = 'check that the weights belong to this config, and the intensities (inference=dict(intensity=[...]))'
