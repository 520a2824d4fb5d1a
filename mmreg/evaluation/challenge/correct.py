"""The same measures by our own conventions: true logarithm and folds, millimetres, linear fields, fixed-image masks."""

from __future__ import annotations

import numpy as np
import torch

from mmreg.evaluation.functional import digital, jacobian, landmarks, overlap, surface

from .case import ChallengeCase
from .config import ScoredMethod
from .published import CROP, Values, inside, warp_labels


def sdlogj(case: ChallengeCase, method: ScoredMethod) -> Values:
    """SD of the logarithm of the determinant, the number of folds and their share in percent."""
    determinants = jacobian.determinant_map(torch.from_numpy(case.displacement), CROP)
    mask = None if case.mask is None else torch.from_numpy(inside(case.mask))
    return {
        method.name: jacobian.sd_log_jacobian(determinants, mask),
        'num_foldings': float(jacobian.fold_count(determinants, mask)),
        'foldings_percent': jacobian.fold_percent(determinants, mask),
    }


def dice(case: ChallengeCase, method: ScoredMethod) -> Values:
    """Dice per label; NaN only for a label that neither the fixed nor the warped labels have."""
    warped = warp_labels(case.moving_labels, case.displacement)
    return {method.name: overlap.dice(warped, case.fixed_labels, method.labels).tolist()}


def hd95(case: ChallengeCase, method: ScoredMethod) -> Values:
    """HD95 per label in mm of the fixed grid; NaN for a label without voxels in either."""
    warped = warp_labels(case.moving_labels, case.displacement)
    spacing = case.geometry('fixed').spacing
    found = surface.label_surface_distances(case.fixed_labels, warped, method.labels, spacing)
    return {method.name: [surface.robust_hausdorff(distances) for distances in found]}


def tre(case: ChallengeCase, method: ScoredMethod) -> Values:
    """Error per landmark in mm: fixed landmarks (or centroids) moved by the linearly sampled field."""
    fixed, moving = (case.points(role, method.dest) for role in ('fixed', 'moving'))
    if fixed is None or moving is None:
        volumes = case.labels('fixed', method.dest), case.labels('moving', method.dest)
        names = [int(value) for value in np.unique(volumes[0]) if value]
        fixed, moving = (landmarks.centroids(volume, names) for volume in volumes)
    warped = landmarks.displace(fixed, case.displacement, order=1)
    return {method.name: landmarks.target_errors(warped, moving, case.geometry('moving').spacing).tolist()}


def ndv(case: ChallengeCase, method: ScoredMethod) -> Values:
    """Non-diffeomorphic volume in percent of the fixed image's foreground, where the field lives."""
    mask = torch.from_numpy(case.foreground('fixed'))
    return {method.name: digital.digital_diffeomorphism(torch.from_numpy(case.displacement), mask).volume_percent}


MEASURES = {'sdlogj': sdlogj, 'dice': dice, 'hd95': hd95, 'tre': tre, 'ndv': ndv}
