"""Many pairs: one failure stops nothing, finished cases are known, tables are whole at every moment."""

import csv
import json

import numpy as np
import pytest

from mmreg.apis import RegistrationInferencer
from mmreg.io import Geometry, Volume, read_learn2reg_nifti, read_learn2reg_npz, write_volume
from mmreg.registration.cohort.cases import read_cases
from mmreg.registration.cohort.cohort import Cohort
from mmreg.registration.cohort.settings import CohortSettings
from tests.io.helpers import smooth_image

GRID = Geometry.from_parts((16, 16, 16))
HEAD = dict(shift=(1.0, 0.4, -0.4))


@pytest.fixture
def folder(tmp_path):
    """Three images, labels of two of them, and a list in which one pair cannot work."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[4:8, 4:8, 4:8] = 1
    for number in range(3):
        write_volume(tmp_path / f'img_{number:04d}_0000.nii.gz', smooth_image(GRID, number))
        write_volume(tmp_path / f'seg_{number}.nii.gz', Volume(np.roll(labels, number, 0), GRID))
    (tmp_path / 'broken.nii.gz').write_bytes(b'no image')
    rows = [
        'fixed,moving,fixed_labels,moving_labels,case_id',
        'img_0000_0000.nii.gz,img_0001_0000.nii.gz,seg_0.nii.gz,seg_1.nii.gz,first',
        'broken.nii.gz,img_0001_0000.nii.gz,,,second',
        'img_0001_0000.nii.gz,img_0002_0000.nii.gz,,,',
    ]
    (tmp_path / 'pairs.csv').write_text('\n'.join(rows))
    return tmp_path


def table(path):
    with path.open(newline='') as file:
        return {row['case_id']: row for row in csv.DictReader(file)}


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


@pytest.fixture
def cohort(config, folder):
    def make(head=HEAD, **options):
        register = RegistrationInferencer(config(**head), device='cpu')
        options = {'outputs': ('displacement', 'metrics'), **options}
        return Cohort(register, read_cases(folder / 'pairs.csv'), CohortSettings(folder / 'out', **options))

    return make


def test_one_failure_stops_nothing(cohort, folder):
    seen = []
    outcomes = cohort().run(lambda outcome: seen.append((outcome.status, (folder / 'out' / 'results.csv').is_file())))
    assert statuses(outcomes) == ['done', 'failed', 'done'] and seen[0] == ('done', True) and len(seen) == 3
    results, failures = table(folder / 'out' / 'results.csv'), table(folder / 'out' / 'failures.csv')
    assert set(results) == {'first', 'img_0001_0000_img_0002_0000'}
    assert float(results['first']['dice']) == 1 > float(results['first']['dice_before']) > 0
    assert set(failures) == {'second'} and 'broken.nii.gz' in failures['second']['reason']
    assert '\n' not in failures['second']['reason']
    assert not (folder / 'out' / 'second').exists()


def test_finished_cases_are_skipped(cohort, folder):
    cohort().run()
    table_before = (folder / 'out' / 'results.csv').read_text(encoding='utf-8')
    again = cohort().run()
    assert statuses(again) == ['skipped', 'failed', 'skipped']
    assert (folder / 'out' / 'results.csv').read_text(encoding='utf-8') == table_before
    assert statuses(cohort(overwrite=True).run()) == ['done', 'failed', 'done']


def test_a_mended_case_is_done_and_the_failure_forgotten(cohort, folder):
    cohort().run()
    write_volume(folder / 'broken.nii.gz', smooth_image(GRID, 9))
    assert statuses(cohort().run()) == ['skipped', 'done', 'skipped']
    assert len(table(folder / 'out' / 'results.csv')) == 3
    assert not (folder / 'out' / 'failures.csv').exists()


def test_results_of_other_settings_are_not_taken_for_finished(cohort, folder):
    cohort().run()
    assert statuses(cohort(head=dict(shift=(0.0, 0.0, 1.0))).run()) == ['done', 'failed', 'done']
    write_volume(folder / 'img_0002_0000.nii.gz', smooth_image(GRID, 11))
    assert statuses(cohort(head=dict(shift=(0.0, 0.0, 1.0))).run()) == ['skipped', 'failed', 'done']


def test_interruption_keeps_what_is_done(cohort, folder):
    def stop(outcome):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cohort().run(stop)
    assert set(table(folder / 'out' / 'results.csv')) == {'first'}
    assert statuses(cohort().run()) == ['skipped', 'failed', 'done']


def test_command(command, folder, capfd):
    arguments = ['--pairs', folder / 'pairs.csv', '--out', folder / 'out', '--outputs', 'displacement']
    assert command(*arguments) == 1
    out, err = capfd.readouterr()
    assert '2 registered' in out and '1 failed' in out and 'failed: second: ' in out and 'Traceback' not in out + err
    (folder / 'pairs.csv').write_text('fixed,moving\nimg_0000_0000.nii.gz,img_0001_0000.nii.gz\n')
    assert command(*arguments) == 0
    assert '3/3' in err or '3/3' in out


def lumir_json(folder, split, key='validation'):
    pairs = [{'fixed': f'/img_{a:04d}_0000.nii.gz', 'moving': f'./img_{b:04d}_0000.nii.gz'} for a, b in split]
    path = folder / 'LUMIR_dataset.json'
    other = {'validation': [{'image': '/img_0000_0000.nii.gz'}]} if key == 'test' else {}
    path.write_text(json.dumps({'name': 'LUMIR', **other, key: pairs}))
    return path


@pytest.mark.parametrize('key', ['validation', 'test'])
def test_lumir_layout(command, folder, key):
    path = lumir_json(folder, [(0, 1), (2, 1)], key)
    out = folder / 'submission'
    assert command('--pairs', path, '--layout', 'lumir', '--out', out, shift=(1.0, 0.5, -0.5)) == 0
    assert sorted(p.name for p in out.iterdir()) == ['disp_0000_0001.nii.gz', 'disp_0002_0001.nii.gz']
    displacement = read_learn2reg_nifti(out / 'disp_0002_0001.nii.gz', GRID.shape)
    np.testing.assert_allclose(displacement[:, 8, 8, 8], [1.0, 0.5, -0.5], atol=1e-5)
    kept = (out / 'disp_0000_0001.nii.gz').stat().st_mtime_ns
    assert command('--pairs', path, '--layout', 'lumir', '--out', out, shift=(1.0, 0.5, -0.5)) == 0
    assert (out / 'disp_0000_0001.nii.gz').stat().st_mtime_ns == kept
    assert command('--pairs', path, '--layout', 'lumir', '--out', out, shift=(2.0, 0.0, 0.0)) == 0
    displacement = read_learn2reg_nifti(out / 'disp_0002_0001.nii.gz', GRID.shape)
    np.testing.assert_allclose(displacement[:, 8, 8, 8], [2.0, 0.0, 0.0], atol=1e-5, err_msg='of the other model')


@pytest.mark.parametrize('layout', ['lumir', 'oasis'])
def test_fields_of_other_weights_or_files_are_made_again(command, folder, layout, capfd):
    """What is finished is told by the files, the model and the options, not by a name that is there."""
    path, out = lumir_json(folder, [(0, 1)]), folder / 'submission'

    def run(shift=(1.0, 0.0, 0.0)):
        return command('--pairs', path, '--layout', layout, '--out', out, shift=shift)

    assert run() == 0 and '1 registered' in capfd.readouterr().out
    assert run() == 0 and '1 finished before' in capfd.readouterr().out
    moving = next(folder.rglob('*_0001_0000.nii.gz'))
    moving.touch()
    assert run() == 0 and '1 registered' in capfd.readouterr().out
    assert run(shift=(0.0, 1.0, 0)) == 0 and '1 registered' in capfd.readouterr().out
    (field,) = out.iterdir()
    field.write_bytes(field.read_bytes()[:50])
    assert run(shift=(0.0, 1.0, 0)) == 0, 'a damaged file is no result'


def test_pairs_of_one_subject_get_the_names_of_the_scorer(command, folder, capfd):
    """Thorax CT and two cone-beam CTs of one subject: two fields, not one."""
    images = {name: folder / f'Thorax_0011_{name}.nii.gz' for name in ('0000', '0001', '0002')}
    source = next(folder.rglob('*_0001_0000.nii.gz'))
    for image in images.values():
        image.write_bytes(source.read_bytes())
    pairs = [{'fixed': images['0000'].name, 'moving': images[name].name} for name in ('0001', '0002')]
    (folder / 'Thorax_dataset.json').write_text(json.dumps({'registration_val': pairs}))
    out = folder / 'out'
    run = ('--pairs', folder / 'Thorax_dataset.json', '--layout', 'learn2reg', '--out', out)
    assert command(*run) == 0
    assert sorted(p.name for p in out.iterdir()) == ['disp_0011_0000_0011_0002.nii.gz', 'disp_0011_0011.nii.gz']
    twice = [{'fixed': images['0000'].name, 'moving': f'{part}_0011_0002.nii.gz'} for part in ('a', 'b')]
    for pair in twice:
        (folder / pair['moving']).write_bytes(source.read_bytes())
    rows = ''.join(f'{pair["fixed"]},{pair["moving"]},{number}\n' for number, pair in enumerate(twice))
    (folder / 'twice.csv').write_text(f'fixed,moving,case_id\n{rows}')
    assert command('--pairs', folder / 'twice.csv', *run[2:]) == 2
    assert 'disp_0011_0000_0011_0002.nii.gz for' in capfd.readouterr().err


def test_container_mounts_are_the_defaults(command, folder, monkeypatch):
    lumir_json(folder, [(0, 1)])
    mounts = {'pairs': str(folder / 'LUMIR_dataset.json'), 'data_root': str(folder), 'out': str(folder / 'output')}
    monkeypatch.setattr('mmreg.commands.infer.LUMIR_MOUNTS', mounts)
    assert command('--layout', 'lumir') == 0
    assert [p.name for p in (folder / 'output').iterdir()] == ['disp_0000_0001.nii.gz']


def test_oasis_layout(command, folder):
    out = folder / 'task_03'
    path = lumir_json(folder, [(2, 0)])
    assert command('--pairs', path, '--layout', 'oasis', '--out', out, shift=(1.0, 0.5, -0.5)) == 0
    displacement = read_learn2reg_npz(out / 'disp_0002_0000.npz', GRID.shape)
    np.testing.assert_allclose(displacement.mean((1, 2, 3)), [1.0, 0.5, -0.5], atol=1e-2)


def test_layout_needs_numbers(command, folder, capfd):
    (folder / 'pairs.csv').write_text('fixed,moving,case_id\nbroken.nii.gz,img_0001_0000.nii.gz,x\n')
    assert command('--pairs', folder / 'pairs.csv', '--layout', 'learn2reg', '--out', folder / 'out') == 1
    assert "found the subjects 'broken'" in capfd.readouterr().out


def test_learn2reg_json_with_labels(config, folder):
    """Labels come from the folder beside the images."""
    (folder / 'imagesTr').mkdir()
    (folder / 'labelsTr').mkdir()
    for number in range(2):
        write_volume(folder / 'imagesTr' / f'A_{number:04d}_0000.nii.gz', smooth_image(GRID, number))
        write_volume(folder / 'labelsTr' / f'A_{number:04d}_0000.nii.gz', Volume(np.ones(GRID.shape, np.uint8), GRID))
    entry = {'fixed': './imagesTr/A_0000_0000.nii.gz', 'moving': './imagesTr/A_0001_0000.nii.gz'}
    (folder / 'data.json').write_text(json.dumps({'registration_val': [entry]}))
    (case,) = read_cases(folder / 'data.json')
    assert case.case_id == '0000_0001'
    assert case.arguments()['fixed_labels'].endswith('labelsTr/A_0000_0000.nii.gz')
