"""Where a run is: a bar that every long step moves, or a JSON document per line; what was given along follows."""

import io
import json
import re

import numpy as np
import pytest
from rich.console import Console

from mmreg.commands.register import main
from mmreg.commands.shared.run_progress import PairProgress
from mmreg.io import affine_transform, read_landmarks, read_transform, read_volume, write_transform, write_volume
from mmreg.io.meshes import read_mesh
from mmreg.registration.progress import ProgressEvent
from mmreg.registration.register import register
from tests.io import test_meshes as made

from .phantoms import centred, draw, pose, write_preset

GRID = centred((20, 22, 18), (3.0, 3.0, 3.0))
SHIFT = pose(0, (3.0, -6.0, 3.0))
QUICK = '\noptimisation = dict(levels=[dict(scale=1, iterations=3)])\n'


@pytest.fixture
def folder(tmp_path):
    write_volume(tmp_path / 'fixed.nii.gz', draw(GRID))
    write_volume(tmp_path / 'moving.nii.gz', draw(GRID, SHIFT))
    write_volume(tmp_path / 'organs.nii.gz', draw(GRID, SHIFT, labels=True))
    (tmp_path / 'points.csv').write_text('x,y,z\n3,-6,3\n13,4,13\n')
    made.vtk(tmp_path / 'surface.vtk')
    write_transform(tmp_path / 'known.tfm', affine_transform(SHIFT))
    write_preset(tmp_path, QUICK)
    return tmp_path


def command(folder, *more):
    names = [folder / 'fixed.nii.gz', folder / 'moving.nii.gz', '-o', folder / 'out', '--preset', folder / 'tiny.py']
    return main([*map(str, (*names, *more)), '--device', 'cpu'])


def test_json(folder, capsys):
    assert command(folder, '--progress', 'json', '--outputs', 'warped', 'metrics') == 0
    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines()]
    steps = list(dict.fromkeys(line['step'] for line in lines))
    expected = ['start', 'read', 'method', 'affine', 'optimisation', 'outputs', 'inverse', 'metrics', 'writing', 'done']
    assert steps == expected
    for step in ('affine', 'optimisation', 'writing'):
        shares = [line['fraction'] for line in lines if line['step'] == step]
        assert len(shares) > 1 and shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1, step
    assert lines[0]['moving'].endswith('moving.nii.gz') and 'lncc' in lines[-1]['metrics']
    assert lines[-1]['out'] == str(folder / 'out') and lines[-1]['seconds'] > 0


def test_json_tells_errors(folder, capsys):
    (folder / 'moving.nii.gz').write_bytes(b'nothing')
    assert command(folder, '--progress', 'json') == 2
    captured = capsys.readouterr()
    last = json.loads(captured.out.splitlines()[-1])
    assert last['step'] == 'error' and 'moving.nii.gz' in last['message'] and 'moving.nii.gz' in captured.err


def test_json_of_a_list(folder, capsys):
    rows = ['fixed,moving,case_id', 'fixed.nii.gz,moving.nii.gz,a', 'fixed.nii.gz,points.csv,b']
    (folder / 'pairs.csv').write_text('\n'.join(rows))
    arguments = [
        '--pairs',
        folder / 'pairs.csv',
        '-o',
        folder / 'out',
        '--preset',
        folder / 'tiny.py',
        '--device',
        'cpu',
    ]
    assert main([*map(str, arguments), '--progress', 'json', '--outputs', 'metrics']) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    cases = [line for line in lines if line['step'] == 'case']
    assert [(c['case_id'], c['status'], c['number'], c['total']) for c in cases] == [
        ('a', 'done', 1, 2),
        ('b', 'failed', 2, 2),
    ]
    assert 'points.csv' in cases[1]['reason'] and lines[-1]['failures'].keys() == {'b'}
    assert any(line['step'] == 'affine' and line['fraction'] for line in lines)


def test_every_long_step_of_a_pair_moves_the_bar(folder):
    seen: list[ProgressEvent] = []
    quick = {'optimisation.levels': [dict(scale=1, iterations=3)]}
    pair = folder / 'fixed.nii.gz', folder / 'moving.nii.gz'
    register(*pair, preset='generic', affine='rigid', cfg_options=quick, watch=seen.append, out_dir=folder / 'out')
    for step in ('affine', 'optimisation', 'writing'):
        shares = [event.fraction for event in seen if event.name == step]
        assert len(shares) > 2 and None not in shares and shares == sorted(shares), step


def test_the_preset_is_printed_by_the_console_of_the_bar(monkeypatch):
    shown = io.StringIO()
    terminal = Console(force_terminal=True, file=shown, width=80, color_system=None)
    monkeypatch.setattr('mmreg.utils.console.console', lambda stderr=False: terminal)
    with PairProgress() as progress:
        progress.watch(ProgressEvent('method', 'preset brain_t1, because'))
        progress.watch(ProgressEvent('affine', 'rigid', 0.5))
    erased = re.compile(r'\x1b\[2Kpreset brain_t1, because\s*\n')
    assert erased.search(shown.getvalue()), 'where the bar was erased, a line of its own'


def test_also(folder, capsys):
    """More of the moving image: images and labels on the fixed grid, points and surfaces where they are in it."""
    along = [folder / name for name in ('moving.nii.gz', 'organs.nii.gz', 'points.csv', 'surface.vtk')]
    assert command(folder, '--affine', folder / 'known.tfm', '--also', *along[:2], '--also', *along[2:]) == 0
    assert 'followed: moving_warped.nii.gz, organs_warped.nii.gz, points_in_fixed.csv' in capsys.readouterr().out
    out = folder / 'out'
    files = json.loads((out / 'plan.json').read_text(encoding='utf-8'))['files']
    assert {'moving_warped.nii.gz', 'organs_warped.nii.gz', 'points_in_fixed.csv', 'surface_in_fixed.vtk'} <= set(files)
    warped, again = read_volume(out / 'warped.nii.gz'), read_volume(out / 'moving_warped.nii.gz')
    np.testing.assert_allclose(again.array, warped.array, atol=1e-3)
    organs, truth = read_volume(out / 'organs_warped.nii.gz', 'labels'), draw(GRID, labels=True)
    assert (organs.array == truth.array)[2:-3, 3:-2, 2:-2].mean() > 0.97
    # The transform leads from fixed to moving; what belongs to the moving image goes the other way.
    transform, back = read_transform(out / 'transform.h5'), np.linalg.inv(read_transform(folder / 'known.tfm').affine)
    points = np.array([[3.0, -6, 3], [13, 4, 13]])
    for name, read, given in (
        ('points_in_fixed.csv', read_landmarks, points),
        ('surface_in_fixed.vtk', read_mesh, made.POINTS),
    ):
        found = read(out / name).points
        np.testing.assert_allclose(transform.transform_points(found), given, atol=1e-2)
        assert np.abs(found - (given @ back[:3, :3].T + back[:3, 3])).max() < 3 < np.abs(found - given).max()


@pytest.mark.parametrize(
    ('more', 'words'),
    [
        (['--also', 'nowhere.nii'], 'nowhere.nii: found no such file'),
        (['--also', 'fixed.nii.gz', '{folder}/fixed.nii.gz'], 'fixed.nii.gz: found no such file'),
    ],
)
def test_also_is_looked_for_first(folder, capsys, more, words):
    assert command(folder, *(word.format(folder=folder) for word in more)) == 2
    assert words in capsys.readouterr().err and not (folder / 'out').exists()


def test_also_of_one_name_is_refused(folder, capsys):
    (folder / 'b').mkdir()
    (folder / 'b/organs.nii.gz').write_bytes((folder / 'organs.nii.gz').read_bytes())
    assert command(folder, '--also', folder / 'organs.nii.gz', folder / 'b/organs.nii.gz') == 2
    assert 'has the same name, organs_warped.nii.gz' in capsys.readouterr().err and not (folder / 'out').exists()
