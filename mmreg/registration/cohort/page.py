"""The page of a cohort, from what became of its cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mmreg.visualization.cohort_page import CohortContent, PageCase, write_cohort_page

from .outcome import Outcome
from .summary import numbers_of, summary_lines

#: Numbers of the page in this order; those that no case has are left out.
_SHOWN = (
    'dice_before', 'dice', 'hd95_before', 'hd95', 'tre_before', 'tre', 'lncc_before', 'lncc', 'nmi_before', 'nmi',
    'minimised_before', 'minimised', 'sdlogj', 'folds_percent', 'jacobian_min', 'jacobian_max',
    'displacement_mean_mm', 'displacement_max_mm', 'inverse_error_mm', 'overlap_percent', 'seconds',
)  # fmt: skip


def write_page(path: Path, outcomes: Sequence[Outcome], tables: Sequence[str]) -> None:
    """Write ``index.html``, atomically.

    Args:
        path: The file, beside the folders of the cases.
        outcomes: What became of them, in order.
        tables: Names of the tables beside it, which the page links to.
    """
    done = [outcome for outcome in outcomes if outcome.status != 'failed']
    lines = [outcome.line for outcome in done]
    far = {name: numbers.outliers() for name, numbers in numbers_of(lines).items()}
    names = [name for name in _SHOWN if any(line.get(name) is not None for line in lines)]
    position = {outcome.case.case_id: n for n, outcome in enumerate(done)}
    cases = [_case(outcome, names, far, position.get(outcome.case.case_id)) for outcome in outcomes]
    write_cohort_page(path, CohortContent(path.parent.name, names, cases, summary_lines(lines), tables))


def _case(outcome: Outcome, names: Sequence[str], far: dict[str, Any], place: int | None) -> PageCase:
    line = outcome.line
    folder = quote(outcome.case.case_id, safe='')
    return PageCase(
        name=outcome.case.case_id,
        report=f'{folder}/report.html' if 'report.html' in outcome.files else '',
        thumbnail=f'{folder}/thumbnail.png' if 'thumbnail.png' in outcome.files else '',
        values=[line.get(name) for name in names],
        outliers=[n for n, name in enumerate(names) if place is not None and name in far and far[name][place]],
        warnings=str(line.get('warnings') or ''),
        reason=outcome.reason if outcome.status == 'failed' else '',
    )
