"""`mmreg analyze-logs`: curves and times from the logs of training runs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.utils import console
from mmreg.utils.text_files import read_text


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg analyze-logs`, as OpenMMLab's tool of this name has them."""
    parser = argparse.ArgumentParser(prog='mmreg analyze-logs', description='Look at the logs of training runs.')
    doors = parser.add_subparsers(dest='task', required=True, metavar='{plot_curve,cal_train_time}')
    curve = doors.add_parser('plot_curve', help='draw scalars over iterations')
    curve.add_argument('logs', nargs='+', help='work dirs, or their scalars.json')
    curve.add_argument('--keys', nargs='+', default=['loss'], help='scalars, such as loss reg/dice lr (default: loss)')
    curve.add_argument('--legend', nargs='+', help='a name for every curve (default: log and key)')
    curve.add_argument('--title', help='above the figure')
    curve.add_argument('--out', '-o', required=True, metavar='FILE', help='PNG, PDF or SVG to write')
    times = doors.add_parser('cal_train_time', help='seconds per iteration')
    times.add_argument('logs', nargs='+', help='work dirs, or their scalars.json')
    times.add_argument('--include-outliers', action='store_true', help='count the first value of every epoch as well')
    for door in (curve, times):
        door.add_argument('--debug', action='store_true', help='show the stack trace of an error')
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg analyze-logs`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: (_plot if args.task == 'plot_curve' else _times)(args), debug=args.debug)


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """Scalars of a run, in the order in which they were logged; of a work dir those of all its starts.

    Raises:
        DataError: no such log, or a line of it is no JSON.
    """
    path = Path(path)
    files = sorted(path.glob('**/vis_data/scalars.json')) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise DataError(f'{path}: found no log, expected a work dir with */vis_data/scalars.json, or such a file.')
    rows = []
    for file in files:
        for number, line in enumerate(read_text(file, 'a log').splitlines(), start=1):
            try:
                rows.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise DataError(f'{file}, line {number}: not readable as JSON ({error}).') from error
    return [row for row in rows if isinstance(row, dict)]


def curve_of(rows: Sequence[dict[str, Any]], key: str, log: str | Path = 'the log') -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of a scalar; what a resumed run logged again counts, not what it replaced.

    Raises:
        DataError: a step or a value is no number.
    """
    found = {
        _number(row.get('iter', row.get('step', row.get('epoch', number))), 'step', log): _number(row[key], key, log)
        for number, row in enumerate(rows)
        if key in row
    }
    steps = sorted(found)
    return np.array(steps), np.array([found[step] for step in steps], dtype=float)


def _number(value: Any, key: str, log: str | Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f'{log}: found {str(value)[:60]!r} as {key}, expected a number.')
    try:
        return float(value)
    except OverflowError as error:
        raise DataError(f'{log}: found a number of {len(str(abs(value)))} digits as {key}, expected one.') from error


def _plot(args: argparse.Namespace) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from mmreg.utils.plain_words import save_figure

    pairs = [(log, key) for log in args.logs for key in args.keys]
    if args.legend and len(args.legend) != len(pairs):
        raise ConfigError(f'--legend has {len(args.legend)} names, expected {len(pairs)}: one for every log and key.')
    names = args.legend or [key if len(args.logs) == 1 else f'{Path(log).name} {key}' for log, key in pairs]
    figure = Figure(figsize=(8, 5), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for (log, key), name in zip(pairs, names):
        rows = read_log(log)
        steps, values = curve_of(rows, key, log)
        if not len(steps):
            known = sorted({name for row in rows for name in row})
            raise ConfigError(f'{log}: there is no scalar {key!r}, expected one of {", ".join(known)}.')
        axes.plot(steps, values, label=name, marker='.' if len(steps) < 40 else None)
    axes.set_xlabel('step')
    axes.legend()
    axes.set_title(args.title or '')
    save_figure(figure, args.out)
    console.say(f'written to {args.out}')


def _times(args: argparse.Namespace) -> None:
    rows = []
    for log in args.logs:
        timed = [row for row in read_log(log) if 'time' in row and 'loss' in row]
        if not timed:
            raise DataError(f'{log}: found no times of iterations, expected the log of a training run.')
        if not args.include_outliers:
            before = [None, *(row.get('epoch', 0) for row in timed)]
            timed = [row for row, epoch in zip(timed, before) if row.get('epoch', 0) == epoch] or timed
        values = np.array([_number(row['time'], 'time', log) for row in timed])
        rows.append(
            (str(log), f'{values.mean():.4f}', f'{values.std():.4f}', f'{values.min():.4f}', f'{values.max():.4f}')
        )
    console.table(('log', 's per iteration', 'sd', 'fastest', 'slowest'), rows)
