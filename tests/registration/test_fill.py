"""The value outside the moving image: what was asked for comes out, by every way of asking."""

from dataclasses import fields

import numpy as np
import pytest

import mmreg
import mmreg.cli
from mmreg.io import Geometry, Volume, read_image, write_volume
from mmreg.registration.options import RunOptions
from mmreg.registration.register import make_pipeline
from tests.io.helpers import smooth_image

FAST = "_base_ = 'mmreg::register_generic.py'\noptimisation = dict(levels=[dict(scale=2, iterations=2)])\n"
LEAST = {'uint8': (30, 220), 'int16': (200, 1500), 'uint16': (1200, 3000), 'float32': (0.5, 1.0)}


@pytest.fixture
def pair(tmp_path):
    """Writes two images of one voxel type without a zero, the moving one shorter along the first axis."""

    def write(dtype):
        low, high = LEAST[dtype]
        whole = smooth_image(Geometry.from_parts((22, 20, 18), (2, 2, 2)), seed=2)
        array = (whole.array * (high - low) + low).astype(dtype)
        write_volume(tmp_path / 'fixed.nii.gz', Volume(array, whole.geometry))
        short = whole.geometry.padded((-5, 0, 0), (0, 0, 0))
        write_volume(tmp_path / 'moving.nii.gz', Volume(np.ascontiguousarray(array[5:]), short))
        (tmp_path / 'fast.py').write_text(FAST)
        return tmp_path / 'fixed.nii.gz', tmp_path / 'moving.nii.gz'

    return write


def outside(path, fill):
    array = read_image(path).array
    assert not (array == 0).any()
    return int((np.abs(array - fill) < 1e-3).sum())


@pytest.mark.parametrize('affine', ['none', 'rigid'])
@pytest.mark.parametrize('dtype', LEAST)
def test_every_voxel_outside_gets_the_value_that_was_asked_for(dtype, affine, pair, tmp_path):
    fixed, moving = pair(dtype)
    options = ['--preset', tmp_path / 'fast.py', '--affine', affine, '--fill', '-7', '--device', 'cpu']
    options += ['--outputs', 'warped', 'transforms']
    assert mmreg.cli.main([str(v) for v in ['register', fixed, moving, '-o', tmp_path / 'out', *options]]) == 0
    assert outside(tmp_path / 'out/warped.nii.gz', -7) > 500
    (tmp_path / 'list.csv').write_text(f'fixed,moving,case_id\n{fixed},{moving},one\n')
    pairs = ['register', '--pairs', tmp_path / 'list.csv', '-o', tmp_path / 'many', *options]
    assert mmreg.cli.main([str(v) for v in pairs]) == 0
    assert outside(tmp_path / 'many/one/warped.nii.gz', -7) > 500
    for mode in ('linear', 'spline', 'nearest'):
        command = ['apply', tmp_path / 'out/transform.h5', '--image', moving, '-r', fixed, '-o', tmp_path / mode]
        assert mmreg.cli.main([str(v) for v in [*command, '--fill', '-7', '--interpolation', mode]]) == 0
        assert outside(tmp_path / mode / 'moving_warped.nii.gz', -7) > 500


def test_in_python(pair, tmp_path):
    found = mmreg.register(*pair('int16'), preset=tmp_path / 'fast.py', affine='none', fill=-55.0, device='cpu')
    assert (found.warped.array[0] == -55).all() and (found.before.array[:5] == -55).all()


@pytest.mark.parametrize(
    ('dtype', 'wanted', 'fill'), [('uint8', 'input', -7), ('uint8', 'input', 300), ('int16', 'uint16', -1)]
)
def test_a_value_that_the_voxels_cannot_hold(dtype, wanted, fill, pair, tmp_path, capsys):
    fixed, moving = pair(dtype)
    np.savetxt(tmp_path / 'matrix.txt', np.eye(4))
    command = ['apply', tmp_path / 'matrix.txt', '--image', moving, '-r', fixed, '-o', tmp_path / 'out']
    assert mmreg.cli.main([str(v) for v in [*command, '--fill', fill, '--output-type', wanted]]) == 2
    assert '--fill' in capsys.readouterr().err and not (tmp_path / 'out').exists()


CHANGED = {
    'preset': 'abdomen_ct', 'smoothness': 2.0, 'affine': 'centres', 'only': None, 'device': 'cpu', 'seed': 3,
    'cfg_options': {'optimisation.step': 0.4}, 'label_sets': 'overlap', 'labels': [1], 'landmark_frame': 'lps',
    'fill': -5.0,
}  # fmt: skip


def test_no_option_is_lost_on_the_way():
    """Each reaches what registers, and with it the plan."""
    options = RunOptions(**CHANGED)
    pipeline = make_pipeline(options)
    names = [one.name for one in fields(RunOptions)]
    assert [getattr(pipeline.options, name) for name in names] == [getattr(options, name) for name in names]
    assert pipeline.settings()['config'] != make_pipeline(RunOptions(preset='abdomen_ct')).settings()['config']
