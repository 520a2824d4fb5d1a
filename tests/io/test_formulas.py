"""Text that a spreadsheet would run: neutral in every table that is written, and back as it was when it is read."""

import csv
from pathlib import Path

import numpy as np
import pytest

from mmreg.io import read_landmarks, write_landmarks_world
from mmreg.io.csv_text import as_cell, from_cell
from mmreg.io.tables import Row, read_rows, write_rows, write_table

FORMULAS = ['=1+1', '=HYPERLINK("http://x","y")', '+cmd|/c calc', '-2+3', '@SUM(A1)', '\t=1', '--', "'=1", "''+a"]
PLAIN = ['case', "it's", "'quoted'", '-1.5', '+3', '1e-5', '', 'a=b', 'a, b', 'say "x"', '脑', '-inf']


@pytest.mark.parametrize('text', [*FORMULAS, *PLAIN])
def test_there_and_back(text):
    assert from_cell(as_cell(text)) == text
    assert (as_cell(text) == text) == (text in PLAIN)


def cells(path):
    with open(path, encoding='utf-8', newline='') as file:
        return [cell for row in list(csv.reader(file))[1:] for cell in row]


def test_results(tmp_path):
    rows = [Row(name, 'dice', name, 0.5, -0.25) for name in [*FORMULAS, *PLAIN]]
    write_rows(tmp_path / 'a.csv', rows)
    assert read_rows(tmp_path / 'a.csv') == rows
    assert not [cell for cell in cells(tmp_path / 'a.csv') if cell in FORMULAS[:7]]


def test_other_tables(tmp_path):
    write_table(tmp_path / 'a.csv', ('name', 'x'), [{'name': Path('=a/b.nii'), 'x': -1.5}, {'name': '@x', 'x': None}])
    assert cells(tmp_path / 'a.csv') == ["'=a/b.nii", '-1.5', "'@x", '']


def test_names_of_landmarks(tmp_path):
    names = tuple(name for name in [*FORMULAS, *PLAIN] if name.strip() == name)
    points = np.arange(3.0 * len(names)).reshape(-1, 3)
    write_landmarks_world(tmp_path / 'a.csv', points, names=names)
    found = read_landmarks(tmp_path / 'a.csv')
    assert found.names == names
    np.testing.assert_array_equal(found.points, points)


def test_a_table_of_a_cohort(tmp_path):
    from mmreg.registration.cohort.cases import CohortCase
    from mmreg.registration.cohort.outcome import Outcome, names_of
    from mmreg.registration.cohort.shards import Shard
    from mmreg.registration.cohort.tables import CohortTables

    case = CohortCase('=1+1', {'image': '-f.nii'}, {'image': '@m.nii'})
    outcomes = [Outcome(case, 'done', {**names_of(case), 'warnings': '=x'}), Outcome(case, 'failed', reason='+x')]
    CohortTables(tmp_path).write(outcomes, Shard())
    for name in ('results.csv', 'failures.csv'):
        assert {"'=1+1", "'-f.nii", "'@m.nii"} <= set(cells(tmp_path / name))
        assert not [cell for cell in cells(tmp_path / name) if cell[:1] in ('=', '+', '-', '@')]
