"""Pairs from a list of your own: a CSV or JSON file with one pair per row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmreg.errors import DataError
from mmreg.io.csv_text import read_dicts, read_plain_text
from mmreg.registry import DATASETS
from mmreg.utils.text_files import parse_json

from .base import Index, PairDataset
from .pairing import IndexPair
from .verify import Problem

_ROLES = ('fixed', 'moving')
_EXTRAS = ('labels', 'mask', 'prompt', 'landmarks')
#: Which volume of a 4-D file and which DICOM series of a folder is meant.
_READING = ('frame', 'series')
#: Columns of a pair list; only the first two must be there.
COLUMNS = ('fixed', 'moving', *(f'{role}_{extra}' for extra in (*_EXTRAS, *_READING) for role in _ROLES), 'case_id')


@DATASETS.register_module()
class PairListDataset(PairDataset):
    """Pairs listed in a CSV with header, or in JSON: a list of objects, or an object with that list as ``pairs``.

    Columns: ``fixed``, ``moving`` and, where there are, ``case_id`` and ``fixed_x``, ``moving_x`` with x one of labels,
    mask, prompt, landmarks, frame (volume of a 4-D file, from 1) and series (of a DICOM folder). Columns are separated
    by commas, semicolons or tabs. Paths are relative to ``data_root``, or to the list's folder when that is not given.

    Args:
        ann_file: The list.
        data_root: Folder of the images.
        kwargs: See :class:`PairDataset`; ``label_sets`` is 'equal' unless set.
    """

    def __init__(self, ann_file: str, data_root: str = '', label_sets: str = 'equal', **kwargs: Any):
        super().__init__(ann_file=ann_file, data_root=data_root, label_sets=label_sets, **kwargs)

    def index(self) -> Index:
        """Images and pairs as the rows of the list name them."""
        rows = read_pair_rows(self.ann_file)
        folder = Path(self.data_root) if self.data_root else Path(self.ann_file).parent
        index = Index([], [])
        numbers: dict[tuple[Any, ...], int] = {}
        assert index.pairs is not None
        for position, row in enumerate(rows, start=1):
            problems = _row_problems(self.ann_file, position, row)
            if problems:
                index.problems += problems
                continue
            ends = []
            for role in _ROLES:
                source = _source(row, role, folder)
                key = tuple(sorted(source.items()))
                if key not in numbers:
                    numbers[key] = len(index.sources)
                    index.sources.append(source)
                ends.append(numbers[key])
            index.pairs.append(IndexPair(fixed=ends[0], moving=ends[1], case_id=str(row.get('case_id') or '')))
        return index


def read_pair_rows(path: str | Path) -> list[dict[str, Any]]:
    """Rows of a pair list as dicts; unknown columns are kept.

    Raises:
        DataError: no such file, another ending, not parsable, or no row.
    """
    path = Path(path)
    if path.is_dir() or not path.exists():
        raise DataError(f'{path}: no such file, expected a pair list (.csv or .json)')
    if path.suffix in ('.csv', '.tsv'):
        rows: Any = [row for _, row in read_dicts(path, 'a pair list (.csv or .json)')]
    elif path.suffix == '.json':
        rows = parse_json(read_plain_text(path, 'a pair list (.csv or .json)'), str(path), 'a pair list')
        rows = rows.get('pairs') if isinstance(rows, dict) else rows
    else:
        raise DataError(f'{path}: ending {path.suffix!r}, expected a pair list ending in .csv or .json')
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError(f'{path}: found no list of pairs, expected rows with the columns {", ".join(COLUMNS)}')
    return rows


def _row_problems(path: str, position: int, row: dict[str, Any]) -> list[Problem]:
    where = f'{path}, pair {position}'
    problems = [
        Problem(where, f'no {key!r}, only {sorted(k for k, v in row.items() if v)}')
        for key in _ROLES
        if not row.get(key)
    ]
    problems += [
        Problem(where, f'{role}_frame is {row[f"{role}_frame"]!r}, expected the number of a volume, from 1')
        for role in _ROLES
        if row.get(f'{role}_frame') not in (None, '') and not str(row[f'{role}_frame']).isdigit()
    ]
    strange = sorted(str(key) for key in row if key not in COLUMNS)
    if strange:
        problems.append(Problem(where, f'unknown columns {strange}, expected some of {", ".join(COLUMNS)}'))
    return problems


def _source(row: dict[str, Any], role: str, folder: Path) -> dict[str, Any]:
    name = Path(str(row[role])).name
    source: dict[str, Any] = {'id': name.split('.')[0], 'image': str(folder / str(row[role]))}
    for extra in _EXTRAS:
        if row.get(f'{role}_{extra}'):
            source[extra] = str(folder / str(row[f'{role}_{extra}']))
    if row.get(f'{role}_series'):
        source['series'] = str(row[f'{role}_series'])
    if row.get(f'{role}_frame') not in (None, ''):
        source['frame'] = int(row[f'{role}_frame'])
    return source
