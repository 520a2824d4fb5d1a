import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io import (
    Transform,
    affine_transform,
    compose,
    displacement_transform,
    read_transform,
    write_displacement_image,
    write_itk_transform,
    write_transform,
)

from .helpers import grid_points, oblique, rotation, smooth_displacement

LPS = np.array([-1.0, -1.0, 1.0])


def world_affine(ndim=3):
    affine = np.eye(ndim + 1)
    affine[:ndim, :ndim] = rotation(ndim, 12.0) * 1.1
    affine[:ndim, ndim] = (4.0, -2.0, 9.0)[:ndim]
    return affine


def mapped(affine, points):
    return points @ affine[:-1, :-1].T + affine[:-1, -1]


@pytest.mark.parametrize('ndim', [2, 3])
def test_affine_maps_ras_points(ndim):
    affine, points = world_affine(ndim), np.random.default_rng(0).normal(size=(5, ndim)) * 30
    transform = affine_transform(affine)
    np.testing.assert_allclose(transform.transform_points(points), mapped(affine, points), atol=1e-9)
    np.testing.assert_allclose(transform.affine, affine, atol=1e-9)
    np.testing.assert_allclose(transform.inverse().transform_points(mapped(affine, points)), points, atol=1e-9)


@pytest.mark.parametrize('ndim', [2, 3])
def test_displacement_then_affine(ndim):
    grid = oblique((18, 22, 14)[:ndim], flips=(0,))
    displacement, affine = smooth_displacement(grid), world_affine(ndim)
    voxels = grid_points(grid.shape)[::37]
    moved = voxels + displacement[(slice(None), *voxels.T)].T
    transform = displacement_transform(displacement, grid, affine)
    result = transform.transform_points(grid.voxel_to_world(voxels))
    np.testing.assert_allclose(result, mapped(affine, grid.voxel_to_world(moved)), atol=1e-5)
    assert transform.affine is None


def test_displacement_on_a_grid_returns_what_went_in():
    grid = oblique(flips=(1,))
    displacement = smooth_displacement(grid)
    back = displacement_transform(displacement, grid).displacement_on(grid)
    np.testing.assert_allclose(back, displacement, atol=1e-5)
    # with an affine the whole map is sampled, in voxels of the asked grid
    other = oblique((9, 11, 7), (3.0, 1.6, 5.0), 40.0)
    affine = world_affine()
    whole = affine_transform(affine).displacement_on(other)
    voxels = grid_points(other.shape)
    expected = other.world_to_voxel(mapped(affine, other.voxel_to_world(voxels))) - voxels
    np.testing.assert_allclose(whole.reshape(3, -1).T, expected, atol=1e-4)


def test_compose_applies_the_first_first():
    shift, turn = np.eye(4), world_affine()
    shift[:3, 3] = (10, 0, 0)
    points = np.random.default_rng(0).normal(size=(5, 3))
    chain = compose(affine_transform(shift), affine_transform(turn))
    np.testing.assert_allclose(chain.transform_points(points), mapped(turn @ shift, points), atol=1e-9)
    np.testing.assert_allclose(chain.affine, turn @ shift, atol=1e-9)
    np.testing.assert_allclose(chain.inverse().transform_points(mapped(turn @ shift, points)), points, atol=1e-9)
    with pytest.raises(DataError, match='expected one dimension'):
        compose(affine_transform(np.eye(3)), affine_transform(np.eye(4)))


def test_given_inverse_is_used():
    grid = oblique()
    shift = np.ones((3, *grid.shape), np.float32)
    transform = displacement_transform(shift, grid, world_affine(), -shift)
    points = grid.voxel_to_world([[5.0, 6.0, 7.0], [8.0, 9.0, 4.0]])
    there = transform.transform_points(points)
    np.testing.assert_allclose(transform.inverse().transform_points(there), points, atol=1e-5)
    with pytest.raises(DataError, match='no closed-form inverse'):
        displacement_transform(shift, grid).inverse()


@pytest.mark.parametrize('ending', ['.h5', '.tfm', '.txt'])
@pytest.mark.parametrize('ndim', [2, 3])
def test_files_round_trip(tmp_path, ending, ndim):
    grid = oblique((18, 22, 14)[:ndim])
    displacement, affine = smooth_displacement(grid), world_affine(ndim)
    path = tmp_path / f't{ending}'
    write_itk_transform(path, displacement, grid, affine)
    points = grid.voxel_to_world(np.random.default_rng(0).uniform(2, 9, (6, ndim)))
    expected = displacement_transform(displacement, grid, affine).transform_points(points)
    np.testing.assert_allclose(read_transform(path).transform_points(points), expected, atol=1e-6)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def euler():
    return sitk.Euler3DTransform((5.0, -3.0, 20.0), 0.1, -0.2, 0.3, (1.0, 2.0, 3.0))


def bspline():
    image = sitk.GetImageFromArray(np.zeros((20, 20, 20), np.float32))
    transform = sitk.BSplineTransformInitializer(image, (4, 4, 4))
    parameters = np.random.default_rng(0).normal(size=len(transform.GetParameters()))
    transform.SetParameters(parameters.tolist())
    return transform


def composite():
    return sitk.CompositeTransform([euler(), bspline()])


# .mat keeps single transforms only
OTHERS = [(make, e) for make in (euler, bspline, composite) for e in ('.h5', '.tfm', '.txt', '.mat')][:-1]


@pytest.mark.parametrize(('make', 'ending'), OTHERS)
def test_transforms_of_others(tmp_path, make, ending):
    transform = make()
    sitk.WriteTransform(transform, str(tmp_path / f't{ending}'))
    points = np.random.default_rng(1).uniform(4, 14, (5, 3))
    expected = np.array([transform.TransformPoint(p) for p in points.tolist()])
    ours = read_transform(tmp_path / f't{ending}').transform_points(points * LPS)
    np.testing.assert_allclose(ours, expected * LPS, atol=1e-6)


def test_displacement_image_is_a_transform_too(tmp_path):
    grid = oblique(flips=(2,))
    displacement = smooth_displacement(grid)
    write_displacement_image(tmp_path / 'u.nii.gz', displacement, grid)
    voxel = np.array([[4, 9, 3]])
    result = read_transform(tmp_path / 'u.nii.gz').transform_points(grid.voxel_to_world(voxel))
    np.testing.assert_allclose(result, grid.voxel_to_world(voxel + displacement[:, 4, 9, 3]), atol=1e-4)


def test_inverse_of_a_file(tmp_path):
    write_transform(tmp_path / 'a.tfm', affine_transform(world_affine()))
    points = np.random.default_rng(0).normal(size=(4, 3))
    back = read_transform(tmp_path / 'a.tfm', invert=True)
    np.testing.assert_allclose(back.transform_points(mapped(world_affine(), points)), points, atol=1e-6)
    grid = oblique()
    write_displacement_image(tmp_path / 'u.mha', smooth_displacement(grid), grid)
    with pytest.raises(DataError, match='u.mha: .*no closed-form inverse'):
        read_transform(tmp_path / 'u.mha', invert=True)


@pytest.mark.parametrize('name', ['t.h5', 't.tfm', 't.mat', 't.txt', 't.nii.gz', 't.pdf'])
@pytest.mark.parametrize('data', [None, b'', b'no transform here\n' * 30])
def test_bad_files(tmp_path, capfd, name, data):
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_transform(path)
    message = str(caught.value)
    assert message.startswith(f'{path}: ') and 'expected' in message and '\n' not in message, message
    assert capfd.readouterr() == ('', '')


def test_bad_arguments(tmp_path):
    with pytest.raises(DataError, match='expected an invertible'):
        affine_transform(np.zeros((4, 4)))
    with pytest.raises(DataError, match="ending '.xyz'"):
        write_transform(tmp_path / 'a.xyz', affine_transform(np.eye(4)))
    with pytest.raises(DataError, match='expected rows of 3'):
        affine_transform(np.eye(4)).transform_points([[1.0, 2.0]])
    assert isinstance(affine_transform(np.eye(3)), Transform) and not list(tmp_path.iterdir())
