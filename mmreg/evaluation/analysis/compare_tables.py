"""The tables of a comparison of methods: lines, Markdown, LaTeX, files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmreg.io.atomic import write_text
from mmreg.io.tables import write_json, write_table

from . import figures
from .compare import MEAN, ResultSet

SUMMARY = ('metric', 'item', 'method', 'cases', 'missing', 'mean', 'sd', 'q25', 'median', 'q75')
TEST_COLUMNS = (
    'metric', 'item', 'first', 'second', 'cases', 'difference', 'ci95_low', 'ci95_high', 'effect', 'p', 'p_holm',
)  # fmt: skip
Line = list[Any]


def summary_lines(results: ResultSet, metric: str) -> list[Line]:
    """Lines of the table of means of one metric: mean over items first, then every item."""
    lines = []
    for item in [None, *results.items(metric)]:
        for method in results.methods:
            s = results.summary(metric, method, item)
            lines.append([
                metric, item or MEAN, method, s.measured, s.missing, s.mean, s.sd, s.lower, s.median, s.upper
            ])  # fmt: skip
    return lines


def lines_of_tests(results: ResultSet, reference: str | None, per_label: bool, test: str, seed: int) -> list[Line]:
    """Lines of the table of tests."""
    found = results.tests(reference, per_label, test, seed)
    return [
        [t.metric, t.item, t.first, t.second, t.result.cases, t.result.difference, t.result.low, t.result.high,
         t.result.effect, t.result.p_value, t.corrected]
        for t in found
    ]  # fmt: skip


def markdown(header: Sequence[str], lines: Sequence[Line]) -> str:
    """A table for a README."""
    rows = [header, ['---'] * len(header), *(short(line) for line in lines)]
    return '\n'.join('| ' + ' | '.join(map(str, row)) + ' |' for row in rows) + '\n'


def latex(header: Sequence[str], lines: Sequence[Line]) -> str:
    """A table for a paper (``tabular`` with booktabs rules)."""
    rows = [' & '.join(map(str, row)).replace('_', r'\_') + r' \\' for row in [header, *map(short, lines)]]
    body = [rf'\begin{{tabular}}{{{"l" * len(header)}}}', r'\toprule', rows[0], r'\midrule', *rows[1:]]
    return '\n'.join([*body, r'\bottomrule', r'\end{tabular}']) + '\n'


def write_comparison(
    out: Path, results: ResultSet, summary: list[Line], tests: list[Line], test: str, trade_off: Sequence[str] | None
) -> None:
    """Write tables (CSV, Markdown, LaTeX, JSON) and figures into a folder."""
    for name, header, lines in (('summary', SUMMARY, summary), ('tests', TEST_COLUMNS, tests)):
        write_table(out / f'{name}.csv', header, lines)
        write_text(out / f'{name}.md', markdown(header, lines))
        write_text(out / f'{name}.tex', latex(header, lines))
    content = {
        'methods': results.methods,
        'summary': [dict(zip(SUMMARY, line)) for line in summary],
        'tests': [dict(zip(TEST_COLUMNS, line)) for line in tests],
        'test': test,
        'correction': 'Holm over all tests of one metric',
    }
    write_json(out / 'comparison.json', content)
    for metric in results.metrics:
        figures.save(figures.box_plots(results, metric), out / f'box_{metric.replace("/", "_")}.png')
    if trade_off:
        figures.save(figures.trade_off(results, *trade_off), out / 'trade_off.png')


def short(line: Line) -> list[str]:
    """A line for the eye: four significant digits."""
    return [f'{value:.4g}' if isinstance(value, float) else str(value) for value in line]
