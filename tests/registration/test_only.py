"""`--only rigid|similarity|affine`: the initialisation is the whole registration, with everything else as usual."""

import json

import numpy as np
import pytest

import mmreg
from mmreg.commands.register import main
from mmreg.errors import ConfigError
from mmreg.io import read_transform, read_volume, write_volume

from .phantoms import centred, draw, pose


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A phantom and itself, turned by 12 degrees and moved by a few mm."""
    folder = tmp_path_factory.mktemp('only')
    grid = centred((36, 40, 34), (2.0, 2.0, 2.0))
    motion = pose(12.0, (4.0, -3.0, 2.0))
    for name, at in (('fixed', np.eye(4)), ('moving', motion)):
        write_volume(folder / f'{name}.nii.gz', draw(grid, at))
        write_volume(folder / f'{name}_labels.nii.gz', draw(grid, at, labels=True))
    return folder, motion


@pytest.mark.parametrize('kind', ['rigid', 'affine'])
def test_the_map_alone(files, tmp_path, kind):
    folder, motion = files
    out = tmp_path / 'out'
    pair = [str(folder / 'fixed.nii.gz'), str(folder / 'moving.nii.gz')]
    labels = [
        '--fixed-labels',
        str(folder / 'fixed_labels.nii.gz'),
        '--moving-labels',
        str(folder / 'moving_labels.nii.gz'),
    ]
    assert main([*pair, *labels, '-o', str(out), '--only', kind]) == 0
    metrics = json.loads((out / 'metrics.json').read_text(encoding='utf-8'))
    metrics = metrics.get('metrics', metrics)
    assert metrics['dice']['after'] > metrics['dice']['before']
    assert metrics['affine_mm']['max'] > metrics['affine_mm']['mean'] > 3, 'what the map does is told'
    transform, inverse = read_transform(out / 'transform.h5'), read_transform(out / 'inverse_transform.h5')
    assert transform.affine is not None, 'no field is written'
    np.testing.assert_allclose(inverse.affine @ transform.affine, np.eye(4), atol=1e-6)
    if kind == 'rigid':
        linear = transform.affine[:3, :3]
        np.testing.assert_allclose(linear @ linear.T, np.eye(3), atol=1e-4)
    assert (out / 'transform.h5').stat().st_size < 50_000
    assert read_volume(out / 'warped.nii.gz').geometry.shape == (36, 40, 34) and (out / 'report.html').is_file()
    plan = json.loads((out / 'plan.json').read_text(encoding='utf-8'))
    assert plan['options']['only'] == kind if 'options' in plan else kind in json.dumps(plan)


def test_options_that_contradict_each_other(files, tmp_path, capsys):
    folder, _ = files
    pair = [str(folder / 'fixed.nii.gz'), str(folder / 'moving.nii.gz'), '-o', str(tmp_path / 'out'), '--only', 'rigid']
    assert main([*pair, '--affine', 'none']) == 2
    assert 'expected one of them' in capsys.readouterr().err and not (tmp_path / 'out').exists()
    with pytest.raises(ConfigError, match='a model'):
        mmreg.register(pair[0], pair[1], only='rigid', model='x.py')
