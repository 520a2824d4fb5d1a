import numpy as np
import pytest

from mmreg.io import affine_transform, compose, displacement_transform
from mmreg.io.point_inverse import inverse_points
from mmreg.io.transform_parts import displacement_of, own_grid, parts_of, simplified

from .helpers import oblique, rotation, smooth_displacement


def turn(ndim, degrees=12.0):
    affine = np.eye(ndim + 1)
    affine[:ndim, :ndim] = rotation(ndim, degrees) * 1.1
    return affine


@pytest.mark.parametrize('ndim', [2, 3])
def test_points_come_back(ndim):
    grid = oblique((18, 22, 14)[:ndim], flips=(0,))
    chain = compose(displacement_transform(smooth_displacement(grid, 1.2), grid), affine_transform(turn(ndim)))
    points = grid.voxel_to_world(np.random.default_rng(0).uniform(4, 9, (50, ndim)))
    found, error = inverse_points(chain, chain.transform_points(points))
    np.testing.assert_allclose(found, points, atol=1e-5)
    assert error.max() < 1e-5


def test_strong_expansion_is_inverted_too():
    # plain fixed-point iteration diverges where neighbours move apart by more than their distance
    grid = oblique((40, 10, 10), (1.0, 1.0, 1.0), 0.0)
    displacement = np.zeros((3, *grid.shape), np.float32)
    displacement[0] = (2.0 * (np.arange(40) - 19.5)).clip(-12, 12)[:, None, None]
    transform = displacement_transform(displacement, grid)
    points = grid.voxel_to_world(np.random.default_rng(0).uniform((15, 2, 2), (24, 7, 7), (50, 3)))
    found, error = inverse_points(transform, transform.transform_points(points))
    np.testing.assert_allclose(found, points, atol=1e-5)
    assert error.max() < 1e-5


def test_parts_in_the_order_of_points():
    grid = oblique()
    field, first, second = smooth_displacement(grid), affine_transform(turn(3)), affine_transform(turn(3, -30.0))
    chain = compose(displacement_transform(field, grid), first, second)
    parts = parts_of(compose(chain, first))
    assert [part.affine is None for part in parts] == [True, False, False, False]
    displacement, found = displacement_of(parts[0])
    np.testing.assert_allclose(displacement, field, atol=1e-5)
    assert found.same_grid(grid) and own_grid(chain).same_grid(grid)
    assert own_grid(compose(first, chain)) is None and displacement_of(parts[1]) is None
    short = simplified(parts)
    assert len(parts_of(short)) == 2
    points = np.random.default_rng(0).normal(size=(9, 3)) * 5
    np.testing.assert_allclose(
        short.transform_points(points), compose(chain, first).transform_points(points), atol=1e-9
    )
    assert simplified([first, second]).itk.GetName() == 'AffineTransform'
