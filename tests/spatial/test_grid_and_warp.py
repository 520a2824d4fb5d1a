"""Identity grid, warp and sampling: closed forms, gradients, precision, refusals."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.autograd import gradcheck
from torch.nn import functional as F

from mmreg.errors import InputError
from mmreg.spatial import affine_displacement, identity_grid, sample, sampling_grid, warp
from tests.spatial.fields import SIZES, sinusoid, smooth, translation


@pytest.mark.parametrize('size', SIZES)
def test_identity_grid_holds_indices(size):
    grid = identity_grid(size)
    assert grid.shape == (len(size), *size) and grid.dtype == torch.float32
    np.testing.assert_array_equal(grid.numpy(), np.indices(size))


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('mode', ['linear', 'nearest'])
def test_zero_displacement_is_the_identity(size, mode):
    image = torch.rand(2, 3, *size)
    field = torch.zeros(2, len(size), *size)
    torch.testing.assert_close(warp(image, field, mode), image, atol=2e-6, rtol=0)


@pytest.mark.parametrize('padding', ['zeros', 'border'])
@pytest.mark.parametrize('mode', ['linear', 'nearest'])
def test_integer_translation_along_each_axis(mode, padding):
    size = (10, 12, 9)
    image = torch.rand(1, 2, *size, dtype=torch.float64)
    for axis, step in ((0, 2), (1, -3), (2, 1)):
        offsets = tuple(float(step) if i == axis else 0.0 for i in range(3))
        warped = warp(image, translation(size, offsets), mode, padding)
        index = torch.arange(size[axis]) + step
        expected = image.index_select(axis + 2, index.clamp(0, size[axis] - 1))
        if padding == 'zeros':
            outside = (index < 0) | (index >= size[axis])
            expected.index_fill_(axis + 2, outside.nonzero()[:, 0], 0)
        torch.testing.assert_close(warped, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize('padding,mode', [('zeros', 'constant'), ('border', 'nearest')])
@pytest.mark.parametrize('size', SIZES)
def test_linear_warp_agrees_with_scipy_inside_and_at_the_border(size, padding, mode):
    image = torch.rand(size, dtype=torch.float64)
    field = smooth(size, 3.0) + 0.3
    positions = (identity_grid(size, dtype=torch.float64) + field[0]).numpy()
    if padding == 'border':
        expected = ndimage.map_coordinates(image.numpy(), positions, order=1, mode=mode)
    else:  # a frame of zeros is what 'zeros' means; scipy's constant mode does not interpolate towards it
        framed = np.pad(image.numpy(), 5)
        expected = ndimage.map_coordinates(framed, positions + 5, order=1, mode=mode)
    actual = warp(image[None, None], field, padding=padding)[0, 0]
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-10)


@pytest.mark.parametrize('size', SIZES)
def test_linear_function_is_warped_exactly_by_an_affine_map(size):
    ndim = len(size)
    matrix = torch.eye(ndim + 1, dtype=torch.float64)
    matrix[:ndim, :ndim] += 0.05 * torch.randn(ndim, ndim, dtype=torch.float64)
    matrix[:ndim, ndim] = 0.4
    slope = torch.arange(1, ndim + 1, dtype=torch.float64)
    ramp = torch.einsum('i,i...->...', slope, identity_grid(size, dtype=torch.float64))
    field = affine_displacement(matrix, size)
    positions = identity_grid(size, dtype=torch.float64) + field[0]
    extent = torch.tensor(size).view(ndim, *[1] * ndim) - 1
    inside = ((positions >= 0) & (positions <= extent)).all(0)
    expected = torch.einsum('i,i...->...', slope, positions)
    assert inside.float().mean() > 0.5
    torch.testing.assert_close(warp(ramp[None, None], field)[0, 0][inside], expected[inside], atol=1e-10, rtol=0)


@pytest.mark.parametrize('padding', ['zeros', 'border'])
@pytest.mark.parametrize('size', SIZES)
def test_nearest_agrees_with_grid_sample(size, padding):
    image = torch.randint(0, 9, (2, 1, *size))
    field = (smooth(size, 4.0, batch=2) + 0.2).float()
    expected = F.grid_sample(
        image.float(), sampling_grid(field), mode='nearest', padding_mode=padding, align_corners=True
    )
    actual = warp(image, field, 'nearest', padding)
    assert actual.dtype == image.dtype
    assert (actual != expected).float().mean() < 1e-3


def test_nearest_keeps_large_integers():
    image = torch.full((1, 1, 5, 6), 2**53 + 1)
    assert (warp(image, torch.zeros(1, 2, 5, 6), 'nearest') == 2**53 + 1).all()


@pytest.mark.parametrize('padding', ['zeros', 'border'])
@pytest.mark.parametrize('size', [(5, 6), (4, 5, 3)])
def test_gradients_towards_image_and_field(size, padding):
    image = torch.rand(2, 2, *size, dtype=torch.float64, requires_grad=True)
    field = (smooth(size, 1.3, batch=2) + 0.17).requires_grad_()
    assert gradcheck(lambda a, u: warp(a, u, padding=padding), (image, field))


def test_one_displacement_serves_a_batch_of_images_and_gets_the_sum_of_gradients():
    size = (6, 7)
    images = torch.rand(3, 1, *size, dtype=torch.float64)
    field = (smooth(size) + 0.2).requires_grad_()
    warp(images, field).sum().backward()
    expected = sum(torch.autograd.grad(warp(images[n : n + 1], field).sum(), field)[0] for n in range(3))
    torch.testing.assert_close(field.grad, expected)


def test_warp_saves_image_and_displacement_only():
    size = (16, 16, 16)
    image = torch.rand(1, 1, *size)
    field = smooth(size).float().requires_grad_()
    saved = {}

    def pack(tensor):
        saved[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        warp(image, field)
    assert sum(saved.values()) == image.numel() + field.numel()


@pytest.mark.parametrize('size', SIZES)
def test_positions_stay_float32_under_autocast(size):
    image = torch.rand(1, 1, *size)
    field = smooth(size, 2.0).float()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert sampling_grid(field).dtype == torch.float32
        inside = warp(image, field)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, warp(image, field), atol=0, rtol=0)


def test_half_precision_features_are_sampled_at_float32_positions():
    size = (6, 200)
    features = torch.rand(1, 2, *size).bfloat16()
    field = translation(size, (0.0, 0.25), torch.float32)
    warped = warp(features, field)
    assert warped.dtype == torch.bfloat16
    torch.testing.assert_close(warped, warp(features.float(), field).bfloat16(), atol=0, rtol=0)


def test_float64_stays_float64():
    field, _ = sinusoid((9, 11))
    assert sampling_grid(field).dtype == torch.float64
    assert warp(torch.rand(1, 1, 9, 11, dtype=torch.float64), field).dtype == torch.float64


def test_an_axis_of_one_voxel_is_no_trouble():
    image = torch.rand(1, 1, 6, 7, 1)
    warped = warp(image, torch.zeros(1, 3, 6, 7, 1))
    torch.testing.assert_close(warped, image, atol=1e-6, rtol=0)


@pytest.mark.parametrize('size', SIZES)
def test_sample_at_voxels_and_between(size):
    ndim = len(size)
    image = torch.rand(2, 3, *size, dtype=torch.float64)
    points = torch.stack([torch.randint(0, n - 1, (2, 5)) for n in size], dim=-1).double()
    at = torch.stack([image[n][(slice(None), *points[n].long().unbind(-1))] for n in range(2)])
    torch.testing.assert_close(sample(image, points), at, atol=1e-12, rtol=0)
    middle = points.clone()
    middle[..., -1] += 0.5
    following = points.clone()
    following[..., -1] += 1
    expected = 0.5 * (sample(image, points) + sample(image, following))
    torch.testing.assert_close(sample(image, middle), expected, atol=1e-12, rtol=0)
    outside = torch.full((2, 1, ndim), -5.0, dtype=torch.float64)
    assert (sample(image, outside) == 0).all()
    torch.testing.assert_close(sample(image, outside, 'border')[..., 0], image[(..., *[0] * ndim)])


def test_sample_gradient():
    image = torch.rand(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    points = (torch.rand(1, 6, 2, dtype=torch.float64) * 2.9 + 0.03).requires_grad_()
    assert gradcheck(sample, (image, points))


def test_a_fixed_landmark_moves_with_the_field_to_where_its_image_was():
    size = (12, 14, 11)
    moving = torch.zeros(1, 1, *size)
    moving[0, 0, 7, 4, 6] = 1
    field = translation(size, (2.0, -3.0, 1.0), torch.float32)
    warped = warp(moving, field)
    fixed_point = (warped[0, 0] > 0.5).nonzero().float()[None]
    moved = fixed_point + sample(field, fixed_point).mT
    torch.testing.assert_close(moved, torch.tensor([[[7.0, 4.0, 6.0]]]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    'call,words',
    [
        (lambda: warp(torch.rand(1, 1, 5, 6), torch.zeros(1, 2, 5, 7)), 'grid of size'),
        (lambda: warp(torch.rand(1, 1, 5, 6), torch.zeros(1, 3, 5, 6)), 'one component per axis'),
        (lambda: warp(torch.rand(2, 1, 5, 6), torch.zeros(3, 2, 5, 6)), 'batch size'),
        (lambda: warp(torch.zeros(1, 1, 5, 6, dtype=torch.long), torch.zeros(1, 2, 5, 6)), 'labels'),
        (lambda: warp(torch.rand(1, 1, 5, 6), torch.zeros(1, 2, 5, 6), 'cubic'), 'mode'),
        (lambda: warp(torch.rand(1, 1, 5, 6), torch.zeros(1, 2, 5, 6), padding='reflect'), 'padding'),
        (lambda: sample(torch.rand(1, 1, 5, 6), torch.zeros(1, 4, 3)), 'points have shape'),
    ],
)
def test_refusals_say_what_was_found(call, words):
    with pytest.raises(InputError, match=words):
        call()
