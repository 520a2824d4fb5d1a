"""Metrics and scorers: pure functions, classes for MMEngine's evaluator, and the challenges' own evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import metrics

_PARTS = {name: getattr(metrics, name) for name in metrics.__all__}
globals().update(_PARTS)
__all__ = ['metrics', *_PARTS]

if TYPE_CHECKING:  # the metrics are found when the package is imported

    def __getattr__(name: str) -> Any: ...
