"""2-D models on stacks of slices and on cine files, from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmreg.cli import main
from mmreg.io import Geometry, Volume, read_displacement_image, read_volume, write_volume
from mmreg.registration.working.stacks import slices_of, stack_axis, volume_of
from tests.made.layouts import cine, ukbb

CONFIG = 'configs/gradirn_ukbb.py'


@pytest.fixture(scope='module')
def heart(tmp_path_factory):
    root = tmp_path_factory.mktemp('ukbb')
    return ukbb(root) / 'test' / 'D3H4L6'


def infer(fixed, moving, out, *more):
    return main(
        ['infer', CONFIG, '--fixed', str(fixed), '--moving', str(moving), '--out', str(out), '--device', 'cpu', *more]
    )


def test_a_stack_gives_a_volume_and_fields(heart, tmp_path):
    labels = ['--fixed-labels', str(heart / 'label_sa_ED.nii.gz'), '--moving-labels', str(heart / 'label_sa_ES.nii.gz')]
    assert infer(heart / 'sa_ED.nii.gz', heart / 'sa_ES.nii.gz', tmp_path / 'out', *labels) == 0
    fixed = read_volume(heart / 'sa_ED.nii.gz')
    assert read_volume(tmp_path / 'out' / 'warped.nii.gz').geometry.same_grid(fixed.geometry)
    displacement, geometry = read_displacement_image(tmp_path / 'out' / 'displacement.nii.gz')
    assert displacement.shape == (3, *fixed.geometry.shape) and geometry.same_grid(fixed.geometry)
    assert np.abs(displacement[2]).max() < 1e-4 and np.abs(displacement[0]).max() > 0.5
    dice = json.loads((tmp_path / 'out' / 'metrics.json').read_text(encoding='utf-8'))['dice']
    assert dice['after'] > dice['before'] + 0.02


def test_every_slice_is_what_the_model_makes_of_it_alone(heart, tmp_path):
    assert infer(heart / 'sa_ED.nii.gz', heart / 'sa_ES.nii.gz', tmp_path / 'all') == 0
    whole = read_volume(tmp_path / 'all' / 'warped.nii.gz').array
    for name in ('sa_ED', 'sa_ES'):
        volume = read_volume(heart / f'{name}.nii.gz')
        one = Geometry.from_parts((64, 64, 1), spacing=volume.geometry.spacing)
        write_volume(tmp_path / f'{name}.nii.gz', Volume(np.ascontiguousarray(volume.array[..., 2:3]), one))
        flat = Geometry.from_parts((64, 64), spacing=volume.geometry.spacing[:2])
        write_volume(tmp_path / f'{name}_2d.nii.gz', Volume(np.ascontiguousarray(volume.array[..., 2]), flat))
    for suffix in ('', '_2d'):
        files = [tmp_path / f'{name}{suffix}.nii.gz' for name in ('sa_ED', 'sa_ES')]
        assert infer(*files, tmp_path / f'one{suffix}') == 0
        alone = read_volume(tmp_path / f'one{suffix}' / 'warped.nii.gz').array
        np.testing.assert_allclose(alone.reshape(64, 64), whole[..., 2], atol=1.1)


def test_frames_of_a_cine_file(tmp_path, capsys):
    cine(tmp_path, 'patient001', 3)
    series = tmp_path / 'patient001_4d.nii.gz'
    assert infer(series, series, tmp_path / 'named', '--outputs', 'displacement') == 0
    assert infer(series, series, tmp_path / 'counted', '--outputs', 'displacement', '--frame', '1', '4') == 0
    frames = [tmp_path / f'patient001_frame{n:02d}.nii.gz' for n in (1, 4)]
    assert infer(*frames, tmp_path / 'files', '--outputs', 'displacement') == 0
    fields = [
        read_displacement_image(tmp_path / name / 'displacement.nii.gz')[0] for name in ('named', 'counted', 'files')
    ]
    np.testing.assert_array_equal(fields[0], fields[1])
    np.testing.assert_allclose(fields[0], fields[2], atol=1e-4)
    assert (
        json.loads((tmp_path / 'counted' / 'plan.json').read_text(encoding='utf-8'))['inputs']['moving']['frame'] == 4
    )
    for arguments, words in ((('--frame', '1', '9'), '6 frames'), ((), 'Info.cfg')):
        (tmp_path / 'Info.cfg').unlink(missing_ok=True)
        assert infer(series, series, tmp_path / 'none', *arguments) == 2
        assert words in capsys.readouterr().err and not (tmp_path / 'none').exists()


def test_axis_of_the_slices():
    assert stack_axis(Geometry.from_parts((9, 8, 7), spacing=(1.0, 1.0, 1.0))) == 2
    assert stack_axis(Geometry.from_parts((9, 8, 7), spacing=(8.0, 1.5, 1.5))) == 0
    array = np.arange(2 * 3 * 4, dtype=np.float32).reshape(1, 2, 3, 4)
    slices = slices_of({'fixed': array}, 1)['fixed']
    assert slices.shape == (3, 1, 2, 4) and np.array_equal(slices[1, 0], array[0, :, 1])
    field = volume_of(torch.arange(3.0).view(3, 1, 1, 1).expand(3, 2, 2, 4), 1)
    assert field.shape == (3, 2, 3, 4) and not field[1].any() and field[0, 0, :, 0].tolist() == [0, 1, 2]


def test_impossible_results_are_errors(heart, tmp_path, capsys):
    """Intensities that training never saw drive the descent out of the image: no result, and a sentence."""
    wrong = tmp_path / 'wrong.py'
    base = f"_base_ = ['{Path(CONFIG).resolve()}']"
    wrong.write_text(f"{base}\ninference = dict(intensity=[dict(type='DivideBy', value=1e-4)])\n")
    files = ['--fixed', str(heart / 'sa_ED.nii.gz'), '--moving', str(heart / 'sa_ES.nii.gz')]
    assert main(['infer', str(wrong), *files, '--out', str(tmp_path / 'out'), '--device', 'cpu']) == 2
    assert 'intensities' in capsys.readouterr().err and not (tmp_path / 'out').exists()
