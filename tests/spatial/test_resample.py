"""Resizing of images, labels and fields."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.autograd import gradcheck

from mmreg.errors import InputError
from mmreg.spatial import affine_displacement, identity_grid, output_size, resize, resize_field
from tests.spatial.fields import SIZES, smooth, translation


def test_output_size_is_the_floor_even_where_floats_fall_short():
    assert output_size((33, 100, 7), scale=0.5) == (16, 50, 3)
    assert output_size((100,), scale=0.29) == (29,)
    assert output_size((3, 4), scale=(0.1, 2)) == (1, 8)
    assert output_size((3, 4), (9, 9)) == (9, 9)


@pytest.mark.parametrize('scale', [0.5, 2, 1.7])
@pytest.mark.parametrize('size', SIZES)
def test_linear_resize_aligns_corners(size, scale):
    new = output_size(size, scale=scale)
    image = torch.rand(size, dtype=torch.float64)
    axes = [np.linspace(0, n - 1, m) for n, m in zip(size, new)]
    expected = ndimage.map_coordinates(image.numpy(), np.meshgrid(*axes, indexing='ij'), order=1, mode='nearest')
    np.testing.assert_allclose(resize(image[None, None], scale=scale)[0, 0].numpy(), expected, atol=1e-10)


@pytest.mark.parametrize('size', SIZES)
def test_centres_align_the_outer_edges(size):
    """A linear ramp reads (j + 1/2) n/m - 1/2, kept between the first and the last voxel."""
    new = tuple(2 * n for n in size)
    coarse, fine = identity_grid(size).double()[None], identity_grid(new).double()[None]
    for axis, (n, m) in enumerate(zip(size, new)):
        expected = ((fine[:, axis] + 0.5) * n / m - 0.5).clamp(0, n - 1)
        torch.testing.assert_close(resize(coarse, new, mode='centres')[:, axis], expected)
        doubled = resize_field(coarse, new, mode='centres')[:, axis]
        torch.testing.assert_close(doubled, 2 * expected)


def test_nothing_to_do_returns_the_image():
    image = torch.rand(1, 1, 5, 6)
    assert resize(image, scale=1) is image


def test_label_modes():
    labels = torch.arange(8).view(1, 1, 8).expand(1, 1, 8).clone()
    assert resize(labels, scale=0.5, mode='floor').flatten().tolist() == [0, 2, 4, 6]
    assert resize(labels, size=(4,), mode='nearest').flatten().tolist() == [0, 2, 5, 7]
    assert resize(labels[..., :3], size=(6,), mode='floor').flatten().tolist() == [0, 0, 1, 1, 2, 2]
    assert resize(labels, size=(1,), mode='nearest').flatten().tolist() == [0]


@pytest.mark.parametrize('size', SIZES)
def test_factor_multiplies_each_component_by_its_own_scale(size):
    ndim = len(size)
    field = translation(size, tuple(float(i + 1) for i in range(ndim)))
    scale = (2, 0.5, 1)[:ndim]
    resized = resize_field(field, scale=scale)
    for i in range(ndim):
        torch.testing.assert_close(resized[:, i], torch.full_like(resized[:, i], (i + 1) * scale[i]))
    published = resize_field(field, scale=scale, values=2)
    torch.testing.assert_close(published[:, 1], torch.full_like(published[:, 1], 4.0))


@pytest.mark.parametrize('new', [(27, 33), (7, 9)])
def test_aligned_values_express_the_same_motion_exactly(new):
    size = (14, 17)
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[:2] += torch.tensor([[0.1, -0.2, 1.0], [0.05, 0.1, -0.5]])
    resized = resize_field(affine_displacement(matrix, size), new, values='aligned')
    stretch = torch.tensor([(m - 1) / (n - 1) for n, m in zip(size, new)], dtype=torch.float64).view(2, 1, 1)
    coarse_points = identity_grid(new, dtype=torch.float64) / stretch
    expected = (torch.einsum('ij,j...->i...', matrix[:2, :2], coarse_points) + matrix[:2, 2].view(2, 1, 1)) * stretch
    torch.testing.assert_close(resized[0], expected - identity_grid(new, dtype=torch.float64), atol=1e-10, rtol=0)


@pytest.mark.parametrize('values', ['factor', 'aligned', (1.0, 3.0)])
@pytest.mark.parametrize('scale', [0.5, (2, 1)])
def test_gradients_2d(values, scale):
    field = smooth((5, 6)).requires_grad_()
    assert gradcheck(lambda u: resize_field(u, scale=scale, values=values), (field,))


def test_gradients_3d():
    field = smooth((4, 5, 3)).requires_grad_()
    assert gradcheck(lambda u: resize_field(u, scale=2), (field,))
    assert gradcheck(lambda u: resize(u, scale=0.5), (field,))


def test_fields_become_float32_and_images_keep_their_type():
    assert resize_field(torch.zeros(1, 2, 4, 4).half(), scale=2).dtype == torch.float32
    assert resize(torch.zeros(1, 2, 4, 4).bfloat16(), scale=2).dtype == torch.bfloat16


@pytest.mark.parametrize(
    'call,words',
    [
        (lambda: resize(torch.rand(1, 1, 5, 5)), 'exactly one'),
        (lambda: resize(torch.rand(1, 1, 5, 5), (4, 4), 0.5), 'exactly one'),
        (lambda: resize(torch.rand(1, 1, 5, 5), (4, 4), mode='cubic'), 'mode'),
        (lambda: resize(torch.zeros(1, 1, 5, 5, dtype=torch.long), (4, 4)), 'labels'),
        (lambda: resize_field(torch.zeros(1, 2, 5, 5), scale=2, values='spacing'), 'values'),
        (lambda: resize(torch.rand(1, 1, 5, 5), scale=-1), 'scale'),
        (lambda: resize(torch.rand(1, 1, 5, 5), (0, 4)), 'size'),
    ],
)
def test_refusals(call, words):
    with pytest.raises(InputError, match=words):
        call()
