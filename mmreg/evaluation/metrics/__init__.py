"""Metrics for MMEngine's evaluator, thin classes over :mod:`mmreg.evaluation.functional`."""

from .base import CaseMetric
from .case import Case
from .field_metrics import FieldError, InverseConsistencyMetric, JacobianMetric
from .image_metrics import IntensityMetric
from .label_metrics import DiceMetric, LabelMetric, LUMIRDice, SurfaceMetric
from .point_metrics import TREMetric

__all__ = [
    'Case', 'CaseMetric', 'DiceMetric', 'FieldError', 'IntensityMetric', 'InverseConsistencyMetric', 'JacobianMetric',
    'LUMIRDice', 'LabelMetric', 'SurfaceMetric', 'TREMetric',
]  # fmt: skip
