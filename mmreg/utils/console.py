"""The one place where the command line talks: tables, lines, and a user's mistake in one sentence."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmreg.errors import DataWarning, InputError

from .built import CLASS_PREFIX, while_building
from .surroundings import around

#: A misspelt `type=`, wherever the engine wrapped it.
_UNKNOWN_TYPE = re.compile(r"type='[^\n]*? is not a registered [^\n]*?every registered part\.")
#: Two metrics that return one key, as the engine says it.
_ONE_KEY = re.compile(r'multiple evaluation results with the same metric name (\S+?)\.\s')
#: Characters that a terminal acts upon; tabs and line breaks of our own stay.
_CONTROL = re.compile('[\x00-\x08\x0b-\x1f\x7f-\x9f]')
#: What Python says about an argument that a constructor does not have, or misses.
_BAD_ARGUMENT = re.compile(r'got an unexpected keyword argument|missing \d+ required|multiple values for')


def console(stderr: bool = False) -> Console:
    """A console on the current stdout or stderr; wide where the output is no terminal, so that lines stay whole."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else max(int(os.environ.get('COLUMNS', 0)), 160)
    return Console(file=stream, width=width, highlight=False, soft_wrap=not stream.isatty())


def say(text: str = '') -> None:
    """One line on stdout, as it is."""
    console().print(printable(text), markup=False)


def printable(text: str) -> str:
    """``text`` without what would move a terminal's cursor, or what no encoding has: names of files hold anything."""
    text = text.encode('utf-8', 'backslashreplace').decode('utf-8')
    return _CONTROL.sub(lambda found: f'\\x{ord(found.group()):02x}', text)


def table(header: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print a table; numbers are aligned to the right."""
    cells = [list(map(str, row)) for row in rows]
    grid = Table(title=title, title_justify='left', box=None, header_style='bold', pad_edge=False)
    for column, name in enumerate(header):
        numeric = bool(cells) and all(_is_number(row[column]) for row in cells)
        grid.add_column(name, justify='right' if numeric else 'left', overflow='fold')
    for row in cells:
        grid.add_row(*(escape(printable(cell)) for cell in row))
    console().print(grid)


def _is_number(text: str) -> bool:
    try:
        float(text.rstrip('%'))
    except ValueError:
        return text in ('', '-', 'n/a')
    return True


def sentence(error: BaseException) -> str | None:
    """The one sentence for a user's mistake; None for everything that is a bug of ours."""
    text = ' '.join(str(error.args[0] if error.args else error).split())
    if isinstance(error, InputError):
        return CLASS_PREFIX.sub('', text)
    outside = around(error)
    if outside is not None:
        return outside
    unknown = _UNKNOWN_TYPE.search(text) if isinstance(error, KeyError) else None
    if unknown:
        return unknown.group(0)
    twice = _ONE_KEY.search(text) if isinstance(error, ValueError) else None
    if twice:
        return f'two metrics of an evaluator return {twice[1]}, expected a prefix of its own for one: prefix="reg2".'
    if isinstance(error, TypeError) and _BAD_ARGUMENT.search(text) and _raised_by_builder(error):
        return (
            f'a `type=` in the config has arguments that do not fit: {CLASS_PREFIX.sub("", text)}; '
            "a part that takes another's place is given whole, KEY=dict(type='NAME')."
        )
    return while_building(error)


def _raised_by_builder(error: BaseException) -> bool:
    """Whether the call that failed is that of a constructor with arguments from a config."""
    names = []
    trace = error.__traceback__
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return 'build_from_cfg' in names and names[-1] in ('build_from_cfg', '__init__', 'get_instance', '__call__')


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """What readers say of files is shown once, as a sentence; other warnings stay as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter('default', DataWarning)
        # Numbers beyond all measure overflow on their way to the checks that name them.
        warnings.filterwarnings('ignore', '.* encountered in ', RuntimeWarning)
        others = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any) -> None:
            if issubclass(category, DataWarning):
                console(stderr=True).print(f'mmreg: warning: {message}', markup=False)
            else:
                others(message, category, *where)

        warnings.showwarning = show  # type: ignore[assignment]
        yield


def run(function: Callable[[], int | None], debug: bool = False) -> int:
    """Call ``function`` and return the exit code; a user's mistake becomes one line on stderr and code 2.

    Args:
        function: Does the work and returns an exit code or None.
        debug: Let every error through with its stack trace.
    """
    try:
        with _warnings_in_one_line():
            return function() or 0
    except KeyboardInterrupt:
        console(stderr=True).print('mmreg: stopped by the user', markup=False)
        return 130
    except Exception as error:
        message = sentence(error)
        if debug or message is None:
            raise
        console(stderr=True).print(printable(f'mmreg: error: {message}'), markup=False)
        return getattr(error, 'exit_code', InputError.exit_code)
