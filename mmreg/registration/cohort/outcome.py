"""What became of one case of a list, and its line in the tables."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmreg.utils.console import sentence

from .cases import CohortCase

_PAIRED = ('dice', 'hd95', 'tre')
_SINGLE = ('sdlogj', 'folds_percent')
#: Newer ones come last, where a reader that counts columns does not see them.
_SIMILAR = ('lncc', 'nmi', 'minimised')
_FIELD = ('jacobian_min', 'jacobian_max', 'displacement_mean_mm', 'displacement_max_mm')
COLUMNS = (
    'case_id', 'fixed', 'moving', 'preset', 'seconds',
    *(f'{name}{when}' for name in _PAIRED for when in ('_before', '')), *_SINGLE, 'overlap_percent', 'warnings',
    *(f'{name}{when}' for name in _SIMILAR for when in ('_before', '')), *_FIELD, 'inverse_error_mm',
)  # fmt: skip
#: Columns that hold words.
TEXTS = ('case_id', 'fixed', 'moving', 'preset', 'warnings')


@dataclass
class Outcome:
    """What became of one case: ``'done'``, ``'skipped'`` (finished before) or ``'failed'``.

    Attributes:
        case: Which one.
        status: As above.
        line: Of ``results.csv``.
        reason: Why it failed.
        trace: The stack of the error.
        files: Names of the files in its folder.
        request: Digest of the files and settings that the result was made from.
    """

    case: CohortCase
    status: str
    line: dict[str, Any] = field(default_factory=dict)
    reason: str = ''
    trace: str = ''
    files: frozenset[str] = frozenset()
    request: str = ''


def failed(case: CohortCase, error: Exception) -> Outcome:
    """A case that ended with an error: one sentence, and the stack trace for whoever asks."""
    reason = sentence(error) or f'{type(error).__name__}: {" ".join(str(error).split())}'
    trace = ''.join(traceback.format_exception(error))
    return Outcome(case, 'failed', reason=reason, trace=trace)


def result_line(case: CohortCase, plan: dict[str, Any]) -> dict[str, Any]:
    """Line of ``results.csv`` from the plan of a result."""
    metrics = plan.get('metrics') or {}
    preset = (plan.get('preset') or {}).get('name')
    line: dict[str, Any] = {**names_of(case), 'preset': preset, 'seconds': (plan.get('timings') or {}).get('total')}
    for name in (*_PAIRED, *_SIMILAR):
        if name in metrics:
            line |= {f'{name}_before': metrics[name]['before'], name: metrics[name]['after']}
    line |= {name: metrics[name]['after'] for name in (*_SINGLE, *_FIELD) if name in metrics}
    line['inverse_error_mm'] = (metrics.get('inverse_residual_mm') or {}).get('mean')
    return {**line, 'overlap_percent': metrics.get('overlap_percent'), 'warnings': ' '.join(plan.get('warnings') or ())}


def line_metrics(line: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Means of the paired metrics in a line of ``results.csv``, as in the ``metrics`` of a result."""
    found = {name: {'before': line.get(f'{name}_before'), 'after': line.get(name)} for name in _PAIRED}
    return {name: numbers for name, numbers in found.items() if None not in numbers.values()}  # type: ignore[misc]


def names_of_files(names: Iterable[str]) -> frozenset[str]:
    """Names of the files of a case; those of all cases are mostly the same, and in memory once."""
    return frozenset(map(sys.intern, names))


def names_of(case: CohortCase) -> dict[str, Any]:
    """The columns that say which case a line is of."""
    return {'case_id': case.case_id, 'fixed': case.fixed['image'], 'moving': case.moving['image']}
