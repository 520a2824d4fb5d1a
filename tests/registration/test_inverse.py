"""The inverse of a result: on a divided grid, and where its points come back."""

import numpy as np
import pytest
import torch

from mmreg.io import Geometry, displacement_transform, write_transform
from mmreg.io.displacement import fine_step, voxels_to_lps
from mmreg.registration.results.inverse import GOOD, division, inverse_of, nearest
from mmreg.spatial import gaussian_filter, resize_field


def rough_field(shape, spacing, seed=0):
    """Smooth over about 6 mm, up to 3 mm long: voxels."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, 3, *shape, generator=generator)
    field = gaussian_filter(noise, [4 / s for s in spacing], padding='border')[0].numpy()
    field *= 3 / np.abs(field).max()
    return (field / np.reshape(spacing, (3, 1, 1, 1))).astype(np.float32)


def round_trip(displacement, geometry, inverse):
    """Mean distance in mm between random points and where they come back."""
    rng = np.random.default_rng(0)
    low, high = 0.2 * np.array(geometry.shape), 0.8 * np.array(geometry.shape) - 1
    points = geometry.voxel_to_world(rng.uniform(low, high, (500, 3)))
    there = displacement_transform(displacement, geometry).transform_points(points)
    back = displacement_transform(inverse.displacement, inverse.geometry).transform_points(there)
    return np.linalg.norm(back - points, axis=1).mean()


@pytest.mark.parametrize(('shape', 'spacing'), [((24, 20, 22), (2.0, 2.0, 2.0)), ((32, 32, 9), (1.4, 1.4, 10.0))])
def test_a_divided_grid_brings_points_back(shape, spacing):
    geometry = Geometry.from_parts(shape, spacing, origin=(5.0, -3.0, 1.0))
    displacement = rough_field(shape, spacing)
    plain, divided = inverse_of(displacement, geometry), inverse_of(displacement, geometry, divide=True)
    assert plain.geometry.same_grid(geometry) and plain.factors == (1, 1, 1)
    assert divided.residual.mean <= GOOD and plain.residual.mean < 2e-3
    before, after = round_trip(displacement, geometry, plain), round_trip(displacement, geometry, divided)
    assert after < 0.85 * before and after < 0.1
    np.testing.assert_allclose(divided.on_original_grid, plain.displacement, atol=0.2)
    # No finer than it has to be: its file is what a result costs most.
    assert np.prod(divided.factors) <= 5 and np.prod(divided.factors) < max(np.prod(division(geometry)), 2)


def test_an_inverse_is_rounded_by_what_it_is_off_by(tmp_path):
    """No digits that say nothing, and none that are missed."""
    shape, spacing = (40, 44, 42), (2.0, 2.0, 2.0)
    geometry = Geometry.from_parts(shape, spacing, origin=(5.0, -3.0, 1.0))
    sizes = []
    for length in (2.5, 0.01):
        displacement = length * rough_field(shape, spacing)
        found, exact = inverse_of(displacement, geometry, divide=True), inverse_of(displacement, geometry)
        vectors = voxels_to_lps(found.displacement, found.geometry)
        np.testing.assert_allclose(vectors, np.rint(vectors / found.step) * found.step, atol=1e-5)
        assert found.step <= max(found.residual.mean, fine_step(geometry)) and found.residual.mean <= GOOD * 1.125
        for name, one in (('rounded', found), ('exact', exact)):
            transform = displacement_transform(one.displacement, one.geometry, step=one.step)
            write_transform(tmp_path / f'{name}.h5', transform)
        sizes.append([(tmp_path / f'{name}.h5').stat().st_size for name in ('rounded', 'exact')])
        assert round_trip(displacement, geometry, found) < max(0.1 * length, fine_step(geometry))
    assert found.step == fine_step(geometry), 'a small displacement keeps its digits'
    assert sizes[0][0] < 0.95 * sizes[0][1]


def test_the_nearest_field_of_linear_pieces():
    """What is linear between the coarse nodes comes back exactly, and nothing on that grid is nearer to the rest."""
    geometry = Geometry.from_parts((5, 4, 3), (2.0, 3.0, 4.0))
    coarse = np.random.default_rng(0).normal(size=(3, 5, 4, 3)).astype(np.float32)
    factors = (2, 3, 4)
    linear = resize_field(torch.from_numpy(coarse)[None], size=list(geometry.divided(factors).shape), values='aligned')
    np.testing.assert_allclose(nearest(linear[0].numpy(), geometry, factors, (1, 1, 1)), coarse, atol=1e-5)
    fine = np.random.default_rng(1).normal(size=linear.shape[1:]).astype(np.float32)

    def far(field):
        shown = resize_field(torch.from_numpy(field)[None], size=list(fine.shape[1:]), values='aligned')[0].numpy()
        return float(((shown - fine) ** 2).sum())

    best = nearest(fine, geometry, factors, (1, 1, 1))
    for seed in range(5):
        other = best + 0.01 * np.random.default_rng(seed).normal(size=best.shape).astype(np.float32)
        assert far(best) < far(other)


def test_division_follows_the_voxels():
    assert division(Geometry.from_parts((100, 100, 100), (1.0, 1.0, 1.0))) == (1, 1, 1)
    assert division(Geometry.from_parts((60, 60, 9), (1.4, 2.2, 10.0))) == (1, 2, 10)
    assert division(Geometry.from_parts((60, 60, 1), (2.0, 2.0, 8.0))) == (2, 2, 1)
    # Not more than memory should hold.
    assert division(Geometry.from_parts((512, 512, 60), (0.7, 0.7, 3.0))) == (1, 1, 1)


def test_divided_geometry_keeps_its_corners():
    direction = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    geometry = Geometry.from_parts((5, 6, 7), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), direction)
    fine = geometry.divided((1, 2, 3))
    assert fine.shape == (5, 11, 19) and fine.spacing == pytest.approx((1, 1, 1))
    np.testing.assert_allclose(fine.voxel_to_world([[4, 10, 18]]), geometry.voxel_to_world([[4, 5, 6]]))
