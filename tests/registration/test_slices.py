"""Two slices of volumes: registered in their plane, and back as volumes of one slice in the world of the files."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter, shift
from scipy.spatial.transform import Rotation

import mmreg
from mmreg.errors import DataError
from mmreg.io import (
    Geometry,
    Volume,
    affine_transform,
    read_displacement_image,
    read_image,
    read_labels,
    read_landmarks,
    read_transform,
    resample_to,
    write_landmarks_world,
    write_transform,
    write_volume,
)

MOVED = np.array([1.6, -1.2])
QUICK = {'optimisation.levels': [dict(scale=2, iterations=20), dict(scale=1, iterations=20)]}
MARKS = np.array([[11.0, 12.0], [14.0, 15.0], [16.0, 11.0]])


def picture(seed=4, shape=(27, 25)):
    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.normal(size=shape), 2)
    image = (image - image.min()) / np.ptp(image) * 1000
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing='ij'))
    return image * np.exp(-3 * (grid**2).sum(0))


def grid_of(axis, turned, offset=0.0):
    rotation = Rotation.from_euler('xyz', [18, -25, 12], degrees=True).as_matrix() if turned else np.eye(3)
    spacing = np.insert([1.5, 1.3], axis, 6.0) * np.array([-1, 1, 1])
    affine = np.eye(4)
    affine[:3, :3] = rotation * spacing
    affine[:3, 3] = np.array([40.0, -20.0, 15.0]) + rotation[:, axis] * offset
    return Geometry(tuple(np.insert([27, 25], axis, 1).tolist()), affine)


@pytest.fixture
def slices(tmp_path):
    """Writes a pair with labels, masks and landmarks; the moving slice lies 4 mm beside the plane of the fixed one."""

    def write(axis, turned=False, offset=4.0):
        image = picture()
        found = {'fixed': (image, grid_of(axis, turned), 0), 'moving': (None, grid_of(axis, turned, offset), MOVED)}
        for role, (array, grid, moved) in found.items():
            array = shift(image, MOVED, order=1) if array is None else array

            def put(values, name, role=role, grid=grid):
                write_volume(tmp_path / f'{role}{name}.nii.gz', Volume(np.expand_dims(values, axis), grid))

            put(array.astype(np.float32), '')
            put((array > 150).astype(np.uint8) + (array > 300), '_labels')
            put((array > 20).astype(np.uint8), '_mask')
            points = grid.voxel_to_world(np.insert(MARKS + moved, axis, 0, axis=1))
            write_landmarks_world(tmp_path / f'{role}_landmarks.csv', points)
        return tmp_path

    return write


def files(folder, *kinds):
    names = [f'{role}_{kind}' for kind in kinds for role in ('fixed', 'moving')]
    ending = {name: '.csv' if name.endswith('landmarks') else '.nii.gz' for name in names}
    return {name: folder / f'{name}{ending[name]}' for name in names}


@pytest.mark.parametrize('turned', [False, True])
@pytest.mark.parametrize('axis', [0, 1, 2])
def test_slices_come_back_as_they_were(axis, turned, slices, tmp_path, monkeypatch):
    folder = slices(axis, turned)
    result = mmreg.register(
        folder / 'fixed.nii.gz', folder / 'moving.nii.gz', **files(folder, 'labels', 'mask', 'landmarks'),
        affine='none' if axis else 'auto', out_dir=tmp_path / 'out', device='cpu', cfg_options=QUICK,
    )  # fmt: skip
    grid, out = grid_of(axis, turned), tmp_path / 'out'
    assert result.geometry.same_grid(grid) and result.displacement.shape == (3, *grid.shape)
    assert result.metrics['tre']['before'] > 2 and result.metrics['tre']['after'] < 0.6
    assert result.metrics['dice']['after'] > result.metrics['dice']['before'] + 0.1
    warped, labels = read_image(out / 'warped.nii.gz'), read_labels(out / 'warped_labels.nii.gz')
    assert warped.geometry.same_grid(grid) and labels.geometry.same_grid(grid)
    for name in ('displacement', 'inverse_displacement'):
        field, on = read_displacement_image(out / f'{name}.nii.gz')
        assert on.same_grid(grid) and np.abs(field[axis]).max() < 1e-3
        if axis:  # the affine of the others leaves nothing to do
            assert np.abs(np.delete(field, axis, axis=0)).max() > 0.2
    again = resample_to(read_image(folder / 'moving.nii.gz'), grid, transform=read_transform(out / 'transform.h5'))
    # Where a point comes to lie on the outer edge of the moving image, rounding decides whether it shows anything.
    assert np.quantile(np.abs(again.array - warped.array), 0.99) < 1
    there = read_image(folder / 'fixed.nii.gz')
    back = resample_to(there, grid_of(axis, turned, 4.0), transform=read_transform(out / 'inverse_transform.h5'))
    moving = read_image(folder / 'moving.nii.gz').array
    assert np.abs(back.array - moving).mean() < 0.3 * np.abs(there.array - moving).mean()
    points = read_landmarks(folder / 'fixed_landmarks.csv').points
    moved = read_transform(out / 'transform.h5').transform_points(points)
    assert np.abs(read_landmarks(out / 'landmarks_in_moving.csv').points - moved).max() < 1e-3


@pytest.mark.parametrize('layout', ['files', 'learn2reg'])
def test_a_cohort_of_slices(layout, slices, tmp_path):
    import mmreg.cli

    folder = slices(1)
    names = 'imagesTr/A_0001_0000', 'imagesTr/A_0001_0001'
    (folder / 'imagesTr').mkdir()
    for role, name in zip(('fixed', 'moving'), names):
        (folder / f'{role}.nii.gz').rename(folder / f'{name}.nii.gz')
    (folder / 'list.csv').write_text('fixed,moving\n' + ','.join(f'{name}.nii.gz' for name in names) + '\n')
    (folder / 'fast.py').write_text(
        "_base_ = 'mmreg::register_planar.py'\noptimisation = dict(levels=[dict(scale=1, iterations=3)])\n"
    )
    command = ['register', '--pairs', str(folder / 'list.csv'), '-o', str(tmp_path / 'out'), '--affine', 'none']
    options = ['--preset', str(folder / 'fast.py'), '--layout', layout, '--device', 'cpu']
    assert mmreg.cli.main([*command, *options]) == 0
    (field,) = [p for p in (tmp_path / 'out').rglob('*.nii.gz') if 'disp' in p.name and 'inverse' not in p.name]
    image = sitk.ReadImage(str(field))
    assert sitk.GetArrayFromImage(image).size == 3 * 27 * 25


def test_a_matrix_of_the_user_in_the_plane_or_out_of_it(slices, tmp_path):
    folder = slices(2, offset=0.0)
    pair = folder / 'fixed.nii.gz', folder / 'moving.nii.gz'
    matrix = np.eye(4)
    matrix[:3, 3] = grid_of(2, False).matrix @ np.array([*MOVED, 0.0])
    write_transform(tmp_path / 'given.tfm', affine_transform(matrix))
    options = dict(only=None, device='cpu', cfg_options={'optimisation.levels': [dict(scale=1, iterations=1)]})
    found = mmreg.register(*pair, affine=tmp_path / 'given.tfm', **files(folder, 'landmarks'), **options)
    assert np.allclose(found.affine, matrix, atol=1e-6) and found.metrics['tre']['after'] < 0.6
    matrix[:3, :3] = Rotation.from_euler('x', 10, degrees=True).as_matrix()
    with pytest.raises(DataError, match='out of the plane'):
        mmreg.register(*pair, affine=matrix, **options)


def test_what_is_no_pair_of_slices(slices, tmp_path):
    folder = slices(2)
    volume = Volume(
        np.random.default_rng(0).normal(size=(27, 25, 6)).astype(np.float32), Geometry((27, 25, 6), np.eye(4))
    )
    with pytest.raises(DataError, match=r'fixed\.nii\.gz: found one slice.*expected two slices.*or two volumes'):
        mmreg.register(folder / 'fixed.nii.gz', volume, device='cpu')
    with pytest.raises(DataError, match='found one slice'):
        mmreg.register(volume, folder / 'fixed.nii.gz', device='cpu')
    line = Volume(np.arange(9, dtype=np.float32).reshape(1, 9, 1), Geometry((1, 9, 1), np.eye(4)))
    with pytest.raises(DataError, match='1 x 9 x 1'):
        mmreg.register(line, line, device='cpu')


def test_planes_turned_a_little_and_axes_stored_otherwise(slices, tmp_path):
    """The moving slice is stored transposed and flipped, and its plane is turned by six degrees."""
    folder = slices(2, offset=0.0)
    moving = read_image(folder / 'moving.nii.gz')
    turn = np.eye(4)
    centre = moving.geometry.centre
    turn[:3, :3] = Rotation.from_euler('x', 6, degrees=True).as_matrix()
    turn[:3, 3] = centre - turn[:3, :3] @ centre
    stored = Volume(moving.array, Geometry(moving.geometry.shape, turn @ moving.geometry.affine)).reoriented('PRI')
    result = mmreg.register(
        folder / 'fixed.nii.gz', stored, affine='none', device='cpu', cfg_options=QUICK,
        fixed_landmarks=folder / 'fixed_landmarks.csv',
        moving_landmarks=read_landmarks(folder / 'moving_landmarks.csv').points @ turn[:3, :3].T + turn[:3, 3],
    )  # fmt: skip
    assert result.metrics['tre']['after'] < 0.6 < result.metrics['tre']['before']
    again = resample_to(stored, result.geometry, transform=result.transform)
    assert np.abs(again.array - result.warped.array).max() < 1
