"""The evaluation of LUMIR 2025: four configs, groups of pairs, its own quantile and foreground."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmreg.commands.evaluate import main
from mmreg.io import Geometry, Volume, write_learn2reg_nifti, write_volume
from tests.golden.fill import flow, image, labels

SHAPE = (16, 14, 12)
GROUPS = {
    'LUMIR25_VAL_LUMIR24_Landmark': [((3485, 0), (3484, 0)), ((3486, 0), (3485, 0))],
    'LUMIR25_VAL_LUMIR24_Segmentation': [((3455, 0), (3454, 0))],
    'LUMIR25_VAL_HighField_Segmentation': [((4015, 0), (4014, 0)), ((4016, 0), (4015, 0))],
    'LUMIR25_VAL_MultiModal_Segmentation': [((4024, 0), (4023, 1))],
}


def _name(number, contrast):
    return f'LUMIRMRI_{number:04d}_{contrast:04d}.nii.gz'


@pytest.fixture
def folders(tmp_path):
    """Ground truth and a submission."""
    truth, submission = tmp_path / 'truth', tmp_path / 'fields'
    for group, pairs in GROUPS.items():
        for number, contrast in {one for pair in pairs for one in pair}:
            scan = image(number, SHAPE) * (image(number + 1, SHAPE) > 0.4)
            points = np.zeros(SHAPE, np.int16)
            points[4:6, 5:7, 6:8], points[9:11, 4:6, 3:5] = 1, 2 + 0 * number
            for folder, array in (
                ('imagesVal', scan), ('labelsVal', labels(number, SHAPE, 4, sigma=3.0).astype(np.int16)),
                ('landmarksVal', np.roll(points, number % 2, 0)),
            ):  # fmt: skip
                write_volume(truth / folder / _name(number, contrast), Volume(array, Geometry.from_parts(SHAPE)))
        for fixed, moving in pairs:
            field = flow(fixed[0], SHAPE, 14.0)
            write_learn2reg_nifti(submission / f'disp_{fixed[0]}_{moving[0]}.nii.gz', field)
        methods = [{'name': 'Non-diffeomorphic Volumes', 'metric': 'ndv'}]
        if 'Landmark' in group:
            methods.append({'name': 'TRE_lm', 'metric': 'tre', 'dest': 'landmarks'})
        else:
            methods += [
                {'name': n, 'metric': m, 'labels': [0, 1, 2, 3]} for n, m in (('DSC', 'dice'), ('HD95', 'hd95'))
            ]
        listed = [{'fixed': f'./imagesVal/{_name(*f)}', 'moving': f'./imagesVal/{_name(*m)}'} for f, m in pairs]
        config = {'name': 'LUMIR', 'evaluation_methods': methods, 'expected_shape': [*SHAPE, 3], 'eval_pairs': listed}
        (truth / f'{group}_evaluation_config.json').write_text(json.dumps(config))
    return submission, truth


def _score(folders, tmp_path, *options):
    out = tmp_path / 'scores.json'
    assert main([*map(str, folders), '-o', str(out), *options]) == 0
    return json.loads(out.read_text(encoding='utf-8'))


def test_four_configs_make_one_result(folders, tmp_path):
    found = _score(folders, tmp_path)
    assert found['eval_version'] == '3.0' and len(found['cases']) == 6
    assert '4024_0000<--4023_0001' in found['cases'], 'fixed 0 and moving 1 have the short file name'
    cases, aggregates = found['cases'], found['aggregates']

    def mean(keys):
        return np.mean([cases[key]['DSC']['mean'] for key in keys])

    assert aggregates['ID_dice']['mean'] == pytest.approx(mean(['3455_0000<--3454_0000']))
    assert aggregates['OOD_dice']['mean'] == pytest.approx(mean(['4015_0000<--4014_0000', '4016_0000<--4015_0000']))
    assert aggregates['MM_dice']['mean'] == pytest.approx(mean(['4024_0000<--4023_0001']))
    errors = [case['TRE_lm']['mean'] for case in cases.values() if 'TRE_lm' in case]
    assert len(errors) == 2 and aggregates['TRE_lm']['30'] == pytest.approx(np.quantile(errors, 0.7))


def test_the_volume_is_measured_in_the_fixed_foreground(folders, tmp_path):
    """2024's scorer looks at the moving image's; both can be asked for."""
    new, old = _score(folders, tmp_path), _score(folders, tmp_path, '--challenge', 'lumir')
    assert old['eval_version'] == '2.0' and 'ID_dice' not in old['aggregates']
    key = 'Non-diffeomorphic Volumes'
    assert new['aggregates'][key]['mean'] != old['aggregates'][key]['mean']


def test_the_mounts_of_2025_are_taken_where_its_list_is(tmp_path, monkeypatch):
    from mmreg.commands import infer

    args = infer.build_parser().parse_args(['config.py', '--layout', 'lumir'])
    old, new = tmp_path / 'LUMIR_dataset.json', tmp_path / 'app' / 'LUMIR25_dataset.json'
    monkeypatch.setattr(infer, 'LUMIR_MOUNTS', {**infer.LUMIR_MOUNTS, 'pairs': str(old)})
    monkeypatch.setattr(infer, 'LUMIR25_MOUNTS', {**infer.LUMIR25_MOUNTS, 'pairs': str(new)})
    new.parent.mkdir()
    new.write_text('{}')
    infer._complete(args)
    assert (args.pairs, args.data_root, args.out) == (str(new), '/app/input', '/app/output')
    assert Path(infer.LUMIR_MOUNTS['data_root']) == Path('/input')
