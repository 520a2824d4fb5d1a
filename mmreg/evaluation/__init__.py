"""Metrics and scorers: pure functions, classes for MMEngine's evaluator, and the challenges' own evaluations."""

from .metrics import (
    CaseMetric,
    ContourMetric,
    DiceMetric,
    FieldError,
    IntensityMetric,
    InverseConsistencyMetric,
    JacobianMetric,
    LabelMetric,
    LUMIRDice,
    SurfaceMetric,
    TREMetric,
)

__all__ = [
    'CaseMetric', 'ContourMetric', 'DiceMetric', 'FieldError', 'IntensityMetric', 'InverseConsistencyMetric',
    'JacobianMetric', 'LUMIRDice', 'LabelMetric', 'SurfaceMetric', 'TREMetric',
]  # fmt: skip
