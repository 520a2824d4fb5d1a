"""Changes of frame and unit, and affine maps."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional as F

from mmreg.errors import InputError
from mmreg.spatial import (
    affine_displacement,
    affine_matrix,
    apply_affine,
    displacement_from_world,
    displacement_to_grid,
    displacement_to_normalised,
    displacement_to_voxel,
    displacement_to_world,
    identity_grid,
    normalised_to_voxel,
    rotation_from_vector,
    rotation_matrix,
    sample,
    sampling_grid,
    voxel_matrix,
    voxel_to_normalised,
    voxel_to_world,
    warp,
    world_matrix,
    world_to_voxel,
)
from tests.spatial.fields import SIZES, smooth

# Oblique, anisotropic, one axis flipped.
OBLIQUE = torch.eye(4, dtype=torch.float64)
OBLIQUE[:3, :3] = rotation_matrix(torch.tensor([[0.3, -0.2, 0.5]], dtype=torch.float64))[0] @ torch.diag(
    torch.tensor([0.8, -1.1, 2.5], dtype=torch.float64)
)
OBLIQUE[:3, 3] = torch.tensor([-30.0, 12.0, 5.0])


@pytest.mark.parametrize('order', ['ijk', 'xyz'])
@pytest.mark.parametrize('size', SIZES)
def test_corners_and_round_trips_of_normalised_coordinates(size, order):
    last = torch.tensor([[n - 1.0 for n in size]])
    assert (voxel_to_normalised(torch.zeros_like(last), size, order) == -1).all()
    torch.testing.assert_close(voxel_to_normalised(last, size, order), torch.ones_like(last))
    points = torch.rand(4, 5, len(size), dtype=torch.float64) * 9
    there = voxel_to_normalised(points, size, order)
    torch.testing.assert_close(normalised_to_voxel(there, size, order), points)
    field = smooth(size, 2.0)
    torch.testing.assert_close(displacement_to_voxel(displacement_to_normalised(field, order), order), field)


@pytest.mark.parametrize('size', SIZES)
def test_xyz_order_is_that_of_grid_sample(size):
    image = torch.rand(1, 1, *size, dtype=torch.float64)
    field = smooth(size, 2.0)
    identity = voxel_to_normalised(identity_grid(size, dtype=torch.float64).movedim(0, -1), size, 'xyz')
    grid = identity + displacement_to_normalised(field, 'xyz').movedim(1, -1)
    torch.testing.assert_close(grid, sampling_grid(field))
    torch.testing.assert_close(F.grid_sample(image, grid, align_corners=True), warp(image, field))


def test_world_round_trip_and_origin():
    points = torch.rand(2, 7, 3) * 20
    world = voxel_to_world(points, OBLIQUE)
    assert world.dtype == torch.float32
    torch.testing.assert_close(world_to_voxel(world, OBLIQUE), points, atol=1e-4, rtol=0)
    torch.testing.assert_close(voxel_to_world(torch.zeros(1, 3, dtype=torch.float64), OBLIQUE)[0], OBLIQUE[:3, 3])


def test_world_vectors_are_differences_of_world_points():
    size = (6, 7, 5)
    field = smooth(size, 1.5)
    start = identity_grid(size, dtype=torch.float64).movedim(0, -1)
    moved = start + field[0].movedim(0, -1)
    expected = (voxel_to_world(moved, OBLIQUE) - voxel_to_world(start, OBLIQUE)).movedim(-1, 0)
    world = displacement_to_world(field, OBLIQUE)
    torch.testing.assert_close(world[0], expected)
    torch.testing.assert_close(displacement_from_world(world, OBLIQUE), field)


def test_a_displacement_on_another_grid_is_the_same_motion_in_space():
    size, new_size = (12, 13, 11), (16, 9, 14)
    linear = torch.eye(4, dtype=torch.float64)
    linear[:3] += 0.03 * torch.randn(3, 4, dtype=torch.float64)
    field = affine_displacement(linear, size)  # linear fields are interpolated without error
    target = torch.eye(4, dtype=torch.float64)
    target[:3, :3] = rotation_matrix(torch.tensor([[0.1, 0.2, -0.1]], dtype=torch.float64))[0] * 0.6
    target = OBLIQUE @ target
    target[:3, 3] = voxel_to_world(torch.tensor([[3.0, 3.5, 2.5]], dtype=torch.float64), OBLIQUE)[0]
    moved = displacement_to_grid(field, OBLIQUE, target, new_size)
    points = torch.tensor([[[2.0, 3.0, 4.0], [5.0, 4.0, 3.0]]], dtype=torch.float64)
    target_world = voxel_to_world(points + sample(moved, points).mT, target)
    source = world_to_voxel(voxel_to_world(points, target), OBLIQUE)
    assert (source > 0).all() and (source < 10).all()
    source_world = voxel_to_world(source + sample(field, source).mT, OBLIQUE)
    torch.testing.assert_close(target_world, source_world)


@pytest.mark.parametrize('size', SIZES)
def test_affine_displacement_moves_voxels_as_its_matrix(size):
    ndim = len(size)
    matrix = torch.randn(2, ndim + 1, ndim + 1, dtype=torch.float64)
    field = affine_displacement(matrix, size)
    start = identity_grid(size, dtype=torch.float64).flatten(1).mT.expand(2, -1, -1)
    moved = start + field.flatten(2).mT
    torch.testing.assert_close(moved, apply_affine(matrix, start))
    torch.testing.assert_close(affine_displacement(torch.eye(ndim + 1), size), torch.zeros(1, ndim, *size))


def test_affine_displacement_gradient():
    matrix = torch.randn(1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda m: affine_displacement(m, (2, 3, 2)), (matrix,))


def test_voxel_and_world_matrices_are_inverse_of_each_other():
    moving = OBLIQUE.clone()
    moving[:3, 3] += 4
    world = torch.eye(4, dtype=torch.float64)
    world[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    matrix = voxel_matrix(world, OBLIQUE, moving)
    point = torch.tensor([[4.0, 5.0, 6.0]], dtype=torch.float64)
    expected = voxel_to_world(point, OBLIQUE) + world[:3, 3]
    torch.testing.assert_close(voxel_to_world(apply_affine(matrix, point), moving), expected)
    torch.testing.assert_close(world_matrix(matrix, OBLIQUE, moving), world)


def test_rotations():
    quarter = rotation_matrix(torch.tensor([[math.pi / 2]], dtype=torch.float64))[0]
    torch.testing.assert_close(
        quarter @ torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 1.0]).double()
    )
    for axis in range(3):
        angles = torch.zeros(1, 3, dtype=torch.float64)
        angles[0, axis] = 0.7
        torch.testing.assert_close(rotation_matrix(angles), rotation_from_vector(angles))
    general = rotation_matrix(torch.randn(5, 3, dtype=torch.float64))
    torch.testing.assert_close(general @ general.mT, torch.eye(3, dtype=torch.float64).expand(5, 3, 3))
    torch.testing.assert_close(torch.linalg.det(general), torch.ones(5, dtype=torch.float64))
    zero = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(rotation_from_vector, (zero,))


@pytest.mark.parametrize('ndim', [2, 3])
def test_affine_matrix_leaves_its_centre_in_place(ndim):
    parts = {2: 1, 3: 3}[ndim]
    centre = torch.rand(4, ndim) * 10
    shift = torch.rand(4, ndim)
    matrix = affine_matrix(
        shift, rotation=torch.rand(4, parts), scale=1 + torch.rand(4, ndim), shear=torch.rand(4, parts), centre=centre
    )
    moved = apply_affine(matrix, centre.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(moved, centre + shift, atol=1e-4, rtol=0)
    linear = torch.linalg.det(affine_matrix(torch.zeros(1, ndim), scale=torch.full((1, ndim), 2.0)))
    torch.testing.assert_close(linear, torch.tensor([2.0**ndim]))


@pytest.mark.parametrize(
    'call,words',
    [
        (lambda: affine_displacement(torch.eye(3), (4, 4, 4)), 'matrix has shape'),
        (lambda: apply_affine(torch.eye(3), torch.zeros(5, 3)), 'affine has shape'),
        (lambda: rotation_matrix(torch.zeros(1, 2)), 'angles'),
        (lambda: rotation_from_vector(torch.zeros(3)), 'vector'),
        (lambda: affine_matrix(torch.zeros(1, 3), scale=torch.ones(1, 2)), 'scale has shape'),
        (lambda: voxel_to_normalised(torch.zeros(1, 3), (4, 4, 4), 'zyx'), 'order'),
    ],
)
def test_refusals(call, words):
    with pytest.raises(InputError, match=words):
        call()
