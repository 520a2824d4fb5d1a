"""Result tables: one CSV row per case, metric and item (label, landmark), and a JSON summary beside it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmreg.errors import DataError
from mmreg.utils.atomic import write_text

COLUMNS = ('case_id', 'metric', 'item', 'value', 'initial')


class Row(NamedTuple):
    """One number: ``item`` is a label or landmark, empty for a number of the whole case; NaN: not measurable."""

    case_id: str
    metric: str
    item: str
    value: float
    initial: float = math.nan


def write_rows(path: str | Path, rows: Iterable[Row]) -> None:
    """Write a result CSV atomically; NaN is written as ``nan``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(COLUMNS)
    writer.writerows((r.case_id, r.metric, r.item, _number(r.value), _number(r.initial)) for r in rows)
    write_text(path, text.getvalue())


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
    with path.open(newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise DataError(f'{path} has the columns {reader.fieldnames}, expected {list(COLUMNS)}.')
        try:
            return [
                Row(r['case_id'], r['metric'], r['item'], float(r['value']), float(r['initial'] or 'nan'))
                for r in reader
            ]
        except (TypeError, ValueError) as error:
            raise DataError(f'{path}, line {reader.line_num}: {error}, expected a number.') from error


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically; NaN and infinity become null, which every reader understands."""
    write_text(path, json.dumps(_plain(content), indent=2) + '\n')


def _number(value: float) -> str:
    return repr(float(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
