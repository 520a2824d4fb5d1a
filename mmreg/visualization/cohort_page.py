"""The page of many registered pairs: a row per case with picture and numbers; it opens from disk and loads nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmreg.utils.atomic import write_text

from .page import render_page
from .report_tables import number

#: Columns by the names of ``results.csv``: what they are called on the page.
TITLES = {
    'dice': 'Dice', 'hd95': 'HD95, mm', 'tre': 'TRE, mm', 'lncc': 'local correlation', 'nmi': 'mutual information',
    'minimised': 'minimised', 'sdlogj': 'SDlogJ', 'folds_percent': 'folds, %', 'jacobian_min': 'smallest Jacobian',
    'jacobian_max': 'largest Jacobian', 'displacement_mean_mm': 'mean move, mm',
    'displacement_max_mm': 'largest move, mm', 'inverse_error_mm': 'inverse error, mm',
    'overlap_percent': 'overlap, %', 'seconds': 'time, s',
}  # fmt: skip
_DIGITS = 6


@dataclass(frozen=True)
class PageCase:
    """A row of the page.

    Attributes:
        name: Of the case.
        report: Link to its report, relative to the page and quoted; empty where there is none.
        thumbnail: The same of its picture.
        values: One number per column, None where the case has none.
        outliers: Columns in which the case stands out.
        warnings: In words.
        reason: Why it failed; empty where it did not.
    """

    name: str
    report: str
    thumbnail: str
    values: Sequence[float | None]
    outliers: Sequence[int]
    warnings: str
    reason: str


@dataclass(frozen=True)
class CohortContent:
    """What the page shows.

    Attributes:
        title: Of the page.
        columns: Names of the numbers, as in ``results.csv``.
        cases: The rows.
        summary: Mean, spread and quartiles per number, as in ``summary.csv``.
        tables: Files beside the page that it links to.
    """

    title: str
    columns: Sequence[str]
    cases: Sequence[PageCase]
    summary: Sequence[Mapping[str, Any]] = ()
    tables: Sequence[str] = ()


def write_cohort_page(path: str | Path, content: CohortContent) -> None:
    """Write the page, atomically."""
    write_text(path, cohort_html(content))


def cohort_html(content: CohortContent) -> str:
    """The page as text; rows are drawn a page at a time, so that thousands of cases are no burden."""
    failed = [case for case in content.cases if case.reason]
    facts = {
        'pairs': str(len(content.cases)),
        'registered': str(len(content.cases) - len(failed)),
        'failed': str(len(failed)),
        'with warnings': str(sum(bool(case.warnings) for case in content.cases)),
        'standing out': str(sum(bool(case.outliers) for case in content.cases)),
    }
    return render_page(
        'cohort.html',
        content=content,
        facts=facts,
        failed=failed[:_MOST_FAILURES],
        more_failed=max(0, len(failed) - _MOST_FAILURES),
        summary=[_summary(line) for line in content.summary],
        data={'columns': [column_title(name) for name in content.columns], 'rows': [_row(c) for c in content.cases]},
    )


#: So many failures are listed above the table; the table has them all.
_MOST_FAILURES = 50


def column_title(name: str) -> str:
    """What a number of ``results.csv`` is called."""
    plain = name.removesuffix('_before')
    title = TITLES.get(plain, plain)
    return title if plain == name else f'{title}, before'


def _summary(line: Mapping[str, Any]) -> list[str]:
    texts = [value if isinstance(value, str) else number(float(value)) for value in list(line.values())[2:]]
    return [column_title(line['metric']), str(line['cases']), *texts]


def _row(case: PageCase) -> list[Any]:
    values = [_plain(value) for value in case.values]
    return [case.name, case.report, case.thumbnail, values, list(case.outliers), case.warnings, case.reason]


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f'{value:.{_DIGITS}g}')
