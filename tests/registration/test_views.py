"""What both images show, and nothing else, is registered; masks steer the affine and do not search."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

import mmreg
from mmreg.io import Geometry, Volume
from mmreg.registration.inputs.views import view_of

from .phantoms import centred, draw, pose

GRID = centred((40, 40, 40), (2.0, 2.0, 2.0))


def tissue(seed=3):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=GRID.shape), 1.6)
    return (100 * (2 + noise / noise.std())).astype(np.float32)


def part(array, first):
    affine = GRID.affine.copy()
    affine[:3, 3] += affine[:3, 2] * first
    cut = np.ascontiguousarray(array[..., first:])
    return Volume(cut, Geometry(cut.shape, affine))


def bent():
    """The tissue warped by a known smooth field ``(3, *S)`` in voxels, and the field."""
    field = np.stack([gaussian_filter(np.random.default_rng(n).normal(size=GRID.shape), 5) for n in range(3)])
    field *= 1.5 / np.linalg.norm(field, axis=0).mean()
    at = np.stack(np.meshgrid(*map(np.arange, GRID.shape), indexing='ij')) + field
    return map_coordinates(tissue(), at, order=1, mode='nearest').astype(np.float32), field, at


@pytest.mark.parametrize('filled', [False, True])
def test_what_the_moving_image_does_not_show_pulls_nothing(filled):
    """Its upper half only, as a smaller image or with zeros in place of the rest."""
    warped, truth, at = bent()
    moving = part(tissue(), 18)
    if filled:
        zeros = tissue()
        zeros[..., :18] = 0
        moving = Volume(zeros, GRID)
    result = mmreg.register(Volume(warped, GRID), moving, preset='generic', affine='none', device='cpu')
    error = np.linalg.norm(result.displacement - truth, axis=0)
    seen = at[2] >= 18
    assert error[seen].mean() < 0.4 * np.linalg.norm(truth, axis=0)[seen].mean()
    assert np.abs(result.displacement[..., :8]).max() < 6  # the hidden part is not drawn over the edge


def test_filled_slices_are_cut_off_and_dark_air_is_not():
    array = tissue()
    array[:, :6] = 0
    view = view_of(Volume(array, GRID))
    assert view.mask is None and view.volume.geometry.shape == (40, 34, 40)
    first = view.volume.geometry.voxel_to_world([[0, 0, 0]])
    np.testing.assert_allclose(first, GRID.voxel_to_world([[0, 6, 0]]))
    assert view.on(GRID).sum() == 40 * 34 * 40
    body = draw(centred((40, 40, 40), (3.0,) * 3)).array
    body = np.where(body > 0.05, body, 0).astype(np.float32)
    assert view_of(Volume(body, GRID)).volume.array.shape == (40, 40, 40)


def test_ct_outside_its_circle():
    x, y = np.mgrid[:40, :40] - 19.5
    array = np.where((x**2 + y**2 < 19**2)[..., None], tissue() - 200, -2000).astype(np.float32)
    view = view_of(Volume(array, GRID))
    assert view.mask is not None and view.mask.mean() == pytest.approx((array > -2000).mean())


@pytest.mark.parametrize('radius', [10.0, 16.0])
def test_a_small_mask_does_not_search(radius):
    grid = centred((36, 34, 32), (3.0, 3.0, 3.0))
    world = pose(12, (6.0, -4.0, 3.0))
    fixed, moving = draw(grid), draw(grid, world, seed=1)
    points = grid.voxel_to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing='ij'), -1))
    mask = Volume((((points - (13, 6, 4)) ** 2).sum(-1) < radius**2).astype(np.uint8), grid)
    levels = {'optimisation.levels': [dict(scale=4, iterations=1)]}
    options = dict(preset='generic', affine='rigid', device='cpu', cfg_options=levels)
    masked = mmreg.register(fixed, moving, fixed_mask=mask, **options)
    body = points[draw(grid, labels=True).array > 0]
    moved = body @ masked.affine[:3, :3].T + masked.affine[:3, 3]
    assert np.linalg.norm(moved - (body @ world[:3, :3].T + world[:3, 3]), axis=1).mean() < 1.0


@pytest.mark.parametrize('axis', [0, 2])
@pytest.mark.parametrize('noise', [0.0, 3.0])
def test_lost_slices_are_hidden_and_their_neighbours_stand_in(axis, noise):
    array = np.moveaxis(tissue(), axis, 0).copy()
    array[[10, 11, 25]] = 20
    array += np.random.default_rng(0).normal(0, noise, array.shape)
    view = view_of(Volume(np.moveaxis(array, 0, axis).astype(np.float32), GRID))
    assert view.mask is not None
    hidden = np.moveaxis(~view.mask, axis, 0)
    assert sorted(np.flatnonzero(hidden.all(axis=(1, 2)))) == [10, 11, 25] and hidden.sum() == 3 * 40 * 40
    mended = np.moveaxis(view.volume.array, axis, 0)
    np.testing.assert_allclose(mended[25], (array[24] + array[26]) / 2, rtol=1e-4)


def test_what_only_looks_dark_is_no_lost_slice():
    two_bodies = np.zeros(GRID.shape, np.float32)
    world = np.stack(np.meshgrid(*map(np.arange, GRID.shape), indexing='ij'), -1)
    for centre in (10, 30):
        two_bodies[np.linalg.norm(world - (centre, 20, 20), axis=-1) < 9.6] = 100
    faded = tissue()
    faded[:, :, 20] *= 0.5
    deep = tissue()
    deep[:, 10:30] = 0
    for array in (two_bodies, faded, deep, tissue()):
        assert view_of(Volume(array, GRID)).mask is None


def test_lost_slices_of_the_moving_image_pull_nothing():
    warped, truth, _ = bent()
    moving = tissue()
    moving[:, :, [9, 10, 20, 21, 31]] = 0
    result = mmreg.register(Volume(warped, GRID), Volume(moving, GRID), preset='generic', affine='none', device='cpu')
    error = np.linalg.norm(result.displacement - truth, axis=0)
    assert error.mean() < 0.4 * np.linalg.norm(truth, axis=0).mean()


def test_a_ct_with_a_circle_loses_slices_too():
    x, y = np.mgrid[:40, :40] - 19.5
    array = np.where((x**2 + y**2 < 19**2)[..., None], tissue() - 200, -2000).astype(np.float32)
    shown = view_of(Volume(array, GRID)).mask
    array[..., 12:14] = -2000
    view = view_of(Volume(array, GRID))
    assert not view.mask[..., 12:14].any()
    np.testing.assert_array_equal(np.delete(view.mask, (12, 13), 2), np.delete(shown, (12, 13), 2))
    assert view.volume.array[20, 20, 12] > -500
