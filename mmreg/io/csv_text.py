"""Tables as text, whatever separates their columns: commas, semicolons (with decimal commas), tabs or spaces."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from mmreg.errors import DataError
from mmreg.utils.text_files import read_text

from .files import named

#: A separator is looked for in this much of a file.
_SAMPLE = 1 << 14
#: What begins like this is a formula to a program that opens tables; numbers apart.
_FORMULA = ('=', '+', '-', '@', '\t', '\r')
_DECIMAL_COMMA = re.compile(r'\s*[+-]?\d*,\d+(?:[eE][+-]?\d+)?\s*')


def read_plain_text(path: str | Path, expected: str) -> str:
    """The text of a regular file, UTF-8 with or without its mark, with one kind of line ends.

    Raises:
        DataError: missing, no regular file, too large, or bytes that are no UTF-8 text.
    """
    return read_text(named(path, expected), expected).replace('\r\n', '\n').replace('\r', '\n')


def as_cell(text: str) -> str:
    """Text as a cell that no program takes for a formula: an apostrophe goes in front where it begins like one.

    Example:
        >>> as_cell('=1+1'), as_cell('-1.5'), as_cell('case')
        ("'=1+1", '-1.5', 'case')
    """
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) and not _is_number(text) else text


def from_cell(text: str) -> str:
    """The text that :func:`as_cell` made a cell of."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text


def split_rows(text: str, path: str | Path) -> list[tuple[int, list[str]]]:
    """(number of the row, cells) of every row that is neither empty nor a comment (``#``).

    Cells are stripped. Where semicolons or tabs separate them, a decimal comma becomes a point.

    Raises:
        DataError: a row that the rules of CSV cannot part.
    """
    separator = separator_of(text)
    if separator == ' ':
        rows: Iterator[tuple[int, list[str]]] = ((n, line.split()) for n, line in enumerate(text.splitlines(), 1))
    else:
        rows = iter(_by_csv(text, separator, path))
    found = []
    for number, row in rows:
        cells = [cell.strip() for cell in row]
        if separator in ';\t':
            cells = [cell.replace(',', '.') if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in cells]
        while separator == '\t' and len(cells) > 1 and not cells[-1]:  # tabs that end a line
            cells.pop()
        if any(cells) and not cells[0].startswith('#'):
            found.append((number, cells))
    return found


def named_rows(text: str, path: str | Path) -> list[dict[str, str]]:
    """Rows by the names of the first line; a cell that a row lacks is empty, what is behind the last name is left out.

    Raises:
        DataError: a row that the rules of CSV cannot part.
    """
    separator = separator_of(text)
    reader = csv.reader(io.StringIO(text, newline=''), delimiter=separator)
    try:
        header = next(reader, [])
        found = [dict(zip(header, [*row, *[''] * len(header)])) for row in reader if row]
        return [point_for_comma(row, separator) for row in found]
    except csv.Error as error:
        raise DataError(f'{path}: found a row {reader.line_num} that is no CSV ({error}), expected a table') from error


def read_dicts(path: str | Path, expected: str) -> list[tuple[int, dict[str, str]]]:
    """(number of the row, cells by the names in the header) of a table with commas, semicolons or tabs.

    Cells that are missing at the end of a row are empty.

    Args:
        path: The file.
        expected: What the sentence asks for where it is none.

    Raises:
        DataError: missing or no text, a row that is no CSV, or one with more cells than the header.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / 'a.csv'
        ...     _ = file.write_text('name;score\\na;0,5\\n')
        ...     read_dicts(file, 'a table')
        [(2, {'name': 'a', 'score': '0.5'})]
    """
    rows = split_rows(read_plain_text(path, expected), path)
    if not rows:
        return []
    header = rows[0][1]
    found = []
    for number, cells in rows[1:]:
        if len(cells) > len(header):
            raise DataError(
                f'{path}: found {len(cells)} cells in row {number}, expected {len(header)} as in the header'
            )
        found.append((number, dict(zip(header, cells + [''] * (len(header) - len(cells))))))
    return found


def point_for_comma(row: dict[str, str], separator: str) -> dict[str, str]:
    """The cells with decimal points, where semicolons or tabs let numbers be written with commas."""
    if separator not in ';\t':
        return row
    decimal = {name: cell for name, cell in row.items() if isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell)}
    return {**row, **{name: cell.replace(',', '.') for name, cell in decimal.items()}}


def separator_of(text: str) -> str:
    """``','``, ``';'``, a tab, or a space."""
    sample = '\n'.join(line for line in text[:_SAMPLE].splitlines() if line.strip() and not line.startswith('#'))
    first = sample.partition('\n')[0]
    for separator in ';\t':
        if separator in first:
            return separator
    if ',' in first or not first.strip():
        return ','
    try:
        found = csv.Sniffer().sniff(sample, delimiters=',;\t ').delimiter
    except csv.Error:
        found = ' ' if len(first.split()) > 1 and all(_is_number(cell) for cell in first.split()) else ','
    if found == ' ' and not all(_is_number(cell) for cell in first.split()):
        return ','  # a name with spaces
    return found


def _by_csv(text: str, separator: str, path: str | Path) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=''), delimiter=separator, skipinitialspace=True)
    found = []
    try:
        for row in reader:
            found.append((reader.line_num, row))
    except csv.Error as error:
        raise DataError(f'{path}: found a row {reader.line_num} that is no CSV ({error}), expected a table') from error
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
