"""Numbers, warnings and the plan of a report as HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from mmreg.evaluation.functional.aggregate import nan_mean
from mmreg.io.tables import Row

#: Metric -> name with unit, and whether larger (+1) or smaller (-1) is better; 0: it describes the deformation.
METRICS: dict[str, tuple[str, int]] = {
    'dice': ('Dice', 1),
    'hd95': ('HD95, mm', -1),
    'tre': ('landmark error (TRE), mm', -1),
    'lncc': ('local correlation (LNCC), 0 to 1', 1),
    'nmi': ('normalised mutual information, 0 to 1', 1),
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


def warnings_html(warnings: Sequence[str]) -> str:
    """A list of sentences, or that there are none."""
    if not warnings:
        return '<p class="fine">No warnings: overlap, folds and inverse look as they should.</p>'
    items = ''.join(f'<li>{escape(text[:1].upper() + text[1:])}</li>' for text in warnings)
    return f'<ul class="warnings">{items}</ul>'


def metrics_html(rows: Sequence[Row]) -> str:
    """Means before and after, and all items below, folded away."""
    if not rows:
        return '<p class="quiet">No labels or landmarks were given.</p>'
    names = list(dict.fromkeys(row.metric for row in rows))
    means, details = [], []
    for name in names:
        found = [row for row in rows if row.metric == name]
        before, after = nan_mean(row.initial for row in found), nan_mean(row.value for row in found)
        of = f', mean of {len(found)}' if found[0].item else ''
        means.append(_line(_title(name) + of, before, after, METRICS.get(name, ('', 0))[1]))
        if found[0].item:
            details.append(_details(name, found))
    return _table('metric', means) + ''.join(details)


def plan_html(plan: Mapping[str, Any]) -> str:
    """Nested values as one folded table per top-level key; long text as a block."""
    simple = {key: value for key, value in plan.items() if not isinstance(value, Mapping | list | tuple)}
    short = {key: value for key, value in simple.items() if len(str(value)) <= _LONG}
    parts = [_values('general', short)] if short else []
    for key, value in plan.items():
        if key in short:
            continue
        if key in simple:
            parts.append(f'<details><summary>{escape(key)}</summary><pre>{escape(str(value))}</pre></details>')
        else:
            parts.append(_values(key, dict(_flat(value))))
    return ''.join(parts) or '<p class="quiet">No plan was given.</p>'


def _details(name: str, rows: Sequence[Row]) -> str:
    lines = [_line(row.item, row.initial, row.value, METRICS.get(name, ('', 0))[1]) for row in rows]
    kind = 'landmark' if name == 'tre' else 'label'
    return f'<details><summary>{escape(_title(name))}, each {kind}</summary>{_table(kind, lines)}</details>'


def _table(first: str, lines: Sequence[str]) -> str:
    head = ''.join(f'<th scope="col">{name}</th>' for name in (first, 'before', 'after', 'change'))
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _line(title: str, before: float, after: float, better: int) -> str:
    change = after - before
    word = ''
    if better and math.isfinite(change) and abs(change) > 1e-9:
        word = 'better' if change * better > 0 else 'worse'
    told = f'<td class="{word}">{_signed(change)} {word}</td>'
    return f'<tr><th scope="row">{escape(title)}</th><td>{_number(before)}</td><td>{_number(after)}</td>{told}</tr>'


def _values(title: str, values: Mapping[str, Any]) -> str:
    lines = ''.join(
        f'<tr><th scope="row">{escape(str(key))}</th><td>{_value(value)}</td></tr>' for key, value in values.items()
    )
    return (
        f'<details><summary>{escape(title)}</summary><div class="wide"><table class="plan"><tbody>{lines}</tbody>'
        '</table></div></details>'
    )


def _value(value: Any) -> str:
    text = escape(_plain(value))
    return f'<pre>{text}</pre>' if len(text) > _LONG or '\n' in text else text


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


def _number(value: float) -> str:
    return f'{value:.4g}' if math.isfinite(value) else '-'


def _signed(value: float) -> str:
    return f'{value:+.3g}' if math.isfinite(value) else '-'
