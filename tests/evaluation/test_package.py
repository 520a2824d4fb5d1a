"""Archives for challenges: what goes in, what comes out, what is refused."""

import json
import pickle
import zipfile

import numpy as np
import pytest

from mmreg.commands.evaluate import main as evaluate
from mmreg.commands.package import main
from mmreg.errors import DataError
from mmreg.evaluation.challenge.fields import read_field, read_header
from mmreg.io import Geometry, write_displacement_image, write_learn2reg_nifti
from mmreg.io.learn2reg import field_stems

from . import toy


@pytest.fixture
def folders(tmp_path):
    return toy.make_submission(tmp_path / 'predictions'), toy.make_truth(tmp_path / 'truth')


def _options(folders, tmp_path, challenge='learn2reg', *more):
    json_file = str(folders[1] / 'Toy_dataset.json')
    out = str(tmp_path / 'out.zip')
    return [str(folders[0]), '--challenge', challenge, '--dataset', json_file, '-o', out, *more]


def _unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / 'out.zip') as content:
        content.extractall(tmp_path / 'unpacked')
        return sorted(content.namelist())


@pytest.mark.parametrize('challenge', ['learn2reg', 'lumir'])
def test_full_resolution_nifti(folders, tmp_path, challenge):
    assert main(_options(folders, tmp_path, challenge)) == 0
    folder = {'learn2reg': '', 'lumir': 'out/'}[challenge]  # LUMIR asks for folder.zip/folder/disp_*
    assert _unpacked(tmp_path) == [f'{folder}disp_0001_0001.nii.gz', f'{folder}disp_0002_0002.nii.gz']
    path = tmp_path / f'unpacked/{folder}disp_0002_0002.nii.gz'
    assert read_header(path) == ((*toy.SHAPE, 3), 'float32')
    np.testing.assert_array_equal(read_field(path, toy.SHAPE), toy.field(2))
    assert evaluate([str(tmp_path / 'unpacked'), str(folders[1])]) == 0


def test_oasis_is_half_resolution_float16(folders, tmp_path):
    assert main(_options(folders, tmp_path, 'oasis2021')) == 0
    assert _unpacked(tmp_path) == ['task_03/disp_0001_0001.npz', 'task_03/disp_0002_0002.npz']
    path = tmp_path / 'unpacked/task_03/disp_0001_0001.npz'
    assert read_header(path) == ((3, 8, 7, 6), 'float16')
    assert np.abs(read_field(path, toy.SHAPE) - toy.field(1)).mean() < 0.2


def test_fields_in_millimetres_become_voxels(folders, tmp_path):
    """What `mmreg infer` writes for one pair: a folder per case with an ITK field, here on an oblique grid."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0.0, -2.0, 0], [1.5, 0, 0], [0, 0, 3.0]])
    for number in toy.IDS:
        (folders[0] / f'disp_{number:04d}_{number:04d}.nii.gz').unlink()
        case = folders[0] / f'{number:04d}_{number:04d}'
        case.mkdir()
        write_displacement_image(case / 'displacement.nii.gz', toy.field(number), Geometry(toy.SHAPE, affine))
    assert main(_options(folders, tmp_path)) == 0
    _unpacked(tmp_path)
    found = read_field(tmp_path / 'unpacked/disp_0001_0001.nii.gz', toy.SHAPE)
    np.testing.assert_allclose(found, toy.field(1), atol=1e-5)
    (case / 'affine.tfm').write_text('an affine')
    assert main(_options(folders, tmp_path)) != 0


def test_fields_that_a_test_run_saved(folders, tmp_path):
    """``mmreg test --save-fields`` writes one ITK field per case, called by the case."""
    affine = np.diag([-2.0, 1.5, 3.0, 1.0])
    for number in toy.IDS:
        (folders[0] / f'disp_{number:04d}_{number:04d}.nii.gz').unlink()
        saved = folders[0] / f'{number:04d}_{number:04d}.nii.gz'
        write_displacement_image(saved, toy.field(number), Geometry(toy.SHAPE, affine))
    assert main(_options(folders, tmp_path)) == 0
    _unpacked(tmp_path)
    np.testing.assert_allclose(
        read_field(tmp_path / 'unpacked/disp_0001_0001.nii.gz', toy.SHAPE), toy.field(1), atol=1e-5
    )


def test_pickled_pairs_say_what_is_wanted(folders, tmp_path, capsys):
    """OASIS as the TransMorph authors hand it on has no JSON; the names of its files are the list."""
    wanted, fields = tmp_path / 'val', tmp_path / 'fields'
    options = [str(fields), '--challenge', 'oasis2021', '--dataset', str(wanted), '-o', str(tmp_path / 'out.zip')]
    fields.mkdir()
    wanted.mkdir()
    assert main(options) == 2 and 'p_0438_0439.pkl' in capsys.readouterr().err
    image, labels = np.zeros(toy.SHAPE, np.float32), np.zeros(toy.SHAPE, np.int16)
    for fixed, moving in ((438, 439), (439, 440)):
        pair = (image, image, labels, labels)
        (wanted / f'p_{fixed:04d}_{moving:04d}.pkl').write_bytes(pickle.dumps(pair))
        write_displacement_image(
            fields / f'{fixed:04d}_{moving:04d}.nii.gz', toy.field(1), Geometry(toy.SHAPE, np.eye(4))
        )
    assert main(options) == 0
    assert _unpacked(tmp_path) == ['task_03/disp_0438_0439.npz', 'task_03/disp_0439_0440.npz']
    stored = read_field(tmp_path / 'unpacked/task_03/disp_0438_0439.npz', toy.SHAPE)
    assert np.abs(stored - toy.field(1)).mean() < 0.2
    (fields / '0439_0440.nii.gz').unlink()
    assert main(options) == 2 and 'disp_0439_0440: missing' in capsys.readouterr().err


def test_images_called_by_word_and_number():
    """Abdomen CT of 2020 is called img0024."""
    assert field_stems('img/img0024.nii.gz', 'img/img0025.nii.gz')[0] == 'disp_0024_0025'
    with pytest.raises(DataError, match='no number'):
        field_stems('T1_brain.nii.gz', 'T2_brain.nii.gz')


def _refused(folders, tmp_path, capsys, *options):
    (tmp_path / 'out.zip').unlink(missing_ok=True)
    assert main(_options(folders, tmp_path, *options)) != 0
    assert not list(tmp_path.glob('*.zip')) and not list(tmp_path.glob('.*'))
    return capsys.readouterr().err


def test_incomplete_and_superfluous_predictions_are_named(folders, tmp_path, capsys):
    (folders[0] / 'disp_0001_0001.nii.gz').rename(folders[0] / 'disp_0001_0003.nii.gz')
    message = _refused(folders, tmp_path, capsys)
    assert 'disp_0001_0001: missing' in message and 'disp_0001_0003.nii.gz: not among the pairs' in message


def test_bad_values_are_refused(folders, tmp_path, capsys):
    write_learn2reg_nifti(folders[0] / 'disp_0001_0001.nii.gz', np.zeros((3, 5, 6, 7), np.float32))
    assert 'shape (5, 6, 7, 3)' in _refused(folders, tmp_path, capsys)
    field = np.moveaxis(toy.field(1), 0, -1).copy()
    field[0, 0, 0] = np.inf
    (folders[0] / 'disp_0001_0001.nii.gz').unlink()
    np.savez(folders[0] / 'disp_0001_0001.npz', field)
    write_learn2reg_nifti(folders[0] / 'disp_0002_0002.nii.gz', np.zeros((3, 5, 6, 7), np.float32))
    message = _refused(folders, tmp_path, capsys)
    assert 'infinite' in message and 'shape (5, 6, 7, 3)' in message  # both at once
    write_learn2reg_nifti(folders[0] / 'disp_0002_0002.nii.gz', toy.field(2))
    np.savez(folders[0] / 'disp_0001_0001.npz', np.full((*toy.SHAPE, 3), 1e5, np.float32))
    assert '65504' in _refused(folders, tmp_path, capsys, 'oasis2021')


def test_data_set_json_must_have_pairs_and_shapes(folders, tmp_path, capsys):
    json_file = folders[1] / 'Toy_dataset.json'
    content = json.loads(json_file.read_text(encoding='utf-8'))
    assert 'no pairs' in _refused(folders, tmp_path, capsys, 'learn2reg', '--split', 'test')
    (folders[1] / 'imagesTr').rename(folders[1] / 'elsewhere')
    assert 'tensorImageShape' in _refused(folders, tmp_path, capsys)
    json_file.write_text(json.dumps({**content, 'tensorImageShape': {'0': list(toy.SHAPE)}}))
    assert main(_options(folders, tmp_path)) == 0
    json_file.write_text(json.dumps({'registration_val': content['registration_val'] * 2}))
    assert 'disp_0001_0001' in _refused(folders, tmp_path, capsys, 'learn2reg', '--shape', '16', '14', '12')


def _rewritten(archive, change):
    with zipfile.ZipFile(archive) as content:
        members = {name: content.read(name) for name in content.namelist()}
    change(members)
    with zipfile.ZipFile(archive, 'w') as content:
        for name, data in members.items():
            content.writestr(name, data)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda m: m.pop('disp_0001_0001.nii.gz'), 'disp_0001_0001.nii.gz: missing'),
        (lambda m: m.update({'results.csv': b'x'}), 'results.csv: not expected'),
        (lambda m: m.update({'disp_0001_0001.nii.gz': b'x'}), 'disp_0001_0001.nii.gz'),
    ],
)
def test_a_finished_archive_can_be_checked(folders, tmp_path, capsys, change, words):
    assert main(_options(folders, tmp_path)) == 0
    check = ['--challenge', 'learn2reg', '--dataset', str(folders[1] / 'Toy_dataset.json')]
    assert main([str(tmp_path / 'out.zip'), *check]) == 0
    _rewritten(tmp_path / 'out.zip', change)
    assert main([str(tmp_path / 'out.zip'), *check]) != 0
    assert words in capsys.readouterr().err
    (tmp_path / 'out.zip').write_bytes(b'PK no archive')
    assert main([str(tmp_path / 'out.zip'), *check]) != 0


@pytest.mark.parametrize('challenge', ['learn2reg', 'lumir', 'lumir25'])
@pytest.mark.parametrize('folder', ['', 'any name/'])
@pytest.mark.parametrize('name', ['disp_{0}_{0}.nii.gz', 'disp_{0}_0000_{0}_0001.nii.gz'])
def test_what_the_scorers_read_is_accepted(folders, tmp_path, challenge, folder, name):
    """At the top or in one folder, by the short or the full name, with what a Mac adds."""
    archive = tmp_path / 'own.zip'
    with zipfile.ZipFile(archive, 'w') as content:
        for number in toy.IDS:
            stored = folders[0] / f'disp_{number:04d}_{number:04d}.nii.gz'
            content.write(stored, folder + name.format(f'{number:04d}'))
        content.writestr('__MACOSX/._x', b'')
    check = ['--challenge', challenge, '--dataset', str(folders[1] / 'Toy_dataset.json')]
    assert main([str(archive), *check]) == 0
    assert evaluate([str(archive), str(folders[1])]) == 0


def _positions(field):
    return np.stack(np.meshgrid(*map(np.arange, field.shape[1:]), indexing='ij')).astype(np.float32) + field


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (_positions, 'positions'),
        (lambda field: _positions(field) / 8 - 1, 'positions'),
        (lambda field: field / np.abs(field).max() / 2, 'normalised'),
        (lambda field: field * 100, 'larger than the image'),
    ],
)
def test_fields_in_other_units_are_doubted(folders, tmp_path, capsys, change, words):
    assert main(_options(folders, tmp_path)) == 0
    assert 'warning' not in capsys.readouterr().out
    for number in toy.IDS:
        write_learn2reg_nifti(folders[0] / f'disp_{number:04d}_{number:04d}.nii.gz', change(toy.field(number)))
    assert main(_options(folders, tmp_path)) == 0
    out = capsys.readouterr().out
    assert 'warning: ' in out and words in out
    assert evaluate([str(folders[0]), str(folders[1])]) == 0
    assert words in capsys.readouterr().out
    check = ['--challenge', 'learn2reg', '--dataset', str(folders[1] / 'Toy_dataset.json')]
    assert main([str(tmp_path / 'out.zip'), *check]) == 0
    assert words in capsys.readouterr().out


def test_a_submission_of_zeros_is_not_doubted(folders, tmp_path, capsys):
    for number in toy.IDS:
        write_learn2reg_nifti(folders[0] / f'disp_{number:04d}_{number:04d}.nii.gz', 0 * toy.field(number))
    assert main(_options(folders, tmp_path)) == 0
    assert 'warning' not in capsys.readouterr().out
