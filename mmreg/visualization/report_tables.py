"""What the tables of a report say: numbers before and after with their units, and the plan; plain values, no markup."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmreg.evaluation.functional.aggregate import nan_mean
from mmreg.io.label_tables import label_title
from mmreg.io.tables import Row

#: Metric -> name with unit, and whether larger (+1) or smaller (-1) is better; 0: it describes the deformation.
METRICS: dict[str, tuple[str, int]] = {
    'dice': ('Dice', 1),
    'hd95': ('HD95, mm', -1),
    'tre': ('landmark error (TRE), mm', -1),
    'lncc': ('local correlation (LNCC), 0 to 1', 1),
    'nmi': ('normalised mutual information, 0 to 1', 1),
    'minimised': ('similarity loss that was minimised, lower is better', -1),
    'foreground_dice': ('overlap of what both images show (Dice)', 1),
    'sdlogj': ('SDlogJ, whole grid', 0),
    'folds_percent': ('folds, % of all voxels', 0),
    'sdlogj_mask': ('SDlogJ inside the mask', 0),
    'folds_percent_mask': ('folds inside the mask, % of its voxels', 0),
    'jacobian_min': ('smallest Jacobian determinant', 0),
    'jacobian_p1': ('Jacobian determinant, 1st percentile', 0),
    'jacobian_p99': ('Jacobian determinant, 99th percentile', 0),
    'jacobian_max': ('largest Jacobian determinant', 0),
    'displacement_mean_mm': ('mean displacement, mm', 0),
    'displacement_max_mm': ('largest displacement, mm', 0),
}
#: Text longer than this is shown as a block.
_LONG = 200
#: Numbers smaller than this are told as such.
_SMALLEST = 0.001


@dataclass(frozen=True)
class Line:
    """One line of a table of metrics: all texts; ``word`` is 'better', 'worse' or empty."""

    title: str
    before: str
    after: str
    change: str
    word: str


@dataclass(frozen=True)
class Details:
    """The items behind a mean: ``kind`` is 'label' or 'landmark'."""

    title: str
    kind: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class PlanPart:
    """A folded part of the plan: a block of text, or (key, text, whether it is a block) per value."""

    title: str
    block: str = ''
    values: tuple[tuple[str, str, bool], ...] = ()


def metric_lines(rows: Sequence[Row]) -> list[Line]:
    """Means before and after, a line per metric."""
    lines = []
    for name, found in _by_metric(rows).items():
        of = f', mean of {len(found)}' if found[0].item else ''
        means = nan_mean(row.initial for row in found), nan_mean(row.value for row in found)
        told = significant if name == 'minimised' else number
        lines.append(_line(_title(name) + of, *means, _better(name), told))
    return lines


def metric_details(rows: Sequence[Row], names: Mapping[int, str]) -> list[Details]:
    """The items of every metric that has some; labels with their names."""
    found = []
    for name, own in _by_metric(rows).items():
        if not own[0].item:
            continue
        kind = 'landmark' if name == 'tre' else 'label'
        titles = [row.item if kind == 'landmark' else label_title(row.item, names) for row in own]
        lines = (_line(title, row.initial, row.value, _better(name)) for title, row in zip(titles, own))
        found.append(Details(f'{_title(name)}, each {kind}', kind, tuple(lines)))
    return found


def plan_parts(plan: Mapping[str, Any]) -> list[PlanPart]:
    """Nested values as one part per top-level key; long text as a block."""
    simple = {key: value for key, value in plan.items() if not isinstance(value, Mapping | list | tuple)}
    short = {key: value for key, value in simple.items() if len(str(value)) <= _LONG}
    parts = [PlanPart('general', values=_values(short))] if short else []
    for key, value in plan.items():
        if key in short:
            continue
        if key in simple:
            parts.append(PlanPart(str(key), block=str(value)))
        else:
            parts.append(PlanPart(str(key), values=_values(dict(_flat(value)))))
    return parts


def number(value: float) -> str:
    """A number with the digits that a reader needs; ``-`` where there is none."""
    if not math.isfinite(value):
        return '-'
    if value != 0 and abs(value) < _SMALLEST:
        return f'< {_SMALLEST:g}' if value > 0 else f'> -{_SMALLEST:g}'
    size = abs(value)
    return f'{value:.0f}' if size >= 1000 else f'{value:.1f}' if size >= 100 else f'{value:.3f}'


def significant(value: float) -> str:
    """The same where numbers of any size may be compared."""
    return f'{value:.4g}' if math.isfinite(value) else '-'


def _by_metric(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.metric, []).append(row)
    return found


def _line(title: str, before: float, after: float, better: int, told: Callable[[float], str] = number) -> Line:
    change = after - before
    word = ''
    if better and math.isfinite(change) and abs(change) > 1e-9:
        word = 'better' if change * better > 0 else 'worse'
    return Line(title, told(before), told(after), _signed(change, told), word)


def _signed(value: float, told: Callable[[float], str]) -> str:
    text = told(value)
    return f'+{text}' if value > 0 and text[0].isdigit() else text


def _values(values: Mapping[str, Any]) -> tuple[tuple[str, str, bool], ...]:
    texts = ((str(key), _plain(value)) for key, value in values.items())
    return tuple((key, text, len(text) > _LONG or '\n' in text) for key, text in texts)


def _plain(value: Any) -> str:
    return 'none' if value is None else f'{value:.6g}' if isinstance(value, float) else str(value)


def _flat(value: Any, path: str = '') -> list[tuple[str, Any]]:
    """(dotted path, plain value) of everything in nested mappings and lists of mappings."""
    if isinstance(value, Mapping):
        return [pair for key, item in value.items() for pair in _flat(item, f'{path}.{key}' if path else str(key))]
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        return [pair for n, item in enumerate(value) for pair in _flat(item, f'{path}[{n}]')]
    if isinstance(value, list | tuple):
        return [(path or 'values', ', '.join(_plain(item) for item in value))]
    return [(path, value)]


def _title(name: str) -> str:
    return METRICS.get(name, (name, 0))[0]


def _better(name: str) -> int:
    return METRICS.get(name, ('', 0))[1]
