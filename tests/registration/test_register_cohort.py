"""Many pairs without training: shared among processes, in batches, without growing, finished where it stopped."""

import csv
import gc
import json
import resource
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from mmreg.commands.register import main
from mmreg.io import write_volume
from mmreg.registration.by_preset import PresetRegistration
from mmreg.registration.cohort.cases import read_cases
from mmreg.registration.cohort.cohort import Cohort
from mmreg.registration.cohort.settings import CohortSettings
from mmreg.registration.cohort.shards import Shard

from .phantoms import centred, draw, pose, write_preset

GRID = centred((16, 14, 15), (5.0, 5.0, 5.0))
QUICK = '\noptimisation = dict(levels=[dict(scale=1, iterations=2)])\naffine = None\n'


@pytest.fixture
def folder(tmp_path):
    """Images, a quick preset, and a list with one pair that cannot work."""
    for number in range(3):
        write_volume(tmp_path / f'img_{number}.nii.gz', draw(GRID, pose(0, (2.0 * number, 0, 0)), seed=number))
    write_volume(tmp_path / 'labels.nii.gz', draw(GRID, labels=True))
    (tmp_path / 'broken.nii.gz').write_bytes(b'no image')
    write_preset(tmp_path, QUICK)
    return tmp_path


def write_list(folder, count, broken=()):
    rows = ['fixed,moving,fixed_labels,moving_labels,case_id']
    for number in range(count):
        moving = 'broken.nii.gz' if number in broken else f'img_{number % 3}.nii.gz'
        rows.append(f'img_0.nii.gz,{moving},labels.nii.gz,labels.nii.gz,case_{number:03d}')
    (folder / 'pairs.csv').write_text('\n'.join(rows) + '\n')
    return folder / 'pairs.csv'


def table(path):
    with path.open(newline='') as file:
        return {row['case_id']: row for row in csv.DictReader(file)}


def cohort(folder, out='out', **options):
    register = PresetRegistration(folder / 'tiny.py', 'cpu')
    options = {'outputs': ('metrics',), **options}
    return Cohort(register, read_cases(folder / 'pairs.csv'), CohortSettings(folder / out, **options))


def test_command(folder, capfd):
    arguments = ['--pairs', write_list(folder, 3, broken=(1,)), '-o', folder / 'out', '--preset', folder / 'tiny.py']
    arguments = [*map(str, arguments), '--device', 'cpu', '--outputs', 'metrics']
    assert main(arguments) == 1
    out, err = capfd.readouterr()
    assert '2 registered' in out and 'failed: case_001: ' in out
    assert any(unit in err for unit in ('cases/s', 's/case'))  # whichever the machine is fast enough for
    results, failures = table(folder / 'out' / 'results.csv'), table(folder / 'out' / 'failures.csv')
    assert set(results) == {'case_000', 'case_002'} and set(failures) == {'case_001'}
    assert results['case_000']['preset'] == 'tiny' and 'broken.nii.gz' in failures['case_001']['reason']
    plan = json.loads((folder / 'out' / 'case_000' / 'plan.json').read_text(encoding='utf-8'))
    write_list(folder, 3)
    assert main(arguments) == 0
    assert '1 registered' in capfd.readouterr().out
    assert not (folder / 'out' / 'failures.csv').exists()
    assert (
        json.loads((folder / 'out' / 'case_000' / 'plan.json').read_text(encoding='utf-8'))['created']
        == plan['created']
    )


def test_two_processes_of_torchrun(folder):
    """Each case is registered by one of them; tables and exit code are common; a single process goes on from there."""
    write_list(folder, 5, broken=(2,))
    command = [
        sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2', '-m', 'mmreg.cli',
        'register', '--pairs', folder / 'pairs.csv', '-o', folder / 'out', '--preset', folder / 'tiny.py',
        '--device', 'cpu', '--outputs', 'metrics',
    ]  # fmt: skip
    run = subprocess.run([*map(str, command)], capture_output=True, encoding='utf-8', errors='replace')
    assert run.returncode == 1, run.stderr
    assert run.stdout.count('4 registered') == 1 and '1 failed' in run.stdout
    assert [run.stderr.count(f'process {n} of 2') > 0 for n in (1, 2)] == [True, True]
    results = table(folder / 'out' / 'results.csv')
    assert list(results) == ['case_000', 'case_001', 'case_003', 'case_004']
    assert set(table(folder / 'out' / 'failures.csv')) == {'case_002'}
    written = sorted(p.name for p in (folder / 'out').iterdir() if p.is_file())
    assert written == ['done.jsonl', 'failures.csv', 'index.html', 'results.csv', 'summary.csv']
    write_list(folder, 5)
    made = {name: (folder / 'out' / name / 'plan.json').stat().st_mtime_ns for name in results}
    assert [o.status for o in cohort(folder, affine='auto').run()] == ['skipped'] * 2 + ['done'] + ['skipped'] * 2
    assert len(table(folder / 'out' / 'results.csv')) == 5
    assert made == {name: (folder / 'out' / name / 'plan.json').stat().st_mtime_ns for name in results}


def test_shares_are_disjoint_and_whole(folder):
    cases = list(range(11))
    shares = [Shard(rank, 4).share(cases) for rank in range(4)]
    assert sorted(sum(shares, [])) == cases and max(map(len, shares)) - min(map(len, shares)) <= 1
    assert Shard().share(cases) == cases and Shard().suffix == '' and Shard(1, 4).suffix == '.part2of4'


def test_batches_give_the_same_results(folder):
    """Pairs of equal grids together, others alone; one that fails does not stop its batch."""
    other = centred((14, 15, 16), (5.0, 5.0, 5.0))
    write_volume(folder / 'img_0b.nii.gz', draw(other))
    rows = ['fixed,moving,case_id']
    rows += ['img_0.nii.gz,img_1.nii.gz,a', 'img_0b.nii.gz,img_1.nii.gz,b', 'img_0.nii.gz,img_2.nii.gz,c']
    rows += ['img_0.nii.gz,broken.nii.gz,d', 'img_2.nii.gz,img_1.nii.gz,e']
    (folder / 'pairs.csv').write_text('\n'.join(rows))
    outputs = ('displacement', 'metrics')
    single = cohort(folder, 'single', outputs=outputs)
    batched = cohort(folder, outputs=outputs, batch_size=4)
    statuses = [[(o.case.case_id, o.status) for o in one.run()] for one in (single, batched)]
    assert statuses[0] == statuses[1] == [(n, 'failed' if n == 'd' else 'done') for n in 'abcde']
    sizes = {}
    for name in 'abce':
        fields = []
        for place in ('single', 'out'):
            import SimpleITK as sitk

            fields.append(sitk.GetArrayFromImage(sitk.ReadImage(str(folder / place / name / 'displacement.nii.gz'))))
        np.testing.assert_allclose(fields[0], fields[1], atol=1e-3)
        assert np.abs(fields[0]).max() > 0.1
        sizes[name] = json.loads((folder / 'out' / name / 'plan.json').read_text(encoding='utf-8'))['source']['batch']
    assert sizes == {'a': 2, 'b': 1, 'c': 2, 'e': 1}


def test_a_batch_that_fails_is_tried_one_by_one(folder, monkeypatch):
    from mmreg.registration.sources.instance import InstanceOptimisation

    write_list(folder, 3)
    original = InstanceOptimisation.__call__

    def fragile(self, pairs, watch=None, start=None):
        if len(pairs) > 1 or pairs[0].pair.case_id == 'case_001':
            raise RuntimeError('no idea')
        return original(self, pairs, watch, start)

    monkeypatch.setattr(InstanceOptimisation, '__call__', fragile)
    outcomes = cohort(folder, batch_size=3).run()
    assert [o.status for o in outcomes] == ['done', 'failed', 'done']
    assert outcomes[1].reason == 'RuntimeError: no idea'


def test_memory_does_not_grow_with_the_number_of_pairs(folder):
    """After the first pairs, many more cost less than a tenth of one pair's arrays each."""
    write_list(folder, 40)
    marks = []

    def note(outcome):
        if outcome.case.case_id in ('case_023', 'case_039'):  # by then everything is imported that ever will be
            gc.collect()
            marks.append((tracemalloc.get_traced_memory()[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))

    tracemalloc.start()
    try:
        cohort(folder).run(note)
    finally:
        tracemalloc.stop()
    one_pair = 16 * 14 * 15 * 4 * 10  # a handful of volumes
    assert marks[1][0] - marks[0][0] < 16 * one_pair / 10, marks
    assert marks[1][1] - marks[0][1] < 20_000, marks  # kB


def test_tables_of_long_lists_are_not_written_after_every_case(folder, monkeypatch):
    """They must not cost more than the work; at the end they are whole."""
    write_list(folder, 6)
    written = []
    one = cohort(folder)
    original = Cohort.write_tables

    def slow(self, outcomes, shard=None):
        written.append(len(outcomes))
        original(self, outcomes, shard)
        self._tables_due += 1000.0

    monkeypatch.setattr(Cohort, 'write_tables', slow)
    assert len(one.run()) == 6
    assert written == [1, 6] and len(table(folder / 'out' / 'results.csv')) == 6
