"""The challenge scorer against a restatement of the published evaluation, and what it refuses."""

import json
import math

import numpy as np
import pytest
from scipy.ndimage import correlate1d, map_coordinates, zoom

from mmreg.commands.evaluate import main
from mmreg.io import write_learn2reg_nifti, write_learn2reg_npz
from tests.golden.fill import image, labels

from . import toy


@pytest.fixture
def folders(tmp_path):
    return toy.make_submission(tmp_path / 'submission'), toy.make_truth(tmp_path / 'truth')


def _score(folders, tmp_path, *options):
    out = tmp_path / 'out.json'
    assert main([*map(str, folders), '-o', str(out), *options]) == 0
    return json.loads(out.read_text(encoding='utf-8'))


def _restated(number):
    """Measures of one pair, as the published evaluation computes them."""
    field = toy.field(number).astype(float)
    fixed = labels(number, toy.SHAPE, 4, sigma=3.0)
    moving = np.roll(fixed, 1, 0)
    grid = np.stack(np.meshgrid(*map(np.arange, toy.SHAPE), indexing='ij'))
    warped = map_coordinates(moving, grid + field, order=0)
    dice = [2 * ((fixed == k) & (warped == k)).sum() / ((fixed == k).sum() + (warped == k).sum()) for k in (1, 2, 3)]
    gradient = [[correlate1d(field[a], [-0.5, 0, 0.5], axis=b, mode='constant') for b in range(3)] for a in range(3)]
    matrix = np.array(gradient) + np.eye(3).reshape(3, 3, 1, 1, 1)
    determinant = np.linalg.det(matrix[:, :, 2:-2, 2:-2, 2:-2].transpose(2, 3, 4, 0, 1))
    logs = np.log(np.clip(determinant + 3, 1e-9, 1e9))
    mask = (image(10 * number, toy.SHAPE) > 0.4)[2:-2, 2:-2, 2:-2]
    points = [np.random.default_rng(10 * number + side).uniform(3, 9, (5, 3)) for side in (0, 1)]
    moved = points[0] + np.stack([map_coordinates(u, points[0].T, order=3) for u in field], 1)
    return {
        'DSC': dice,
        'LogJacDetStd': {'masked': logs[mask].std(), 'unmasked': logs.std()},
        'TRE_kp': np.linalg.norm((moved - points[1]) * toy.SPACING, axis=1),
    }


@pytest.mark.parametrize('masking', ['masked', 'unmasked'])
def test_measures_are_the_published_ones(folders, tmp_path, masking):
    found = _score(folders, tmp_path, f'--{masking}')
    assert found['name'] == 'Toy' and found['eval_version'] == '2.0'
    means = []
    for number in toy.IDS:
        case, expected = found['cases'][f'{number:04d}_0000<--{number:04d}_0001'], _restated(number)
        np.testing.assert_allclose(case['DSC']['detailed'], [*expected['DSC'], np.nan], atol=1e-9)
        assert case['LogJacDetStd']['mean'] == pytest.approx(expected['LogJacDetStd'][masking], abs=1e-6)
        np.testing.assert_allclose(case['TRE_kp']['detailed'], expected['TRE_kp'], atol=1e-5)
        means.append(np.mean(expected['DSC']))
    aggregate = found['aggregates']['DSC']
    assert aggregate['mean'] == pytest.approx(np.mean(means)) and aggregate['std'] == pytest.approx(np.std(means))
    assert aggregate['30'] == pytest.approx(np.quantile(means, 0.3))


def test_the_config_decides_about_the_mask(folders, tmp_path):
    masked, default = (_score(folders, tmp_path, *o)['aggregates']['LogJacDetStd'] for o in (['--masked'], []))
    assert default == masked != _score(folders, tmp_path, '--no-masked')['aggregates']['LogJacDetStd']


@pytest.mark.parametrize('kind', ['npz full', 'npz half first', 'npz half last', 'nifti half'])
def test_every_layout_is_read(folders, tmp_path, kind):
    reference = _score(folders, tmp_path)
    submission = folders[0]
    for number in toy.IDS:
        path, field = submission / f'disp_{number:04d}_{number:04d}.nii.gz', toy.field(number)
        path.unlink()
        npz = path.with_name(path.name.replace('.nii.gz', '.npz'))
        half = np.stack([zoom(u, 0.5, order=2) for u in field])
        if kind == 'npz full':
            np.savez(npz, np.moveaxis(field, 0, -1))
        elif kind == 'npz half first':
            write_learn2reg_npz(npz, field)
        elif kind == 'npz half last':
            np.savez(npz, np.moveaxis(half, 0, -1))
        else:
            write_learn2reg_nifti(path, half)
    found = _score(folders, tmp_path)
    tolerance = 1e-6 if kind == 'npz full' else 0.3  # half resolution loses detail
    for name in ('DSC', 'TRE_kp'):
        assert found['aggregates'][name]['mean'] == pytest.approx(reference['aggregates'][name]['mean'], rel=tolerance)


def test_own_conventions_differ_where_the_published_ones_are_wrong(folders, tmp_path):
    published, own = _score(folders, tmp_path), _score(folders, tmp_path, '--correct')
    assert own['conventions'] == 'mmreg'
    assert own['aggregates']['LogJacDetStd']['mean'] > 2 * published['aggregates']['LogJacDetStd']['mean']
    assert own['aggregates']['HD95']['mean'] != published['aggregates']['HD95']['mean']  # mm, not voxels
    assert 'foldings_percent' in own['aggregates']


def test_a_label_wiped_out_by_the_warp(folders, tmp_path):
    write_learn2reg_nifti(folders[0] / 'disp_0001_0001.nii.gz', np.full((3, *toy.SHAPE), 100.0, np.float32))
    case = _score(folders, tmp_path)['cases']['0001_0000<--0001_0001']
    assert case['DSC']['mean'] == 0 and case['HD95']['mean'] == math.inf
    assert math.isnan(_score(folders, tmp_path, '--correct')['cases']['0001_0000<--0001_0001']['HD95']['mean'])


def test_csv_has_a_row_per_label(folders, tmp_path):
    _score(folders, tmp_path, '--csv', str(tmp_path / 'cases.csv'))
    lines = (tmp_path / 'cases.csv').read_text(encoding='utf-8').splitlines()
    assert sum(',DSC,' in line for line in lines) == 8
    assert [line.split(',')[2] for line in lines if line.startswith('0001') and ',DSC,' in line] == ['1', '2', '3', '9']


def _as_lumir(folders, names, landmarks_alone=False):
    """The toy's config divided in two, as LUMIR's are, under the given names."""
    whole = json.loads((folders[1] / 'evaluation_config.json').read_text(encoding='utf-8'))
    (folders[1] / 'evaluation_config.json').unlink()
    for name, metrics in zip(names, (('dice', 'hd95'), ('tre',))):
        methods = [method for method in whole['evaluation_methods'] if method['metric'] in metrics]
        (folders[1] / name).write_text(json.dumps({**whole, 'evaluation_methods': methods}))


@pytest.mark.parametrize(
    'names',
    [
        ('LUMIR_VAL_Segmentation_evaluation_config.json', 'LUMIR_VAL_Landmark_evaluation_config.json'),
        ('segmentation_evaluation_config.json', 'landmark_evaluation_config.json'),
        ('z.json', 'a.json'),
    ],
)
def test_configs_are_found_by_their_content(folders, tmp_path, names, capsys):
    """Whatever they are called, and though both score the same pairs, no measure takes another's place."""
    _as_lumir(folders, names)
    found = _score(folders, tmp_path)
    assert {'DSC', 'HD95', 'TRE_kp'} <= found['aggregates'].keys()
    assert len(found['cases']) == 4 and '0001_0000<--0001_0001_landmark' in found['cases']
    assert 'without label 0' in capsys.readouterr().out


def test_two_configs_for_the_same_scores_need_a_choice(folders, tmp_path, capsys):
    _as_lumir(folders, ('a.json', 'b.json'))
    (folders[1] / 'c.json').write_text((folders[1] / 'a.json').read_text(encoding='utf-8'))
    assert 'score the same pairs in the same way' in _refused(folders, tmp_path, capsys)
    both = ['--config', str(folders[1] / 'b.json'), '--config', str(folders[1] / 'c.json')]
    assert {'DSC', 'TRE_kp'} <= _score(folders, tmp_path, *both)['aggregates'].keys()


def test_what_was_looked_for_is_said(folders, tmp_path, capsys):
    (folders[1] / 'evaluation_config.json').unlink()
    message = _refused(folders, tmp_path, capsys)
    assert 'Toy_dataset.json lacks evaluation_methods, expected_shape, eval_pairs' in message


def test_the_title_tells_whether_label_0_counts(folders, tmp_path, capsys):
    path = folders[1] / 'evaluation_config.json'
    config = json.loads(path.read_text(encoding='utf-8'))
    config['evaluation_methods'][1]['labels'] = [0, 1]
    path.write_text(json.dumps(config))
    _score(folders, tmp_path)
    assert 'label 0 counts too' in capsys.readouterr().out


def _refused(folders, tmp_path, capsys, *options):
    out = tmp_path / 'refused.json'
    assert main([*map(str, folders), '-o', str(out), *options]) != 0
    assert not out.exists()
    return capsys.readouterr().err


def test_every_bad_field_is_named_at_once(folders, tmp_path, capsys):
    (folders[0] / 'disp_0001_0001.nii.gz').unlink()
    write_learn2reg_nifti(folders[0] / 'disp_0002_0002.nii.gz', np.zeros((3, 9, 9, 9), np.float32))
    message = _refused(folders, tmp_path, capsys)
    assert '2 of 2' in message and 'disp_0001_0001.nii.gz: missing' in message
    assert 'disp_0002_0002.nii.gz: shape (9, 9, 9, 3), expected (16, 14, 12, 3)' in message


def test_a_bad_content_is_named_beside_a_bad_header(folders, tmp_path, capsys):
    _not_finite(folders[0] / 'disp_0001_0001.nii.gz')
    (folders[0] / 'disp_0002_0002.nii.gz').unlink()
    message = _refused(folders, tmp_path, capsys)
    assert '2 of 2' in message and 'disp_0001_0001.npz' in message and 'NaN' in message
    assert 'disp_0002_0002.nii.gz: missing' in message


def test_fields_of_all_configs_are_looked_at(folders, tmp_path, capsys):
    """LUMIR scores with two configs: what the second asks for is missed before the first is scored."""
    second = folders[1] / 'second.json'
    config = json.loads((folders[1] / 'evaluation_config.json').read_text(encoding='utf-8'))
    config['eval_pairs'] = [{'fixed': 'imagesTr/Toy_0007_0000.nii.gz', 'moving': 'imagesTr/Toy_0007_0001.nii.gz'}]
    second.write_text(json.dumps(config))
    (folders[0] / 'disp_0001_0001.nii.gz').unlink()
    both = ['--config', str(folders[1] / 'evaluation_config.json'), '--config', str(second)]
    message = _refused(folders, tmp_path, capsys, *both)
    assert '2 of 3' in message and 'disp_0001_0001.nii.gz: missing' in message
    assert 'disp_0007_0007.nii.gz: missing' in message


def _integers(path):
    np.savez(path.with_name('disp_0001_0001.npz'), np.zeros((*toy.SHAPE, 3), np.int16))
    path.unlink()


def _component_first(path):
    np.savez(path.with_name('disp_0001_0001.npz'), np.zeros((3, *toy.SHAPE), np.float32))
    path.unlink()


def _twice(path):
    np.savez(path.with_name('disp_0001_0001.npz'), np.zeros((*toy.SHAPE, 3), np.float32))


def _not_finite(path):
    field = np.moveaxis(toy.field(1), 0, -1).copy()
    field[3, 3, 3] = np.nan
    np.savez(path.with_name('disp_0001_0001.npz'), field)
    path.unlink()


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:200]), 'disp_0001_0001.nii.gz'),
        (lambda path: path.write_bytes(b'no image'), 'disp_0001_0001.nii.gz'),
        (_integers, 'int16'),
        (_component_first, 'shape (3, 16, 14, 12)'),
        (_twice, 'found 2 files'),
        (_not_finite, 'NaN'),
    ],
)
def test_bad_files_are_refused(folders, tmp_path, capsys, spoil, words):
    spoil(folders[0] / 'disp_0001_0001.nii.gz')
    assert words in _refused(folders, tmp_path, capsys)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda config: config.pop('eval_pairs'), 'lacks eval_pairs'),
        (lambda config: config['evaluation_methods'].append({'metric': 'speed'}), 'speed'),
        (lambda config: config.update(expected_shape=[3, 4]), 'expected_shape'),
        (lambda config: config['eval_pairs'].append({'fixed': 'a'}), 'eval_pairs'),
    ],
)
def test_bad_configs_are_refused(folders, tmp_path, capsys, change, words):
    path = folders[1] / 'evaluation_config.json'
    config = json.loads(path.read_text(encoding='utf-8'))
    change(config)
    path.write_text(json.dumps(config))
    assert words in _refused(folders, tmp_path, capsys)


def test_missing_config_and_ground_truth_are_named(folders, tmp_path, capsys):
    (folders[1] / 'labelsTr/Toy_0001_0001.nii.gz').unlink()
    assert 'labelsTr' in _refused(folders, tmp_path, capsys)
    assert 'landmark_evaluation_config.json' in _refused(folders, tmp_path, capsys, '--challenge', 'lumir')
    assert 'not a folder' in _refused((tmp_path / 'nowhere', folders[1]), tmp_path, capsys)
