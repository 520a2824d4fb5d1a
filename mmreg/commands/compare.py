"""Compare result tables: mean, SD, quartiles, paired tests with Holm's correction, box plots per label."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError
from mmreg.evaluation.analysis import figures
from mmreg.evaluation.analysis.compare import MEAN, ResultSet
from mmreg.evaluation.analysis.statistics import TESTS
from mmreg.io.tables import read_rows, write_json, write_table
from mmreg.utils import console
from mmreg.utils.atomic import write_text

from .shared.options import add_debug

SUMMARY = ('metric', 'item', 'method', 'cases', 'missing', 'mean', 'sd', 'q25', 'median', 'q75')
TEST_COLUMNS = (
    'metric', 'item', 'first', 'second', 'cases', 'difference', 'ci95_low', 'ci95_high', 'effect', 'p', 'p_holm',
)  # fmt: skip
Line = list[Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the given tables; returns the exit code."""
    options = _parser().parse_args(argv)
    return console.run(lambda: compare(options), debug=options.debug)


def compare(options: argparse.Namespace) -> None:
    """Do what the parsed ``options`` say."""
    tables = {name: read_rows(path) for name, path in _named(options.results).items()}
    results = ResultSet(tables, options.metric, 'initial' if options.initial else None)
    summary = [line for metric in results.metrics for line in summary_lines(results, metric)]
    tests = test_lines(results, options) if len(results.methods) > 1 else []
    console.table(SUMMARY, [_short(line) for line in summary if line[1] == MEAN], title='over cases')
    if tests:
        title = f'paired {options.test} test, second minus first, Holm over the tests of a metric'
        console.table(TEST_COLUMNS, [_short(line) for line in tests if line[1] == MEAN], title=title)
    if options.out:
        _write(Path(options.out), results, summary, tests, options)


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


def test_lines(results: ResultSet, options: argparse.Namespace) -> list[Line]:
    """Lines of the table of tests."""
    found = results.tests(options.reference, options.per_label, options.test, options.seed)
    return [
        [t.metric, t.item, t.first, t.second, t.result.cases, t.result.difference, t.result.low, t.result.high,
         t.result.effect, t.result.p_value, t.corrected]
        for t in found
    ]  # fmt: skip


def markdown(header: Sequence[str], lines: Sequence[Line]) -> str:
    """A table for a README."""
    rows = [header, ['---'] * len(header), *(_short(line) for line in lines)]
    return '\n'.join('| ' + ' | '.join(map(str, row)) + ' |' for row in rows) + '\n'


def latex(header: Sequence[str], lines: Sequence[Line]) -> str:
    """A table for a paper (``tabular`` with booktabs rules)."""
    rows = [' & '.join(map(str, row)).replace('_', r'\_') + r' \\' for row in [header, *map(_short, lines)]]
    body = [rf'\begin{{tabular}}{{{"l" * len(header)}}}', r'\toprule', rows[0], r'\midrule', *rows[1:]]
    return '\n'.join([*body, r'\bottomrule', r'\end{tabular}']) + '\n'


def _write(out: Path, results: ResultSet, summary: list[Line], tests: list[Line], options: argparse.Namespace) -> None:
    for name, header, lines in (('summary', SUMMARY, summary), ('tests', TEST_COLUMNS, tests)):
        write_table(out / f'{name}.csv', header, lines)
        write_text(out / f'{name}.md', markdown(header, lines))
        write_text(out / f'{name}.tex', latex(header, lines))
    content = {
        'methods': results.methods,
        'summary': [dict(zip(SUMMARY, line)) for line in summary],
        'tests': [dict(zip(TEST_COLUMNS, line)) for line in tests],
        'test': options.test,
        'correction': 'Holm over all tests of one metric',
    }
    write_json(out / 'comparison.json', content)
    for metric in results.metrics:
        figures.save(figures.box_plots(results, metric), out / f'box_{metric.replace("/", "_")}.png')
    if options.trade_off:
        figures.save(figures.trade_off(results, *options.trade_off), out / 'trade_off.png')
    console.say(f'tables and figures are in {out}')


def _named(arguments: Sequence[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for argument in arguments:
        name, separator, path = argument.partition('=')
        if not separator:
            name, path = Path(argument).stem, argument
        if name in named:
            raise ConfigError(f'two tables are called {name!r}, expected names: NAME=FILE.')
        named[name] = path
    return named


def _short(line: Line) -> list[str]:
    return [f'{value:.4g}' if isinstance(value, float) else str(value) for value in line]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='mmreg compare', description=__doc__)
    parser.add_argument('results', nargs='+', help='[NAME=]FILE: result CSV, or folder of them, of one method')
    parser.add_argument('-o', '--out', help='folder for tables (CSV, Markdown, LaTeX, JSON) and figures')
    parser.add_argument('--metric', action='append', help='default: all metrics that every table has')
    parser.add_argument('--reference', help='compare all others with this method only')
    parser.add_argument('--initial', action='store_true', help='add the values before registration as a method')
    parser.add_argument('--per-label', action='store_true', help='test every label too')
    parser.add_argument('--test', choices=TESTS, default='wilcoxon')
    parser.add_argument('--seed', type=int, default=0, help='of the bootstrap interval')
    parser.add_argument('--trade-off', nargs=2, metavar=('X', 'Y'), help='plot one metric against another')
    add_debug(parser)
    return parser
