"""Metrics for MMEngine's evaluator, thin classes over :mod:`mmreg.evaluation.functional`."""

from mmreg.utils.discovery import import_submodules

from .base import CaseMetric
from .case import Case
from .contour_metrics import ContourMetric
from .field_metrics import FieldError, InverseConsistencyMetric, JacobianMetric
from .image_metrics import IntensityMetric
from .label_metrics import DiceMetric, LabelMetric, LUMIRDice, SurfaceMetric
from .point_metrics import TREMetric

__all__ = [
    'Case', 'CaseMetric', 'ContourMetric', 'DiceMetric', 'FieldError', 'IntensityMetric', 'InverseConsistencyMetric',
    'JacobianMetric', 'LUMIRDice', 'LabelMetric', 'SurfaceMetric', 'TREMetric',
]  # fmt: skip

import_submodules(__name__, __path__)  # a new metric is a new file and nothing else
