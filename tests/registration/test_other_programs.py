"""What other programs hand over, through ``register``: FSL's matrices, nibabel's images, points in another order."""

import json

import numpy as np
import pytest

import mmreg
import mmreg.cli
from mmreg.io import (
    Landmarks,
    Volume,
    affine_transform,
    read_landmarks,
    resample_to,
    write_landmarks_world,
    write_volume,
)
from mmreg.io.foreign import Spaces, write_as
from tests.io.helpers import oblique, rotation, smooth_image

nib = pytest.importorskip('nibabel')
FAST = "_base_ = 'mmreg::register_generic.py'\noptimisation = dict(levels=[dict(scale=2, iterations=2)])\n"
FIXED = oblique((22, 20, 18), (2.0, 2.0, 2.5), 12.0)
MOVING = oblique((24, 22, 20), (1.9, 2.1, 2.2), -8.0, flips=(0,))


def world_affine():
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation(3, 5.0), (2.0, -1.5, 1.0)
    return affine


@pytest.fixture
def pair(tmp_path):
    """Two files whose moving image is the fixed one, moved by a known affine; and a fast preset."""
    image = smooth_image(FIXED, seed=3)
    image = Volume(image.array * 900 + 50, FIXED)
    moved = resample_to(image, MOVING, transform=affine_transform(np.linalg.inv(world_affine())), fill=None)
    write_volume(tmp_path / 'fixed.nii.gz', image)
    write_volume(tmp_path / 'moving.nii.gz', moved)
    (tmp_path / 'fast.py').write_text(FAST)
    return tmp_path


def options(folder, **more):
    return {'preset': folder / 'fast.py', 'affine': 'none', 'device': 'cpu', **more}


def test_a_matrix_of_fsl_as_the_affine(pair, tmp_path):
    write_as(pair / 'flirt.mat', affine_transform(world_affine()), 'fsl', Spaces(FIXED, MOVING))
    images = [str(pair / 'fixed.nii.gz'), str(pair / 'moving.nii.gz')]
    command = ['--affine', f'fsl:{pair / "flirt.mat"}', '--preset', str(pair / 'fast.py'), '--device', 'cpu']
    assert mmreg.cli.main(['register', *images, '-o', str(tmp_path / 'one'), *command]) == 0
    plan = json.loads((tmp_path / 'one/plan.json').read_text(encoding='utf-8'))
    np.testing.assert_allclose(plan['affine'], world_affine(), atol=1e-4)
    (pair / 'list.csv').write_text(f'fixed,moving,case_id\n{",".join(images)},a\n')
    assert mmreg.cli.main(['register', '--pairs', str(pair / 'list.csv'), '-o', str(tmp_path / 'many'), *command]) == 0
    plan = json.loads((tmp_path / 'many/a/plan.json').read_text(encoding='utf-8'))
    np.testing.assert_allclose(plan['affine'], world_affine(), atol=1e-4)
    found = mmreg.register(*images, **options(pair, affine=f'fsl:{pair / "flirt.mat"}'))
    np.testing.assert_allclose(found.affine, world_affine(), atol=1e-4)


def test_text_that_may_be_of_fsl_is_asked_about(pair, capsys):
    np.savetxt(pair / 'some.mat', world_affine())
    images = [str(pair / 'fixed.nii.gz'), str(pair / 'moving.nii.gz')]
    command = ['register', *images, '-o', str(pair / 'out'), '--affine', str(pair / 'some.mat'), '--device', 'cpu']
    assert mmreg.cli.main(command) == 2
    text = capsys.readouterr().err
    assert 'some.mat' in text and len(text.strip().splitlines()) == 1 and not (pair / 'out').exists()


def test_images_of_nibabel(pair):
    files = [pair / 'fixed.nii.gz', pair / 'moving.nii.gz']
    labels = [(smooth_image(grid, 5).array > 0.4).astype(np.uint8) + 1 for grid in (FIXED, MOVING)]
    of_nibabel = [nib.Nifti1Image(array, grid.affine) for array, grid in zip(labels, (FIXED, MOVING))]
    as_volumes = [Volume(array, grid) for array, grid in zip(labels, (FIXED, MOVING))]
    names = ('fixed_labels', 'moving_labels')
    first = mmreg.register(*files, **dict(zip(names, as_volumes)), **options(pair))
    second = mmreg.register(*map(nib.load, files), **dict(zip(names, of_nibabel)), **options(pair))
    np.testing.assert_allclose(first.displacement, second.displacement, atol=1e-3)  # headers are float32
    assert (first.warped_labels.array == second.warped_labels.array).mean() > 0.999
    assert second.geometry.same_grid(FIXED)
    assert first.metrics['dice']['after'] == pytest.approx(second.metrics['dice']['after'], abs=1e-3)
    assert set(json.loads(json.dumps(second.provenance['inputs']))) == {'fixed', 'moving', *names}


def test_images_of_nibabel_that_are_scaled_or_in_time(pair):
    fixed = nib.load(pair / 'fixed.nii.gz')
    stored = nib.Nifti1Image(np.zeros(FIXED.shape, np.int16), FIXED.affine)
    stored.header.set_slope_inter(0.5, 20)
    array = np.round(np.asarray(fixed.dataobj))
    scaled = nib.Nifti1Image(array, FIXED.affine)
    scaled.set_data_dtype(np.int16)
    nib.save(scaled, pair / 'scaled.nii.gz')
    found = mmreg.register(nib.load(pair / 'scaled.nii.gz'), pair / 'moving.nii.gz', **options(pair))
    assert np.abs(found.fixed.volume.array - array).max() < 0.6
    series = nib.Nifti1Image(np.stack([array] * 3, -1).astype(np.float32), FIXED.affine)
    with pytest.raises(mmreg.errors.DataError, match='found 3 volumes'):
        mmreg.register(series, pair / 'moving.nii.gz', **options(pair))


@pytest.mark.parametrize('ending', ['.csv', '.fcsv'])
def test_points_in_another_order_are_paired_by_name(ending, pair, tmp_path):
    voxels = np.array([[6.0, 7, 8], [12, 9, 5], [15, 12, 10], [8, 13, 12]])
    names = ['tip', 'left', 'top', 'end']
    fixed = FIXED.voxel_to_world(voxels)
    moving = fixed @ world_affine()[:3, :3].T + world_affine()[:3, 3]
    order = [2, 0, 3, 1]
    for role, points, called in (('f', fixed, names), ('m', moving[order], [names[n] for n in order])):
        if ending == '.csv':
            write_landmarks_world(pair / f'{role}{ending}', points, names=called)
        else:
            rows = [
                f'n{n},{x},{y},{z},0,0,0,1,1,1,0,{name},,' for n, ((x, y, z), name) in enumerate(zip(points, called))
            ]
            head = '# Markups fiducial file version = 4.11\n# CoordinateSystem = RAS\n# columns = id,x,y,z,ow,ox,oy,oz,'
            (pair / f'{role}{ending}').write_text(head + 'vis,sel,lock,label,desc,associatedNodeID\n' + '\n'.join(rows))
    images = pair / 'fixed.nii.gz', pair / 'moving.nii.gz'
    points = {'fixed_landmarks': pair / f'f{ending}', 'moving_landmarks': pair / f'm{ending}'}
    found = mmreg.register(*images, **points, **options(pair, affine=world_affine()), out_dir=tmp_path / 'out')
    assert found.metrics['tre']['before'] > 1 > found.metrics['tre']['after']
    there = read_landmarks(tmp_path / 'out/landmarks_in_moving.csv')
    by_name = dict(zip(there.names, there.points))
    assert set(by_name) == set(names)
    for name, point in zip(names, moving):
        assert np.linalg.norm(by_name[name] - point) < 2
    here = read_landmarks(tmp_path / 'out/landmarks_in_fixed.csv')
    for name, point in zip(here.names, here.points):
        assert np.linalg.norm(fixed[names.index(name)] - point) < 2


def test_points_that_only_one_image_has(pair):
    fixed = FIXED.voxel_to_world(np.array([[6.0, 7, 8], [12, 9, 5], [15, 12, 10]]))
    moving = fixed @ world_affine()[:3, :3].T + world_affine()[:3, 3]
    found = mmreg.register(
        pair / 'fixed.nii.gz', pair / 'moving.nii.gz', **options(pair, affine=world_affine()),
        fixed_landmarks=Landmarks(fixed, 'ras', ('a', 'b', 'c')),
        moving_landmarks=Landmarks(moving[[2, 0]], 'ras', ('c', 'a')),
    )  # fmt: skip
    assert found.metrics['tre']['after'] < 1 and any('2' in text and 'pair' in text for text in found.warnings)
