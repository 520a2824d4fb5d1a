"""Compare result tables: mean, SD, quartiles, paired tests with Holm's correction, box plots per label."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmreg.errors import ConfigError
from mmreg.utils import console
from mmreg.utils.choices import PAIRED_TESTS
from mmreg.utils.option_values import check_seed

from .shared.options import add_debug


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the given tables; returns the exit code."""
    options = _parser().parse_args(argv)
    return console.run(lambda: compare(options), debug=options.debug)


def compare(options: argparse.Namespace) -> None:
    """Do what the parsed ``options`` say."""
    from mmreg.evaluation.analysis.compare import MEAN, ResultSet
    from mmreg.evaluation.analysis.compare_tables import (
        SUMMARY,
        TEST_COLUMNS,
        lines_of_tests,
        short,
        summary_lines,
        write_comparison,
    )
    from mmreg.io.files import named
    from mmreg.io.tables import read_rows

    check_seed(options.seed)
    tables = {name: read_rows(path) for name, path in _named(options.results).items()}
    results = ResultSet(tables, options.metric, 'initial' if options.initial else None)
    summary = [line for metric in results.metrics for line in summary_lines(results, metric)]
    arguments = options.reference, options.per_label, options.test, options.seed
    tests = lines_of_tests(results, *arguments) if len(results.methods) > 1 else []
    for metric in options.trade_off or ():
        if metric not in results.metrics:
            raise ConfigError(f'--trade-off: found {metric!r}, expected two of {", ".join(results.metrics)}.')
    if options.out:
        out = named(options.out, 'a folder')
        write_comparison(Path(out), results, summary, tests, options.test, options.trade_off)
    console.table(SUMMARY, [short(line) for line in summary if line[1] == MEAN], title='over cases')
    if tests:
        title = f'paired {options.test} test, second minus first, Holm over the tests of a metric'
        console.table(TEST_COLUMNS, [short(line) for line in tests if line[1] == MEAN], title=title)
    if options.out:
        console.say(f'tables and figures are in {options.out}')


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='mmreg compare', description=__doc__)
    parser.add_argument('results', nargs='+', help='[NAME=]FILE: result CSV, or folder of them, of one method')
    parser.add_argument('-o', '--out', help='folder for tables (CSV, Markdown, LaTeX, JSON) and figures')
    parser.add_argument('--metric', action='append', help='default: all metrics that every table has')
    parser.add_argument('--reference', help='compare all others with this method only')
    parser.add_argument('--initial', action='store_true', help='add the values before registration as a method')
    parser.add_argument('--per-label', action='store_true', help='test every label too')
    parser.add_argument('--test', choices=PAIRED_TESTS, default='wilcoxon')
    parser.add_argument('--seed', type=int, default=0, help='of the bootstrap interval')
    parser.add_argument('--trade-off', nargs=2, metavar=('X', 'Y'), help='plot one metric against another')
    add_debug(parser)
    return parser
