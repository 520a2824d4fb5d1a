"""The index of finished cases: a shortcut that never says more than the folders of the cases do."""

import json
import os
import shutil

import numpy as np
import pytest

from mmreg.io import Geometry, Volume, write_volume
from mmreg.registration.cohort import cohort as cohort_module
from mmreg.registration.cohort.cases import read_cases
from mmreg.registration.cohort.done import DONE
from mmreg.registration.cohort.engines.base import LocalEngine
from mmreg.registration.cohort.job import CohortJob
from mmreg.registration.cohort.settings import CohortSettings
from mmreg.registration.options import RunOptions

QUICK = RunOptions(
    preset='generic', affine='none', cfg_options={'optimisation.levels': [{'spacing': 2.0, 'iterations': 1}]}
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Go through a list of three; returns each case's status, and whose plan was read."""
    grid = np.indices((12, 12)) - 6.0
    lines = ['fixed,moving,case_id']
    for number in range(3):
        image = np.exp(-(((grid - 0.3 * number) / 3) ** 2).sum(0)).astype(np.float32)
        write_volume(tmp_path / f'i{number}.nii', Volume(image, Geometry.from_parts((12, 12))))
        lines.append(f'i0.nii,i{number}.nii,case{number}')
    (tmp_path / 'pairs.csv').write_text('\n'.join(lines) + '\n')
    read = []
    marker = cohort_module.read_marker
    monkeypatch.setattr(cohort_module, 'read_marker', lambda place: read.append(place.name) or marker(place))
    engine = LocalEngine()

    def go(**options):
        read.clear()
        job = CohortJob(QUICK, CohortSettings(tmp_path / 'out', affine='none', outputs=('displacement',), **options))
        outcomes = engine.run(job, read_cases(tmp_path / 'pairs.csv'))
        return [outcome.status for outcome in outcomes], list(read)

    return go


def test_a_rerun_reads_one_file(run, tmp_path):
    assert run() == (['done'] * 3, ['case0', 'case1', 'case2'])
    table = (tmp_path / 'out' / 'results.csv').read_text(encoding='utf-8')
    page = (tmp_path / 'out' / 'index.html').read_text(encoding='utf-8')
    assert run() == (['skipped'] * 3, [])
    assert (tmp_path / 'out' / 'results.csv').read_text(encoding='utf-8') == table
    assert (tmp_path / 'out' / 'index.html').read_text(encoding='utf-8') == page


def test_what_is_gone_is_not_finished(run, tmp_path):
    run()
    shutil.rmtree(tmp_path / 'out' / 'case0')
    (tmp_path / 'out' / 'case1' / 'displacement.nii.gz').unlink()
    assert run() == (['done', 'done', 'skipped'], ['case0', 'case1'])
    assert run() == (['skipped'] * 3, [])


def test_other_files_or_settings_are_not_finished(run, tmp_path):
    run()
    os.utime(tmp_path / 'i2.nii', ns=(1, 1))
    assert run()[0] == ['skipped', 'skipped', 'done']
    assert run(inverse=False)[0] == ['done'] * 3
    assert run(overwrite=True, inverse=False)[0] == ['done'] * 3


def test_without_the_index_the_plans_are_read_and_it_is_made_again(run, tmp_path):
    run()
    (tmp_path / 'out' / DONE).unlink()
    assert run() == (['skipped'] * 3, ['case0', 'case1', 'case2'])
    assert run() == (['skipped'] * 3, [])


def _torn(lines):
    return '\n'.join(lines)[:-40]


def _other(lines):
    found = [json.loads(line) for line in lines]
    found[0]['line']['dice'] = 'many'
    found[1]['stamp'] = None
    found[2] = [3]
    return '\n'.join(map(json.dumps, found)) + '\n{"case": \n\x00\n' + '[' * 100000 + '\n'


@pytest.mark.parametrize('spoil, read', [(_torn, 1), (_other, 3), (lambda lines: '', 3)])
def test_lines_that_are_not_ours_are_none(spoil, read, run, tmp_path):
    run()
    index = tmp_path / 'out' / DONE
    index.write_text(spoil(index.read_text(encoding='utf-8').splitlines()))
    statuses, plans = run()
    assert statuses == ['skipped'] * 3 and len(plans) == read
    assert run() == (['skipped'] * 3, [])


def test_a_pipe_in_its_place_is_not_waited_for(run, tmp_path):
    (tmp_path / 'out').mkdir()
    os.mkfifo(tmp_path / 'out' / DONE)
    assert run()[0] == ['done'] * 3
    assert run() == (['skipped'] * 3, ['case0', 'case1', 'case2'])
