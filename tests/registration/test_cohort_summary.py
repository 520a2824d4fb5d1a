"""Numbers over all cases of a cohort, which cases stand out, and the page that shows them."""

import json
import math

import pytest

from mmreg.registration.cohort.cases import CohortCase
from mmreg.registration.cohort.names import check_case_ids
from mmreg.registration.cohort.outcome import COLUMNS, Outcome, result_line
from mmreg.registration.cohort.shards import Shard
from mmreg.registration.cohort.summary import numbers_of, summary_lines
from mmreg.registration.cohort.tables import CohortTables
from tests.visualization.test_report import Page


def lines(values, name='dice'):
    return [{'case_id': f'c{n}', name: value} for n, value in enumerate(values)]


def test_a_line_per_number_with_the_worst_case():
    (line,) = summary_lines(lines([0.8, 0.6, None, 1.0]))
    assert line['metric'] == 'dice' and line['cases'] == 3 and line['worst_case'] == 'c1'
    assert line['mean'] == pytest.approx(0.8) and line['median'] == 0.8 and (line['min'], line['max']) == (0.6, 1.0)
    (line,) = summary_lines(lines([3.0, 9.0], 'hd95'))
    assert line['worst_case'] == 'c1', 'of distances large ones are worse'
    assert summary_lines(lines([None, math.nan])) == [] and summary_lines([]) == []


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ([0.8, 0.81, 0.79, 0.8, 0.82, 0.78, 0.3], [6]),
        ([0.8, 0.81, 0.79, 0.8, 0.82, 0.78, 1.0], []),  # far, but better
        ([0.8, 0.3], []),  # too few to say
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], []),
    ],
)
def test_what_stands_out(values, expected):
    found = numbers_of(lines(values))['dice'].outliers()
    assert [n for n, far in enumerate(found) if far] == expected


def test_one_folded_case_among_many_without_folds_stands_out():
    found = numbers_of(lines([0.0] * 30 + [2.0], 'folds_percent'))['folds_percent'].outliers()
    assert found.sum() == 1 and found[30]


def case(name):
    return CohortCase(name, {'id': 'f', 'image': 'f.nii.gz'}, {'id': 'm', 'image': 'm.nii.gz'})


def outcomes():
    metrics = {
        'dice': {'before': 0.5, 'after': 0.7}, 'lncc': {'before': 0.2, 'after': 0.4},
        'jacobian_min': {'before': 1.0, 'after': 0.3}, 'inverse_residual_mm': {'mean': 0.01, 'max': 0.2},
    }  # fmt: skip
    plan = {'metrics': metrics, 'timings': {'total': 3.0}, 'warnings': ['a <b>']}
    done = Outcome(case('a&b'), 'done', result_line(case('a&b'), plan), files=frozenset({'report.html'}))
    return [done, Outcome(case('gone'), 'failed', reason='gone.nii.gz: found <no> such file')]


def test_tables_and_page_are_written_together(tmp_path):
    tables = CohortTables(tmp_path)
    tables.write(outcomes(), Shard())
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ['failures.csv', 'index.html', 'results.csv', 'summary.csv']
    header, first = (tmp_path / 'results.csv').read_text(encoding='utf-8').splitlines()
    assert header.split(',') == list(COLUMNS) and 'inverse_error_mm' in header
    assert header.startswith('case_id,fixed,moving,preset,seconds,dice_before,dice,'), (
        'old columns stay in their places'
    )
    rows = json.loads(Page((tmp_path / 'index.html').read_text('utf-8')).data)['rows']
    assert rows[0][:3] == ['a&b', 'a%26b/report.html', ''] and rows[0][5] == 'a <b>'
    assert rows[1][1] == '' and 'found <no> such file' in rows[1][6]
    tables.write(outcomes()[:1], Shard())
    assert not (tmp_path / 'failures.csv').exists()
    assert 'gone' not in (tmp_path / 'index.html').read_text('utf-8'), 'it is written again'


def test_parts_of_several_processes_are_put_together(tmp_path):
    tables = CohortTables(tmp_path)
    for rank, one in enumerate(outcomes()):
        tables.write([one], Shard(rank, 2))
    assert (tmp_path / 'index.part1of2.html').exists()
    tables.merge(outcomes(), 2)
    assert sorted(path.name for path in tmp_path.iterdir() if 'part' in path.name) == []
    assert len(json.loads(Page((tmp_path / 'index.html').read_text('utf-8')).data)['rows']) == 2


def test_layouts_of_challenges_have_no_page(tmp_path):
    CohortTables(tmp_path, with_results=False).write(outcomes(), Shard())
    assert [path.name for path in tmp_path.iterdir()] == ['failures.csv']


@pytest.mark.parametrize('name', ['index.html', 'summary.csv', 'INDEX.part1of2.html'])
def test_names_of_the_page_are_taken(name):
    from mmreg.errors import InputError

    with pytest.raises(InputError, match='(?i)index|summary'):
        check_case_ids('list.csv', ['fine', name])
