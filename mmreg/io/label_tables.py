"""Names of the values of a label map, from the lookup tables that other programs write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmreg.errors import DataError
from mmreg.utils.text_files import read_json

from .csv_text import read_plain_text, split_rows
from .tables import Row

EXPECTED = 'a table of label names: FreeSurfer LUT, ITK-SNAP labels, 3D Slicer .ctbl, BIDS .tsv, CSV or JSON'
#: Columns that hold the values and the names where a table has a header, the first that is there.
_VALUES, _NAMES = ('index', 'label', 'value', 'labelvalue', 'id'), ('name', 'label_name', 'labelname', 'structure')
_NUMBER = r'[+-]?\d+(?:\.\d*)?'
#: FreeSurfer and Slicer: ``17 Left-Hippocampus 220 216 20 0``; names may hold spaces, and be quoted.
_LUT = re.compile(rf'(\d+)\s+(.*?\S)((?:\s+{_NUMBER}){{3,4}})')
#: ITK-SNAP: ``17 220 216 20 1 1 1 "Left Hippocampus"``.
_SNAP = re.compile(rf'(\d+)(?:\s+{_NUMBER}){{6}}\s+"(.*)"')
_LARGEST, _LONGEST = 2**63 - 1, 200


def read_label_names(path: str | Path) -> dict[int, str]:
    """Value -> name, of every value that a table names; the first name of a value counts.

    Args:
        path: FreeSurfer lookup table, ITK-SNAP label descriptions, 3D Slicer colour table (``.ctbl``), BIDS
            ``dseg.tsv`` (columns ``index`` and ``name``), another CSV with such columns, or JSON ``{"17": "name"}``.

    Raises:
        DataError: naming the file and the row.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / 'lut.txt'
        >>> _ = file.write_text('# No. Name R G B A\\n17 Left-Hippocampus 220 216 20 0\\n')
        >>> read_label_names(file)
        {17: 'Left-Hippocampus'}
    """
    path = Path(path)
    pairs = _of_json(path) if path.suffix.lower() == '.json' else _of_text(path)
    found: dict[int, str] = {}
    for value, name in pairs:
        found.setdefault(value, name)
    if not found:
        raise DataError(f'{path}: found no names, expected {EXPECTED}')
    return found


def label_title(value: object, names: Mapping[int, str]) -> str:
    """How a label is called in a table: ``Left-Hippocampus (17)``, or its number where it has no name."""
    text = str(value)
    name = names.get(int(text)) if re.fullmatch(r'-?\d{1,18}', text) else None
    return text if name is None else f'{name} ({text})'


def row_name(row: Row, names: Mapping[int, str]) -> str:
    """Name of the label that a row of a table is of; empty for landmarks, whole cases, and labels without one."""
    if row.metric == 'tre' or not re.fullmatch(r'-?\d{1,18}', row.item):
        return ''
    return names.get(int(row.item), '')


def _of_json(path: Path) -> Iterator[tuple[int, str]]:
    content = read_json(path, EXPECTED)
    if not isinstance(content, Mapping):
        raise DataError(f'{path}: found a {type(content).__name__}, expected {EXPECTED}')
    for key, name in content.items():
        if not isinstance(name, str):
            raise DataError(f'{path}: found {name!r:.40} for {key!r:.40}, expected a name')
        yield _value(key, path, f'the key {key!r:.40}'), _clean(name)


def _of_text(path: Path) -> Iterator[tuple[int, str]]:
    text = read_plain_text(path, EXPECTED)
    columns = _columns(_first_row(text, path))
    if columns is not None:
        yield from _of_table(text, path, *columns)
        return
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith('#'):
            continue
        found = _SNAP.fullmatch(line) or _LUT.fullmatch(line)
        if found is None:
            raise DataError(f'{path}, row {number}: found {line!r:.60}, expected {EXPECTED}')
        yield _value(found[1], path, f'row {number}'), _clean(found[2].strip('"'))


def _first_row(text: str, path: Path) -> list[str]:
    head = next((line for line in text.splitlines() if line.strip() and not line.startswith('#')), '')
    rows = split_rows(head[:10_000], path) if any(mark in head for mark in ',;\t') else []
    return rows[0][1] if rows else []


def _columns(header: Sequence[str]) -> tuple[int, int] | None:
    """Which columns of a table hold values and names; None where its first row is no such header."""
    titles = [title.strip().lower().replace(' ', '_') for title in header]
    value = next((titles.index(one) for one in _VALUES if one in titles), None)
    name = next((titles.index(one) for one in _NAMES if one in titles), None)
    return None if value is None or name is None else (value, name)


def _of_table(text: str, path: Path, value: int, name: int) -> Iterator[tuple[int, str]]:
    for number, cells in split_rows(text, path)[1:]:
        if len(cells) <= max(value, name):
            raise DataError(f'{path}, row {number}: found {len(cells)} columns, expected {max(value, name) + 1}')
        yield _value(cells[value], path, f'row {number}'), _clean(cells[name])


def _value(text: str, path: Path, where: str) -> int:
    if not re.fullmatch(r'\d{1,19}(\.0*)?', text.strip()) or int(text.partition('.')[0]) > _LARGEST:
        raise DataError(f'{path}: found the value {text!r:.40} ({where}), expected the number of a label')
    return int(text.partition('.')[0])


def _clean(name: str) -> str:
    """On one line, without control characters."""
    return ' '.join(''.join(c if c.isprintable() else ' ' for c in name).split())[:_LONGEST]
