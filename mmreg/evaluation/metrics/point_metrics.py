"""Metrics of landmarks."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.evaluation.functional import landmarks
from mmreg.registry import METRICS

from .base import CaseMetric, Scores
from .case import Case


@METRICS.register_module()
class TREMetric(CaseMetric):
    """Target registration error of landmarks: keys ``tre`` and ``tre_worst30`` (mean of the worst 30 % of a case).

    Landmarks of the fixed image plus the displacement there, against their partners in the moving image.

    Args:
        unit: ``'mm'`` (with the sample's spacing) or ``'voxel'``; the latter's keys end in ``_voxel``.
        optional: Leave out pairs without landmarks; the same as ``incomplete='skip'``.
        kwargs: See :class:`CaseMetric`.
    """

    name = 'tre'

    def __init__(self, unit: str = 'mm', optional: bool = False, **kwargs: Any):
        if optional:
            kwargs['incomplete'] = 'skip'
        super().__init__(**kwargs)
        if unit not in ('mm', 'voxel'):
            raise ConfigError(f"TREMetric: unit={unit!r} is unknown, expected 'mm' or 'voxel'.")
        self.unit = unit

    def needs(self) -> tuple[str, ...]:
        """Entries without which a pair is not measured."""
        return ('fixed_landmarks', 'moving_landmarks')

    def describe(self) -> str:
        """Unit, and how the field is read."""
        return f'landmarks in {self.unit}, field sampled linearly'

    def measure(self, case: Case) -> Scores:
        """Distances of the moved landmarks from their partners."""
        if case.has_predicted('warped_landmarks'):
            warped = case.predicted('warped_landmarks').cpu().numpy()
        else:
            fixed = case.given('fixed_landmarks').cpu().numpy()
            warped = landmarks.displace(fixed, case.displacement.float().cpu().numpy())
        return self._scores(case, warped)

    def measure_initial(self, case: Case) -> Scores:
        """Distances before registration."""
        return self._scores(case, case.given('fixed_landmarks').cpu().numpy())

    def _scores(self, case: Case, warped: np.ndarray) -> Scores:
        moving = case.given('moving_landmarks').cpu().numpy()
        try:
            errors = landmarks.target_errors(warped, moving, case.spacing if self.unit == 'mm' else None)
        except DataError as error:
            raise DataError(f'case {case.case_id}: {error}') from error
        suffix = '' if self.unit == 'mm' else f'_{self.unit}'
        return {
            f'tre{suffix}': {str(number): float(value) for number, value in enumerate(errors)},
            f'tre_worst30{suffix}': {'': landmarks.worst_mean(errors)},
        }
