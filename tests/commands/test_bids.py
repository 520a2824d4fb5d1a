"""`mmreg bids`: which images are meant, names and descriptions of the derivatives, and what happens to errors."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mmreg.cli import main
from mmreg.errors import ConfigError, DataError
from mmreg.io import read_transform, read_volume, write_volume
from mmreg.io.bids import find_images, matches, parse_filter, parse_name
from mmreg.registration.bids import find_pairs, names_of
from tests.registration.phantoms import centred, draw, pose, write_preset

GRID = centred((18, 20, 16), (4.0, 4.0, 4.0))


def image(root, name, shift=0.0):
    entities = dict(part.split('-') for part in name.split('_')[:-1])
    folder = root / f'sub-{entities["sub"]}'
    folder = folder / f'ses-{entities["ses"]}' if 'ses' in entities else folder
    write_volume(folder / 'anat' / f'{name}.nii.gz', draw(GRID, pose(0, (shift, 0, 0))))


@pytest.fixture
def data(tmp_path):
    """Two sessions with T1w and T2w, a subject with two runs and no session, one with a single image."""
    root = tmp_path / 'data'
    for number, name in enumerate(
        (
            'sub-01_ses-1_T1w',
            'sub-01_ses-2_T1w',
            'sub-01_ses-1_T2w',
            'sub-02_run-1_T1w',
            'sub-02_run-2_T1w',
            'sub-03_T1w',
        )
    ):
        image(root, name, float(number))
    (root / 'dataset_description.json').write_text(
        json.dumps({'Name': 'made', 'BIDSVersion': '1.9.0', 'DatasetType': 'raw'})
    )
    (root / 'README').write_text(
        'Made by a test: phantoms, no scans of anybody, to register sessions and runs of subjects.'
    )
    (root / 'participants.tsv').write_text('participant_id\nsub-01\nsub-02\nsub-03\n')
    for path in root.rglob('*.nii.gz'):
        path.with_name(path.name.replace('.nii.gz', '.json')).write_text('{"MagneticFieldStrength": 3}')
    (root / 'derivatives/other/sub-01/anat').mkdir(parents=True)
    shutil.copy(root / 'sub-03/anat/sub-03_T1w.nii.gz', root / 'derivatives/other/sub-01/anat/sub-01_desc-x_T1w.nii.gz')
    return root


def bids(data, *more):
    write_preset(data.parent, '\noptimisation = dict(levels=[dict(scale=1, iterations=2)])\naffine = None\n')
    words = [data, data.parent / 'out', 'participant', '--preset', data.parent / 'tiny.py', '--device', 'cpu', *more]
    return main(['bids', *map(str, words)])


@pytest.mark.parametrize(
    'name', ['T1w.nii.gz', 'sub-01.nii.gz', 'sub-01_what-1_T1w.nii.gz', 'sub-0_1_T1w.nii.gz', 'sub-01_T1w.json',
             'sub-01_run-1_run-2_T1w.nii.gz', 'ses-1_T1w.nii.gz'],
)  # fmt: skip
def test_names_that_are_none(name):
    assert parse_name(Path('sub-01/anat') / name) is None


def test_which_images_are_meant(data):
    found = find_images(data)
    assert len(found) == 6, 'derivatives are left alone'
    assert [i.path.name for i in found if matches(i, parse_filter(['suffix=T1w', 'session=2']))] == [
        'sub-01_ses-2_T1w.nii.gz'
    ]
    assert [i.stem for i in found if matches(i, parse_filter(['run=002']))] == ['sub-02_run-2']
    for words in (['colour=red'], ['suffix'], ['suffix=']):
        with pytest.raises(ConfigError, match='expected NAME=VALUE'):
            parse_filter(words)


def test_pairs(data):
    pairs, single = find_pairs(data, {'suffix': 'T1w'})
    assert [(p.moving.stem, p.fixed.name, p.space) for p in pairs] == [
        ('sub-01_ses-2', 'sub-01_ses-1_T1w.nii.gz', 'ses1'), ('sub-02_run-2', 'sub-02_run-1_T1w.nii.gz', 'run1'),
    ]  # fmt: skip
    assert single == ['03']
    to_template, single = find_pairs(
        data, {'suffix': 'T1w'}, ['sub-03', '02'], data / 'sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz', 'mine'
    )
    assert [p.moving.stem for p in to_template] == ['sub-02_run-1', 'sub-02_run-2', 'sub-03'] and not single
    assert names_of(to_template[-1])['transform.h5'] == 'sub-03/anat/sub-03_from-T1w_to-mine_mode-image_xfm.h5'
    with pytest.raises(DataError, match='no image of sub-09 with suffix=T1w'):
        find_pairs(data, {'suffix': 'T1w'}, ['09'])


def test_derivatives(data, capsys):
    assert bids(data) == 0
    out = data.parent / 'out'
    said = capsys.readouterr().out
    assert 'sub-03: one image' in said and '2 registered' in said
    folder = out / 'sub-01/ses-2/anat'
    assert sorted(p.name for p in folder.iterdir()) == [
        'sub-01_ses-2_from-T1w_to-ses1_mode-image_xfm.h5', 'sub-01_ses-2_from-ses1_to-T1w_mode-image_xfm.h5',
        'sub-01_ses-2_space-ses1_desc-registration_metrics.json',
        'sub-01_ses-2_space-ses1_desc-registration_report.html',
        'sub-01_ses-2_space-ses1_desc-warped_T1w.json', 'sub-01_ses-2_space-ses1_desc-warped_T1w.nii.gz',
    ]  # fmt: skip
    fixed = read_volume(data / 'sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz')
    assert read_volume(folder / 'sub-01_ses-2_space-ses1_desc-warped_T1w.nii.gz').geometry.same_grid(fixed.geometry)
    forward, back = (read_transform(p) for p in sorted(folder.glob('*_xfm.h5')))
    points = np.array([[0.0, 0, 0], [5, -5, 5]])
    np.testing.assert_allclose(back.transform_points(forward.transform_points(points)), points, atol=0.3)
    about = json.loads((out / 'dataset_description.json').read_text(encoding='utf-8'))
    assert about['DatasetType'] == 'derivative' and about['GeneratedBy'][0]['Name'] == 'mmreg'
    side = json.loads((folder / 'sub-01_ses-2_space-ses1_desc-warped_T1w.json').read_text(encoding='utf-8'))
    assert side['Sources'][0] == 'bids:raw:sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz' and about['DatasetLinks'][
        'raw'
    ].startswith('file://')
    assert not [p for p in out.iterdir() if p.name.startswith('.mmreg')]
    assert bids(data) == 0 and '2 finished before' in capsys.readouterr().out
    image(data, 'sub-01_ses-2_T1w', 3.0)
    assert bids(data) == 0 and '1 registered' in capsys.readouterr().out


def test_a_failure_stops_no_other(data, capsys):
    (data / 'sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz').write_bytes(b'nothing')
    assert bids(data) == 1
    assert '1 registered' in capsys.readouterr().out
    assert 'sub-01_ses-2' in (data.parent / 'out/failures.csv').read_text(encoding='utf-8')
    assert list((data.parent / 'out').rglob('*desc-warped_T1w.nii.gz')) == [
        data.parent / 'out/sub-02/anat/sub-02_run-2_space-run1_desc-warped_T1w.nii.gz'
    ]


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(gone='dataset_description.json'), 'no dataset_description.json'),
        (dict(more=['--filter', 'suffix=bold']), 'no image with suffix=bold'),
        (dict(more=['--filter', 'suffix=T2w']), 'one image per subject, expected more, or --template'),
        (dict(more=['--template', 'nowhere.nii']), 'nowhere.nii: found no such file'),
        (dict(more=['--space', 'my space']), 'letters and digits'),
    ],
)
def test_mistakes_in_one_sentence(data, change, words, capsys):
    if 'gone' in change:
        (data / change['gone']).unlink()
    assert bids(data, *change.get('more', ())) == 2
    err = capsys.readouterr().err
    assert words in err and len(err.splitlines()) == 1 and not (data.parent / 'out').exists()


@pytest.mark.slow
def test_the_validator_of_bids(data, tmp_path):
    """From npm, where that can be reached: the tree of the test is free of errors.

    Versions 1 know raw data only: of the derivatives they take the description, and know no names with space and desc.
    """
    npx = shutil.which('npx')
    if npx is None:
        pytest.skip('npx is not installed')
    shutil.rmtree(data / 'derivatives')
    assert bids(data) == 0
    found = {}
    for folder in (data, data.parent / 'out'):
        run = subprocess.run(
            [npx, '--yes', 'bids-validator@1.15.0', str(folder), '--json', '--ignoreNiftiHeaders'],
            capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        if not run.stdout.strip().startswith('{'):
            pytest.skip('the validator cannot be had')
        found[folder.name] = json.loads(run.stdout)['issues']['errors']
    assert not found['data'], [(error['key'], error['reason']) for error in found['data']]
    assert {error['key'] for error in found['out']} <= {'NOT_INCLUDED', 'NO_VALID_DATA_FOUND_FOR_SUBJECT'}
    names = [one['file']['name'] for error in found['out'] if error['key'] == 'NOT_INCLUDED' for one in error['files']]
    assert names and all('_space-' in name and '_desc-warped_T1w' in name for name in names)
