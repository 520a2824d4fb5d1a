"""The measures of the Learn2Reg and LUMIR evaluations, defects included; goldens ``l2r_eval`` and ``lumir_eval``.

What they do that we would not: 3 is added to the determinant before the logarithm and before folds are counted; HD95 is
in voxels; landmark displacements are sampled with cubic splines; LUMIR's landmark error is in voxels between centroids
of warped label volumes, and its non-diffeomorphic volume is taken inside the moving image's foreground.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from mmreg.evaluation.functional import digital, jacobian, landmarks, overlap, surface

from .case import ChallengeCase
from .config import ScoredMethod

#: Measured values of one method: name -> one number, or one per label or landmark.
Values = dict[str, float | list[float]]
CROP = 2


def sdlogj(case: ChallengeCase, method: ScoredMethod) -> Values:
    """SD of the logarithm of the determinant plus 3, and how often that sum is not positive."""
    determinants = jacobian.determinant_map(torch.from_numpy(case.displacement), CROP)
    mask = None if case.mask is None else torch.from_numpy(inside(case.mask))
    return {
        method.name: jacobian.sd_log_jacobian(determinants, mask, 'learn2reg'),
        'num_foldings': float(jacobian.fold_count(determinants + jacobian.SHIFTS['learn2reg'], mask)),
    }


def dice(case: ChallengeCase, method: ScoredMethod) -> Values:
    """Dice per label; NaN for a label that the fixed or the moving image lacks."""
    values = overlap.dice(warp_labels(case.moving_labels, case.displacement), case.fixed_labels, method.labels)
    return {method.name: _where_comparable(case, method, values)}


def hd95(case: ChallengeCase, method: ScoredMethod) -> Values:
    """HD95 per label in voxels; infinite for a label that the warp has wiped out."""
    warped = warp_labels(case.moving_labels, case.displacement)
    found = surface.label_surface_distances(case.fixed_labels, warped, method.labels)
    values = [np.inf if distances.empty else surface.robust_hausdorff(distances) for distances in found]
    return {method.name: _where_comparable(case, method, values)}


def tre(case: ChallengeCase, method: ScoredMethod) -> Values:
    """Landmark error: per landmark in mm for points, the mean in voxels for label volumes."""
    fixed, moving = case.points('fixed', method.dest), case.points('moving', method.dest)
    if fixed is None or moving is None:
        return {method.name: _centroid_error(case, method.dest)}
    warped = landmarks.displace(fixed, case.displacement, order=3)
    return {method.name: landmarks.target_errors(warped, moving, case.geometry('moving').spacing).tolist()}


def ndv(case: ChallengeCase, method: ScoredMethod) -> Values:
    """Non-diffeomorphic volume in percent of the foreground of the moving image (2025: of the fixed one)."""
    mask = torch.from_numpy(case.foreground(case.volume))
    return {method.name: digital.digital_diffeomorphism(torch.from_numpy(case.displacement), mask).volume_percent}


def warp_labels(labels: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Nearest-neighbour warp as the challenges do it (scipy, 0 outside)."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in labels.shape), indexing='ij'))
    return ndimage.map_coordinates(labels, grid + displacement, order=0)


def inside(volume: np.ndarray) -> np.ndarray:
    """The volume without the voxels that the determinant leaves out."""
    return volume[(slice(CROP, -CROP),) * volume.ndim]


def _centroid_error(case: ChallengeCase, dest: str) -> float:
    fixed = case.labels('fixed', dest)
    names = [int(value) for value in np.unique(fixed) if value]
    warped = warp_labels(case.labels('moving', dest), case.displacement)
    errors = landmarks.target_errors(landmarks.centroids(warped, names), landmarks.centroids(fixed, names))
    return float(np.nanmean(errors)) if not np.isnan(errors).all() else float('nan')


def _where_comparable(case: ChallengeCase, method: ScoredMethod, values: np.ndarray | list[float]) -> list[float]:
    found = [set(np.unique(m).tolist()) for m in (case.fixed_labels, case.moving_labels)]
    return [float(v) if label in found[0] & found[1] else float('nan') for label, v in zip(method.labels, values)]


MEASURES = {'sdlogj': sdlogj, 'dice': dice, 'hd95': hd95, 'tre': tre, 'ndv': ndv}
