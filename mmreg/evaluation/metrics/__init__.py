"""Metrics for MMEngine's evaluator, thin classes over :mod:`mmreg.evaluation.functional`.

Every module of this package is imported and registers its parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmreg.registry import METRICS
from mmreg.utils.discovery import find_parts

from .base import CaseMetric
from .case import Case
from .label_metrics import LabelMetric

_PARTS = find_parts(__name__, __path__, METRICS)
globals().update(_PARTS)
__all__ = ['Case', 'CaseMetric', 'LabelMetric', *_PARTS]

if TYPE_CHECKING:  # the parts are found when the package is imported

    def __getattr__(name: str) -> Any: ...
