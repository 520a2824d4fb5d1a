"""The main numbers of a result as texts, with the digits they deserve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Metric -> its title and the digits behind the point, in the order of importance.
_NUMBERS = {'dice': ('Dice', 3), 'hd95': ('HD95, mm', 2), 'tre': ('TRE, mm', 2)}


def changes(metrics: Mapping[str, Any], arrow: str = '->') -> dict[str, str]:
    """``0.612 -> 0.801`` for each main metric in ``metrics`` (``before`` and ``after`` each), by its name."""
    return {
        name: f'{metrics[name]["before"]:.{digits}f} {arrow} {metrics[name]["after"]:.{digits}f}'
        for name, (_, digits) in _NUMBERS.items()
        if name in metrics
    }


def facts(metrics: Mapping[str, Any]) -> dict[str, str]:
    """The same under their titles, and the folds, for a page."""
    found = {_NUMBERS[name][0]: text for name, text in changes(metrics, '\u2192').items()}
    return found | _folds(metrics)


def headline(case_id: str, metrics: Mapping[str, Any]) -> str:
    """The pair and its main numbers in one line."""
    parts = {**changes(metrics), **_folds(metrics)}
    return '   '.join([case_id, *(f'{name} {text}' for name, text in parts.items())])


def _folds(metrics: Mapping[str, Any]) -> dict[str, str]:
    return {'folds': f'{metrics["folds_percent"]["after"]:.3g} %'} if 'folds_percent' in metrics else {}
