"""Numbers of one registered pair before and after, and what looks wrong, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmreg.evaluation.functional import jacobian, landmarks, overlap, surface
from mmreg.evaluation.functional.aggregate import nan_mean
from mmreg.io import Geometry
from mmreg.io.tables import Row

from .inverse import InverseResidual

#: Less of the fixed image inside the moving image's field of view than this is worth a warning, in percent.
LOW_OVERLAP = 50.0
#: More of the fixed image mapped out of the moving image than this, in percent.
OUTSIDE = 5.0
#: Voxels and fields of view outside of these are no images of a patient, mm.
SMALLEST_VOXEL, LARGEST_VOXEL, LARGEST_VIEW = 0.01, 30.0, 2500.0


def label_rows(
    case_id: str,
    fixed: np.ndarray,
    warped: np.ndarray,
    before: np.ndarray,
    spacing: Sequence[float],
    labels: Sequence[int] | None = None,
) -> list[Row]:
    """Dice and HD95 (mm) per label; background is left out unless ``labels`` names it.

    Args:
        case_id: Name of the pair.
        fixed: Fixed labels ``(*S)``.
        warped: Moving labels after registration, same grid.
        before: Moving labels before, same grid.
        spacing: Voxel size in mm.
        labels: Which; all that occur in the fixed or the moving labels by default.
    """
    if labels is None:
        labels = sorted({int(v) for a in (fixed, before, warped) for v in np.unique(a)} - {0})
    scores = []
    for other in (warped, before):
        distances = surface.label_surface_distances(other, fixed, labels, spacing)
        scores.append((overlap.dice(other, fixed, labels), [surface.robust_hausdorff(d) for d in distances]))
    (dice, hd95), (dice_before, hd95_before) = scores
    rows = [Row(case_id, 'dice', str(n), float(a), float(b)) for n, a, b in zip(labels, dice, dice_before)]
    return rows + [Row(case_id, 'hd95', str(n), float(a), float(b)) for n, a, b in zip(labels, hd95, hd95_before)]


def field_rows(case_id: str, displacement: np.ndarray) -> list[Row]:
    """SDlogJ and percentage of voxels with a non-positive Jacobian determinant, two voxels per side left out."""
    crop = 2 if min(displacement.shape[1:]) > 6 else 0
    determinants = jacobian.determinant_map(torch.from_numpy(displacement), crop)
    return [
        Row(case_id, 'sdlogj', '', jacobian.sd_log_jacobian(determinants), 0.0),
        Row(case_id, 'folds_percent', '', jacobian.fold_percent(determinants), 0.0),
    ]


def landmark_rows(case_id: str, mapped: np.ndarray, target: np.ndarray, before: np.ndarray) -> list[Row]:
    """Target registration error in mm per landmark; all points in world mm, ``(P, ndim)``."""
    after, initial = landmarks.target_errors(mapped, target), landmarks.target_errors(before, target)
    return [Row(case_id, 'tre', str(n), float(a), float(b)) for n, (a, b) in enumerate(zip(after, initial))]


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Rows as nested plain values: per metric ``after``, ``before`` (means over items) and, for items, each of them."""
    result: dict[str, Any] = {}
    for name in dict.fromkeys(row.metric for row in rows):
        found = [row for row in rows if row.metric == name]
        entry: dict[str, Any] = {
            'after': nan_mean(row.value for row in found),
            'before': nan_mean(row.initial for row in found),
        }
        if found[0].item:
            entry['items'] = {row.item: {'after': row.value, 'before': row.initial} for row in found}
        result[name] = entry
    return result


def warnings_in_words(
    overlap_percent: float,
    shown_percent: tuple[float, float],
    rows: Sequence[Row],
    residual: InverseResidual | None,
    voxel: float,
) -> list[str]:
    """What a careful reader of the numbers would say.

    Args:
        overlap_percent: Of the fixed grid inside the moving field of view before the deformation.
        shown_percent: Of what the fixed image shows (not its dark background), inside the moving field of view
            before and after the deformation.
        rows: From :func:`field_rows`.
        residual: Of the inverse.
        voxel: Smallest voxel size in mm.
    """
    found = []
    if overlap_percent < LOW_OVERLAP:
        found.append(
            f'low overlap: only {overlap_percent:.0f} % of the fixed image lies inside the moving image before the '
            'registration; check the headers, or give an affine.'
        )
    before, after = (100.0 - percent for percent in shown_percent)
    if after > OUTSIDE:
        found.append(
            f'{after:.1f} % of what the fixed image shows is mapped out of the field of view of the moving image '
            f'({before:.1f} % before); the warped image is empty there.'
        )
    folds = next((row.value for row in rows if row.metric == 'folds_percent'), math.nan)
    if folds > 0:
        found.append(f'folds: the Jacobian determinant is not positive in {folds:.3g} % of the voxels.')
    if residual is not None and residual.mean > 0.1 * voxel:
        found.append(
            f'the inverse is inexact: {residual.mean:.3g} mm on average and {residual.max:.3g} mm at most from the '
            'identity.'
        )
    return found


def geometry_warnings(name: str, geometry: Geometry) -> list[str]:
    """What in a header looks wrong, in words: sizes no scanner makes, and a header that holds only defaults.

    Args:
        name: Path of the image or its role.
        geometry: Its grid.
    """
    found = []
    spacing = geometry.spacing
    sizes = [n * step for n, step in zip(geometry.shape, spacing)]
    if min(spacing) < SMALLEST_VOXEL or max(spacing) > LARGEST_VOXEL:
        found.append(
            f'suspicious geometry: {name} has voxels of {" x ".join(f"{s:.4g}" for s in spacing)} mm; the unit in its '
            'header may be wrong.'
        )
    elif max(sizes) > LARGEST_VIEW:
        found.append(
            f'suspicious geometry: the field of view of {name} is {" x ".join(f"{s:.0f}" for s in sizes)} mm; the '
            'spacing in its header may be wrong.'
        )
    if geometry.ndim == 3 and _is_default(geometry):
        found.append(
            f'suspicious geometry: the header of {name} holds only defaults (1 mm, origin 0, axes along the world); '
            'distances in mm and left and right may be wrong.'
        )
    return found


def _is_default(geometry: Geometry) -> bool:
    """Identity in RAS (NIfTI) or in LPS (ITK)."""
    return any(np.allclose(geometry.affine, np.diag(signs), atol=1e-6) for signs in ((1, 1, 1, 1), (-1, -1, 1, 1)))
