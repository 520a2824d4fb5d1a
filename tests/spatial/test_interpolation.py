"""The warp with its derivative, and B-splines."""

import pytest
import torch

from mmreg.errors import InputError
from mmreg.spatial import warp
from mmreg.spatial.bspline import bspline_field, control_size, cubic_bspline
from mmreg.spatial.interpolation import warp_with_gradient

SIZES = [(7, 9), (5, 6, 4)]


def pair(size, batch=2, channels=2, amplitude=1.5):
    generator = torch.Generator().manual_seed(len(size))
    image = torch.rand(batch, channels, *size, generator=generator, dtype=torch.float64)
    field = torch.randn(batch, len(size), *size, generator=generator, dtype=torch.float64) * amplitude
    return image, field


@pytest.mark.parametrize('size', SIZES)
def test_equals_the_native_warp_and_its_gradient(size):
    image, field = pair(size)
    field.requires_grad_()
    warped, slopes = warp_with_gradient(image, field)
    native = warp(image, field, padding='border')
    torch.testing.assert_close(warped, native)
    for channel in range(2):
        (expected,) = torch.autograd.grad(native[:, channel].sum(), field, retain_graph=True)
        torch.testing.assert_close(slopes[:, channel], expected)


@pytest.mark.parametrize('size', [(4, 5), (3, 4, 3)])
def test_gradients_of_value_and_slope(size):
    image, field = pair(size, batch=1, channels=1)
    image.requires_grad_(), field.requires_grad_()
    assert torch.autograd.gradcheck(warp_with_gradient, (image, field))


@pytest.mark.parametrize('size', SIZES)
def test_at_integers_the_difference_to_the_right(size):
    image, _ = pair(size)
    _, slopes = warp_with_gradient(image, torch.zeros(2, len(size), *size, dtype=torch.float64))
    for axis in range(len(size)):
        last = torch.zeros_like(image.narrow(axis + 2, 0, 1))
        torch.testing.assert_close(slopes[:, :, axis], torch.cat([image.diff(dim=axis + 2), last], dim=axis + 2))


def test_nothing_moves_outside():
    image, _ = pair((5, 6))
    far = torch.full((2, 2, 5, 6), 50.0, dtype=torch.float64)
    warped, slopes = warp_with_gradient(image, far)
    assert torch.equal(warped, image[..., -1:, -1:].expand_as(image)) and not slopes.any()


def test_half_precision_positions_are_float32():
    image, field = pair((5, 6))
    warped, _ = warp_with_gradient(image.half(), field.half())
    assert warped.dtype == torch.float32


def test_wrong_grid_is_refused():
    image, field = pair((5, 6))
    with pytest.raises(InputError, match='expected the batch and grid of the image'):
        warp_with_gradient(image[..., :-1], field)


@pytest.mark.parametrize('size, spacing', [((13, 9), 4), ((8, 7, 9), (3, 2, 4))])
def test_splines_reproduce_linear_fields(size, spacing):
    steps = (spacing,) * len(size) if isinstance(spacing, int) else spacing
    points = control_size(size, spacing)
    axes = [(torch.arange(n, dtype=torch.float64) - 1) * s for n, s in zip(points, steps)]
    control = torch.stack(torch.meshgrid(*axes, indexing='ij'))[None]
    grid = torch.stack(torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in size], indexing='ij'))[None]
    torch.testing.assert_close(bspline_field(control, size, spacing), grid)


def test_splines_sum_to_one_and_refuse_too_few_points():
    shifts = torch.arange(-2, 3, dtype=torch.float64)
    for t in (0.0, 0.3, 0.9):
        assert abs(float(cubic_bspline(shifts + t).sum()) - 1) < 1e-12
    with pytest.raises(InputError, match='expected at least'):
        bspline_field(torch.zeros(1, 2, 4, 4), (20, 20), 4)
