"""Tables and JSON: one writer of each, whatever the values are."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mmreg.errors import DataError
from mmreg.io.csv_text import read_dicts
from mmreg.io.plain import json_text, plain
from mmreg.io.tables import Row, read_rows, write_json, write_rows, write_table


def test_plain_values():
    given = {
        'array': np.arange(3), 'tensor': torch.ones(2, dtype=torch.float64), 'number': np.float32(0.5),
        'flag': np.bool_(True), 'tuple': (1, Path('a/b')), 'set': {2, 1}, 3: None, 'cls': np.ndarray,
    }  # fmt: skip
    found = plain(given)
    assert found.pop('cls') == 'ndarray'
    assert found == {
        'array': [0, 1, 2], 'tensor': [1.0, 1.0], 'number': 0.5, 'flag': True, 'tuple': [1, 'a/b'], 'set': [1, 2],
        '3': None,
    }  # fmt: skip
    assert json.loads(json_text(found)) == found
    assert plain([object()], lambda value: type(value).__name__) == ['object']


def test_nan_is_null_unless_it_is_kept(tmp_path):
    write_json(tmp_path / 'a.json', {'x': math.nan, 'y': [np.float32(np.inf)]})
    assert json.loads((tmp_path / 'a.json').read_text(encoding='utf-8')) == {'x': None, 'y': [None]}
    write_json(tmp_path / 'b.json', {'x': math.nan}, indent=4, keep_nan=True)
    assert (tmp_path / 'b.json').read_text(encoding='utf-8') == '{\n    "x": NaN\n}\n'


def test_lines_by_order_or_by_name(tmp_path):
    path = tmp_path / 'table.csv'
    write_table(path, ('a', 'b', 'c'), [(1, math.nan, 'x, "y"'), {'a': 1 / 3, 'c': None}])
    with path.open(newline='') as file:
        assert list(csv.reader(file)) == [['a', 'b', 'c'], ['1', 'nan', 'x, "y"'], [repr(1 / 3), '', '']]
    write_table(path, ('a', 'b'), [{'a': 1 / 3, 'b': math.nan}], digits=3, nan='')
    assert path.read_text(encoding='utf-8') == 'a,b\n0.333,\n'


def test_rows_come_back(tmp_path):
    rows = [Row('case', 'dice', '1', 0.1, 0.2), Row('case', 'sdlogj', '', math.nan)]
    write_rows(tmp_path / 'rows.csv', rows)
    found = read_rows(tmp_path)
    assert found[0] == rows[0]
    assert math.isnan(found[1].value) and math.isnan(found[1].initial)


def test_a_table_of_something_else_is_refused(tmp_path):
    write_table(tmp_path / 'other.csv', ('a',), [(1,)])
    with pytest.raises(DataError, match='expected'):
        read_rows(tmp_path / 'other.csv')


@pytest.mark.parametrize('separator', [',', ';', '\t'])
def test_tables_as_spreadsheets_write_them(tmp_path, separator):
    """Semicolons with decimal commas, tabs, a byte order mark; mistakes are told by file and row."""
    value = '0,5' if separator == ';' else '0.5'
    rows = [
        ['case_id', 'metric', 'item', 'value', 'initial'],
        ['a', 'dice', '1', value, ''],
        ['b', 'dice', '1', 'x', ''],
    ]
    text = '\r\n'.join(separator.join(cells) for cells in rows)
    path = tmp_path / 'rows.csv'
    path.write_bytes(b'\xef\xbb\xbf' + text.encode())
    with pytest.raises(DataError, match=r'rows\.csv, line 3: .*expected a number'):
        read_rows(path)
    path.write_bytes(b'\xef\xbb\xbf' + '\r\n'.join(separator.join(cells) for cells in rows[:2]).encode())
    (found,) = read_rows(path)
    assert (found.case_id, found.value, math.isnan(found.initial)) == ('a', 0.5, True)
    path.write_text(separator.join(['a', 'b']) + '\n' + separator.join(['1', '2', '3']))
    with pytest.raises(DataError, match='found 3 cells in row 2, expected 2'):
        read_dicts(path, 'a table')
