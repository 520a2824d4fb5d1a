"""Result tables: one CSV row per case, metric and item (label, landmark), and a JSON summary beside it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmreg.errors import DataError
from mmreg.utils.atomic import write_text
from mmreg.utils.text_files import read_text

from .csv_text import as_cell, from_cell, point_for_comma, separator_of
from .plain import json_text

COLUMNS = ('case_id', 'metric', 'item', 'value', 'initial')


class Row(NamedTuple):
    """One number: ``item`` is a label or landmark, empty for a number of the whole case; NaN: not measurable."""

    case_id: str
    metric: str
    item: str
    value: float
    initial: float = math.nan


def write_rows(path: str | Path, rows: Iterable[Row]) -> None:
    """Write a result CSV atomically; NaN is written as ``nan``.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / 'metrics.csv'
        >>> write_rows(file, [Row('case', 'dice', '1', 0.5)])
        >>> read_rows(file)[0].value
        0.5
    """
    write_table(path, COLUMNS, rows)


def write_table(
    path: str | Path,
    columns: Sequence[str],
    lines: Iterable[Sequence[Any] | Mapping[str, Any]],
    digits: int | None = None,
    nan: str = 'nan',
) -> None:
    """Write a CSV atomically; text that a spreadsheet would take for a formula gets an apostrophe in front.

    Args:
        path: File.
        columns: Names, the first line.
        lines: Values in the order of the columns, or by their names; what a mapping lacks, and None, is left empty.
        digits: Significant digits of floats; as many as tell them apart by default.
        nan: What stands for a number that is none.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(columns)
    for line in lines:
        values = [line.get(name) for name in columns] if isinstance(line, Mapping) else line
        writer.writerow([_cell(value, digits, nan) for value in values])
    write_text(path, text.getvalue())


def _cell(value: Any, digits: int | None, nan: str) -> Any:
    if isinstance(value, float):
        if math.isnan(value):
            return nan
        return repr(float(value)) if digits is None else f'{value:.{digits}g}'
    if isinstance(value, str | Path):
        return as_cell(str(value))
    return '' if value is None else value


def read_rows(path: str | Path) -> list[Row]:
    """Rows of one result CSV, or of all CSV files in a folder.

    Raises:
        DataError: the file does not exist, has other columns, or holds something that is no number.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob('*.csv'))
        if not files:
            raise DataError(f'{path} holds no CSV file, expected result tables.')
        return [row for file in files for row in read_rows(file)]
    if not path.is_file():
        raise DataError(f'{path} does not exist, expected a result CSV or a folder of them.')
    text = read_text(path, 'a result CSV')
    separator = separator_of(text)
    with io.StringIO(text, newline='') as file:
        reader = csv.DictReader(file, delimiter=separator)
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise DataError(f'{path} has the columns {reader.fieldnames}, expected {list(COLUMNS)}.')
        try:
            return [_row(point_for_comma(line, separator)) for line in reader]
        except (TypeError, ValueError, csv.Error) as error:
            raise DataError(f'{path}, line {reader.line_num}: {error}, expected a number.') from error


def _row(line: Mapping[str, Any]) -> Row:
    if any(line[name] is None for name in COLUMNS[:-1]):  # cells that a short line lacks
        raise ValueError(f'the line ends after {sum(line[name] is not None for name in COLUMNS)} cells')
    initial = float(line['initial'] or 'nan')
    return Row(from_cell(line['case_id']), line['metric'], from_cell(line['item']), float(line['value']), initial)


def write_json(path: str | Path, content: Mapping[str, Any], indent: int = 2, keep_nan: bool = False) -> None:
    """Write JSON atomically; NaN and infinity become null, which every reader understands, unless ``keep_nan``.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / 'summary.json'
        >>> write_json(file, {'dice': math.nan, 'shape': (2, 3)})
        >>> 'null' in file.read_text()
        True
    """
    write_text(path, json_text(content, indent, keep_nan))
