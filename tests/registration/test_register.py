"""Two files, one command, no training: any grids and poses, everything in the folder, the same bits again."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

import mmreg
from mmreg.commands.register import main
from mmreg.io import Volume, read_transform, write_volume
from tests.io.helpers import rotation

from .phantoms import centred, draw, pose, write_preset

FIXED = centred((30, 25, 27), (2.9, 2.9, 2.9))
FILES = {
    'affine.tfm', 'displacement.nii.gz', 'inverse_displacement.nii.gz', 'inverse_transform.h5', 'metrics.csv',
    'metrics.json', 'overview.png', 'plan.json', 'report.html', 'thumbnail.png', 'transform.h5', 'warped.nii.gz',
    'warped_labels.nii.gz',
}  # fmt: skip


@pytest.fixture
def preset(tmp_path):
    return write_preset(tmp_path)


@pytest.fixture
def files(tmp_path):
    """Writes a pair with labels; returns the arguments of the command."""

    def make(fixed, moving, world=None, bend=2.5):
        out = {}
        for name, grid, options in (('fixed', fixed, {}), ('moving', moving, dict(world=world, bend=bend, seed=1))):
            for kind in ('', '_labels'):
                volume = draw(grid, labels=bool(kind), **options)
                out[name + kind] = tmp_path / f'{name}{kind}.nii.gz'
                write_volume(out[name + kind], volume)
        labels = ['--fixed-labels', out['fixed_labels'], '--moving-labels', out['moving_labels']]
        return [out['fixed'], out['moving'], *labels]

    return make


def command(*arguments):
    return main([*map(str, arguments), '--device', 'cpu'])


def overlap(folder):
    metrics = json.loads((folder / 'metrics.json').read_text(encoding='utf-8'))
    return metrics['dice']['before'], metrics['dice']['after'], metrics['folds_percent']['after']


TURNED = pose(30, (40.0, 0.0, 0.0))
CASES = {
    'as it is': (FIXED, centred((34, 32, 30), (2.5, 2.3, 2.6)), None),
    'turned by 30 degrees, shifted by 40 mm': (FIXED, centred((40, 40, 32), (2.4, 2.4, 2.4), None, (40, 0, 0)), TURNED),
    'flipped and permuted axes': (
        centred((32, 36, 30), (2.4, 2.4, 2.4), np.array([[0, -1.0, 0], [0, 0, 1], [-1, 0, 0]])),
        centred((36, 30, 32), (2.4, 2.4, 2.4), np.diag([-1.0, 1, -1])),
        None,
    ),
    'oblique, thick slices': (FIXED, centred((44, 40, 12), (1.9, 1.9, 6.0), rotation(3, 20)), None),
}


@pytest.mark.parametrize('case', CASES, ids=str)
def test_the_same_command_for_any_grids(files, preset, tmp_path, capfd, case):
    fixed, moving, world = CASES[case]
    out = tmp_path / 'out'
    assert command(*files(fixed, moving, world), '-o', out, '--preset', preset) == 0
    text = capfd.readouterr().out
    assert 'preset tiny, chosen by the user' in text and 'dice' in text
    assert {path.name for path in out.iterdir()} == FILES
    before, after, folds = overlap(out)
    assert after > max(0.9, before) and folds == 0
    warped, reference = sitk.ReadImage(str(out / 'warped.nii.gz')), sitk.ReadImage(str(tmp_path / 'moving.nii.gz'))
    by_itk = sitk.Resample(reference, warped, sitk.ReadTransform(str(out / 'transform.h5')), sitk.sitkLinear)
    difference = np.abs(sitk.GetArrayFromImage(by_itk) - sitk.GetArrayFromImage(warped))
    assert np.percentile(difference, 99) < 1e-3 and sitk.GetArrayFromImage(warped).max() > 0.5
    forward, backward = (read_transform(out / name) for name in ('transform.h5', 'inverse_transform.h5'))
    points = np.random.default_rng(0).uniform(-14, 14, (40, 3))
    there = forward.transform_points(points)
    assert np.linalg.norm(backward.transform_points(there) - points, axis=1).mean() < 0.1


def test_fine_and_coarse_voxels(files, preset, tmp_path):
    """0.5 mm against 3 mm."""
    fixed, moving = centred((80, 64, 14), (0.5, 0.5, 3.0), None, (10, 4, 2)), centred((32, 28, 30), (3.0, 3.0, 3.0))
    arguments = files(fixed, moving, pose(0, (1.5, -1.0, 0.5)), bend=0.5)
    assert command(*arguments, '-o', tmp_path / 'out', '--preset', preset) == 0
    before, after, folds = overlap(tmp_path / 'out')
    assert after > before and after > 0.9 and folds == 0


def test_two_dimensions(files, preset, tmp_path):
    fixed, moving = centred((60, 52), (1.4, 1.4)), centred((66, 60), (1.5, 1.3), rotation(2, 12))
    world = pose(20, (6.0, -3.0), 2)
    assert command(*files(fixed, moving, world), '-o', tmp_path / 'out', '--preset', preset) == 0
    before, after, folds = overlap(tmp_path / 'out')
    assert after > 0.93 > before and folds == 0


def test_plan_tells_everything(files, preset, tmp_path):
    arguments = files(FIXED, FIXED, pose(5, (3.0, 0, 0)))
    options = ['--preset', preset, '--seed', 7, '--cfg-options', 'optimisation.levels.1.iterations=3']
    assert command(*arguments, '-o', tmp_path / 'out', *options, '--outputs', 'metrics') == 0
    plan = json.loads((tmp_path / 'out' / 'plan.json').read_text(encoding='utf-8'))
    assert plan['preset']['name'] == 'tiny' and plan['preset']['chosen'] == 'by the user'
    assert set(plan['inputs']) == {'fixed', 'moving', 'fixed_labels', 'moving_labels'}
    assert all(len(entry['sha256']) == 64 and entry['path'] for entry in plan['inputs'].values())
    assert plan['seed'] == 7 and plan['device'] == 'cpu' and plan['versions']['mmreg'] and plan['versions']['torch']
    assert {'read', 'affine', 'prepare', 'optimisation', 'outputs', 'metrics', 'total'} <= set(plan['timings'])
    assert 'iterations=3' in plan['config'] and "type='FreeField'" in plan['config']
    assert plan['alignment']['asked'] == 'auto' and plan['alignment']['settings']['transform'] == 'rigid'
    assert plan['alignment']['stages'] and np.allclose(plan['affine'], plan['alignment']['matrix'])
    coarse, fine = plan['curves']['loss']
    assert (coarse['iterations'], fine['iterations']) == (20, 3) and coarse['last'] < coarse['first']
    assert plan['grids']['working']['shape'] == list(FIXED.shape) and plan['preparation']['intensity']
    assert plan['files'] == sorted(path.name for path in (tmp_path / 'out').iterdir())


def test_forms_of_images_and_bits(preset, tmp_path):
    """Paths, volumes, SimpleITK images and arrays give the same bits, again and again."""
    fixed, moving = draw(FIXED), draw(FIXED, pose(6, (4.0, 0, 0)), 2.0, seed=1)
    write_volume(tmp_path / 'fixed.nrrd', fixed)
    options = dict(preset=preset, device='cpu', seed=3)
    first = mmreg.register(fixed, moving, **options)
    again = mmreg.register(tmp_path / 'fixed.nrrd', moving.to_sitk(), **options)
    third = mmreg.register((fixed.array, FIXED), (moving.array, FIXED.affine), **options)
    assert isinstance(first, mmreg.RegistrationResult) and np.abs(first.displacement).max() > 0.3
    for other in (again, third):
        np.testing.assert_array_equal(first.displacement, other.displacement)
        np.testing.assert_array_equal(first.warped.array, other.warped.array)
        np.testing.assert_array_equal(first.affine, other.affine)
    assert 0 < first.inverse_residual.mean < 0.1


def test_affine_choices(preset, tmp_path):
    """Named kinds, the centres, nothing, a matrix and a file."""
    world = pose(8, (5.0, 2.0, 0))
    fixed, moving = draw(FIXED), draw(FIXED, world, seed=1)
    np.savetxt(tmp_path / 'pose.txt', world)

    def found(affine):
        return mmreg.register(fixed, moving, preset=preset, device='cpu', affine=affine).affine

    assert found('none') is None and found(None) is None
    np.testing.assert_array_equal(found('centres'), np.eye(4))
    np.testing.assert_allclose(found(tmp_path / 'pose.txt'), world)
    np.testing.assert_array_equal(found(world), world)
    rigid = found('rigid')
    np.testing.assert_allclose(rigid[:3, :3] @ rigid[:3, :3].T, np.eye(3), atol=1e-8)
    np.testing.assert_allclose(rigid, world, atol=0.6)
    shifted = found('translation')
    np.testing.assert_allclose(shifted[:3, :3], np.eye(3), atol=1e-12)


def test_masks_weight_the_similarity(preset):
    """A bright thing outside the masks must not pull; without masks it does."""
    fixed, moving = draw(FIXED), draw(FIXED, None, 0.0, seed=1)
    array = moving.array.copy()
    array[4:9, 4:9, 4:9] += 3.0
    other = fixed.array.copy()
    other[7:12, 4:9, 4:9] += 3.0
    mask = np.ones(FIXED.shape, np.uint8)
    mask[:14, :12, :12] = 0
    pair = Volume(other, FIXED), Volume(array, FIXED)
    options = dict(preset=preset, device='cpu', affine='none')
    plain = mmreg.register(*pair, **options)
    masked = mmreg.register(*pair, fixed_mask=Volume(mask, FIXED), moving_mask=Volume(mask, FIXED), **options)
    corner = (slice(None), slice(4, 12), slice(4, 9), slice(4, 9))
    assert np.abs(plain.displacement[corner]).max() > 3 * np.abs(masked.displacement[corner]).max()
    assert {'fixed_mask', 'moving_mask'} <= set(masked.provenance['inputs'])


def test_labels_and_landmarks_steer_where_a_preset_says_so(tmp_path):
    """A label and a landmark loss see what came with the images, brought to the working grid."""
    losses = """
model['losses'] = dict(
    overlap=dict(type='Dice', weight=1.0),
    points=dict(type='LandmarkDistance', weight=0.02),
)
model['label_values'] = 3
affine = None
"""
    path = write_preset(tmp_path, losses)
    noise = np.random.default_rng(0).normal(size=(2, *FIXED.shape)).astype(np.float32)
    world = pose(0, (5.0, 0, 0))
    points = np.array([[-9.0, 4.0, 3.0], [10.0, -6.0, 2.0], [3.0, 8.0, -7.0]])
    extras = dict(
        fixed_labels=draw(FIXED, labels=True), moving_labels=draw(FIXED, world, labels=True),
        fixed_landmarks=points, moving_landmarks=points + (5.0, 0, 0),
    )  # fmt: skip
    for affine in ('none', pose(0, (1.0, 0, 0))):
        result = mmreg.register(
            (noise[0], FIXED), (noise[1], FIXED), preset=path, device='cpu', affine=affine, **extras
        )
        assert result.metrics['dice']['after'] > 0.9 > result.metrics['dice']['before']
        assert result.metrics['tre']['after'] < 2 < result.metrics['tre']['before']
        assert {'overlap', 'points'} <= set(result.curves)


def test_several_channels(preset):
    """Two contrasts of one scan count together."""

    def stack(volume):
        return Volume(np.stack([np.sqrt(np.abs(volume.array)), 1 - volume.array], -1), volume.geometry)

    fixed, moving = draw(FIXED), draw(FIXED, None, 3.0, seed=1)
    labels = dict(fixed_labels=draw(FIXED, labels=True), moving_labels=draw(FIXED, None, 3.0, labels=True))
    result = mmreg.register(stack(fixed), stack(moving), preset=preset, affine='none', device='cpu', **labels)
    assert result.warped.array.shape == (*FIXED.shape, 2)
    assert result.metrics['dice']['after'] > result.metrics['dice']['before'] + 0.02


def test_interruption_leaves_nothing(files, preset, tmp_path, monkeypatch, capfd):
    import signal

    from mmreg.registration.sources.instance import InstanceOptimisation

    def interrupted(*arguments, **options):
        signal.raise_signal(signal.SIGINT)

    arguments = files(FIXED, FIXED)
    before = sorted(path.name for path in tmp_path.iterdir())
    monkeypatch.setattr(InstanceOptimisation, '__call__', interrupted)
    assert command(*arguments, '-o', tmp_path / 'deep' / 'out', '--preset', preset) == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert 'stopped by the user' in capfd.readouterr().err
