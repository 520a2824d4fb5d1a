"""Metrics of the displacement field itself: regularity, inverse consistency, distance to a known field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.evaluation.functional import digital, field_error, jacobian
from mmreg.evaluation.functional.inverse_consistency import inverse_consistency_error
from mmreg.registry import METRICS
from mmreg.spatial import invert

from .base import CaseMetric, Scores
from .case import Case


@METRICS.register_module()
class JacobianMetric(CaseMetric):
    """Regularity: keys ``sdlogj``, ``folds_percent``, ``ndv_percent``.

    Args:
        scores: Which of the three.
        crop: Voxels left out per side for SD log J and folds; 0 judges the whole grid (2 as in the published scorers).
        convention: ``'exact'`` or ``'learn2reg'`` (3 is added before the logarithm), see
            :func:`mmreg.evaluation.functional.jacobian.sd_log_jacobian`; the latter's key is ``sdlogj_learn2reg``.
        mask: Name of a mask in the sample (``fixed_mask``) that restricts all three; default: whole volume.
        kwargs: See :class:`CaseMetric`.
    """

    name = 'jacobian'
    SCORES = ('sdlogj', 'folds_percent', 'ndv_percent')

    def __init__(
        self,
        scores: Sequence[str] = SCORES,
        crop: int = 0,
        convention: str = 'exact',
        mask: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if set(scores) - set(self.SCORES) or convention not in jacobian.SHIFTS:
            raise ConfigError(
                f'JacobianMetric: scores={list(scores)}, convention={convention!r}, '
                f'expected scores of {self.SCORES} and a convention of {tuple(jacobian.SHIFTS)}.'
            )
        self.scores, self.crop, self.convention, self.mask = tuple(scores), crop, convention, mask

    def needs(self) -> tuple[str, ...]:
        """Entries without which a pair is not measured."""
        return (self.mask,) if self.mask else ()

    def describe(self) -> str:
        """The shift, the clipping and the mask."""
        shift = jacobian.SHIFTS[self.convention]
        low, high = jacobian.CLIP
        cut = f'{self.crop} voxels cut per side' if self.crop else 'nothing cut'
        where = f'inside {self.mask}' if self.mask else 'whole volume'
        return f'log(clip(J + {shift:g}, {low:g}, {high:g})), {cut}, {where}'

    def measure(self, case: Case) -> Scores:
        """Smoothness and folds of the displacement."""
        displacement = case.displacement.float()
        mask = case.given(self.mask)[0].to(displacement.device) if self.mask else None
        scores: Scores = {}
        if {'sdlogj', 'folds_percent'} & set(self.scores):
            cut = (slice(self.crop, -self.crop or None),) * case.ndim
            determinants = jacobian.determinant_map(displacement, self.crop)
            inside = None if mask is None else mask[cut]
            key = 'sdlogj' if self.convention == 'exact' else f'sdlogj_{self.convention}'
            scores[key] = {'': jacobian.sd_log_jacobian(determinants, inside, self.convention)}
            scores['folds_percent'] = {'': jacobian.fold_percent(determinants, inside)}
        if 'ndv_percent' in self.scores:
            scores['ndv_percent'] = {'': digital.digital_diffeomorphism(displacement, mask).volume_percent}
        return {name: found for name, found in scores.items() if name.split('_learn2reg')[0] in self.scores}


@METRICS.register_module()
class InverseConsistencyMetric(CaseMetric):
    """Mean distance in mm that a point misses itself by after going forward and back: key ``inverse_error``.

    Uses the inverse field that the model predicted (``pred.inverse_displacement``); for a model without one, the
    numerical inverse of its field, whose error then tells how well the field can be inverted at all.

    Args:
        invert_missing: False refuses models that predict no inverse.
        kwargs: See :class:`CaseMetric`.
    """

    name = 'inverse_consistency'

    def __init__(self, invert_missing: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.invert_missing = invert_missing

    def measure(self, case: Case) -> Scores:
        """Distance missed after going forward and back, mm."""
        forward = case.displacement.float()
        if case.has_predicted('inverse_displacement') or not self.invert_missing:
            backward = case.predicted('inverse_displacement').float()
        else:
            backward = invert(forward[None])[0][0]
        errors = inverse_consistency_error(forward, backward, case.spacing)
        return {'inverse_error': {'': float(errors.mean())}}


@METRICS.register_module()
class FieldError(CaseMetric):
    """End-point error in mm to the known true field of simulated data: keys ``epe``, ``epe_p95``.

    The sample carries ``true_displacement`` ``(ndim, *spatial)`` in voxels. The value before registration is the
    length of the true field.

    Args:
        mask: Name of a mask in the sample that says where to look; default: everywhere.
        kwargs: See :class:`CaseMetric`.
    """

    name = 'field_error'

    def __init__(self, mask: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.mask = mask

    def needs(self) -> tuple[str, ...]:
        """Entries without which a pair is not measured."""
        return ('true_displacement', self.mask) if self.mask else ('true_displacement',)

    def measure(self, case: Case) -> Scores:
        """Distance of the displacement from the true one, mm."""
        return self._scores(case, case.displacement.float())

    def measure_initial(self, case: Case) -> Scores:
        """Length of the true displacement, mm."""
        return self._scores(case, torch.zeros_like(case.displacement, dtype=torch.float32))

    def _scores(self, case: Case, displacement: Tensor) -> Scores:
        errors = field_error.end_point_errors(
            displacement, case.given('true_displacement').to(displacement), case.spacing, batched=False
        )
        if self.mask:
            errors = errors[case.given(self.mask)[0].to(errors.device) > 0]
        mean = float(errors.mean()) if errors.numel() else float('nan')
        return {'epe': {'': mean}, 'epe_p95': {'': field_error.percentile(errors, 95)}}
