"""The page of a group's result: pictures and tables in one file that needs nothing else."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from mmreg.io.label_tables import label_title
from mmreg.utils.atomic import write_text
from mmreg.utils.console import printable

#: Numbers nearer to 0 are told as such: nobody measures so finely.
_SMALLEST = 0.001
#: Text of more letters, such as the place of a file, is broken into lines.
_LONG = 24
#: Rows of one table; a longer one says where the rest is.
_MOST_ROWS = 1000


@dataclass(frozen=True)
class Picture:
    """A picture and what it shows.

    Attributes:
        png: The file.
        text: Its caption, which is read aloud too.
        chart: Whether it is a drawing on white.
    """

    png: bytes
    text: str
    chart: bool = False

    @property
    def data(self) -> str:
        """As text."""
        return base64.b64encode(self.png).decode('ascii')


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    number: bool = False

    @property
    def kind(self) -> str:
        """How it is set: ``number``, ``long``, or nothing special."""
        return 'number' if self.number else 'long' if len(self.text) > _LONG else ''


@dataclass(frozen=True)
class Section:
    """One part of a page: words, pictures, a table."""

    title: str
    text: str = ''
    pictures: Sequence[Picture] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()


@dataclass(frozen=True)
class Page:
    """A page."""

    title: str
    summary: str
    sections: Sequence[Section]
    warnings: Sequence[str] = field(default=())


def table_section(
    title: str,
    columns: Sequence[str],
    lines: Iterable[Mapping[str, Any]],
    text: str = '',
    pictures: Sequence[Picture] = (),
) -> Section:
    """A part with a table: numbers with four digits, underlines in the names of columns as blanks."""
    given = list(lines)
    if len(given) > _MOST_ROWS:
        text = f'{text} The first {_MOST_ROWS} of {len(given)} rows; the table beside this page has all.'.strip()
    rows = [[_cell(line.get(name)) for name in columns] for line in given[:_MOST_ROWS]]
    return Section(title, text, pictures, [name.replace('_', ' ') for name in columns], rows)


def named_lines(lines: Iterable[Mapping[str, Any]], names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Lines of a table whose labels have their names beside their numbers, where they have some.

    Example:
        >>> named_lines([{'label': 17}, {'label': 3}], {17: 'Left-Hippocampus'})
        [{'label': 'Left-Hippocampus (17)'}, {'label': 3}]
    """
    return [
        {**line, 'label': label_title(line['label'], names) if line['label'] in names else line['label']}
        for line in lines
    ]


def write_page(path: str | Path, page: Page) -> None:
    """Write a page, atomically. Names of files and whatever else comes from outside are escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    source = (files('mmreg.populations') / 'assets' / 'page.html').read_text(encoding='utf-8')
    write_text(path, environment.from_string(source).render(page=page))


def _cell(value: Any) -> Cell:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Cell('' if value is None else printable(str(value)))
    if isinstance(value, float):
        return Cell(_number(value), True)
    return Cell(str(value), True)


def _number(value: float) -> str:
    if math.isnan(value):
        return ''
    if 0 < abs(value) < _SMALLEST:
        return f'< {_SMALLEST:g}' if value > 0 else f'> -{_SMALLEST:g}'
    return f'{value:.4g}'
