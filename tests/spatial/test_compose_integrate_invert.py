"""Composition, exponential and inverse of fields."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from mmreg.errors import InputError
from mmreg.spatial import affine_displacement, compose, invert, scaling_and_squaring, warp
from tests.spatial.fields import SIZES, smooth, translation


def inner(x, margin):
    return x[(..., *[slice(margin, -margin)] * (x.dim() - 2))]


def test_composition_of_translations_adds():
    size = (10, 11, 9)
    a, b = translation(size, (1.0, -0.5, 0.25)), translation(size, (-0.5, 1.0, 0.5))
    torch.testing.assert_close(inner(compose(a, b), 2), inner(a + b, 2), atol=1e-12, rtol=0)
    torch.testing.assert_close(compose(a, b, 'border'), a + b, atol=1e-12, rtol=0)


def test_composition_of_affine_maps_is_their_product_in_this_order():
    size = (12, 13)
    outer, first = torch.eye(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    outer[:2] += torch.tensor([[0.05, 0.02, 0.3], [-0.03, 0.04, -0.2]])
    first[:2] += torch.tensor([[-0.04, 0.03, 0.1], [0.02, -0.05, 0.4]])
    u = compose(affine_displacement(outer, size), affine_displacement(first, size))
    torch.testing.assert_close(inner(u, 2), inner(affine_displacement(outer @ first, size), 2), atol=1e-10, rtol=0)


@pytest.mark.parametrize('size', SIZES)
def test_warping_twice_is_warping_by_the_composition(size):
    ndim = len(size)
    ramp = torch.rand(1, ndim, *[1] * ndim, dtype=torch.float64)
    image = (ramp * affine_displacement(2 * torch.eye(ndim + 1, dtype=torch.float64), size)).sum(1, keepdim=True)
    a, b = smooth(size, 0.8, 1), smooth(size, 0.8, 2)
    twice, once = warp(warp(image, a), b), warp(image, compose(a, b))
    torch.testing.assert_close(inner(twice, 2), inner(once, 2), atol=1e-9, rtol=0)


@pytest.mark.parametrize('steps', [0, 1, 7])
def test_integral_of_a_constant_velocity_is_that_translation(steps):
    velocity = translation((22, 23, 21), (1.5, -1.0, 0.5))
    displacement = scaling_and_squaring(velocity, steps)
    # Zeros from outside creep in by one voxel per squaring and by the displacement.
    torch.testing.assert_close(inner(displacement, 9), inner(velocity, 9), atol=1e-10, rtol=0)
    torch.testing.assert_close(scaling_and_squaring(velocity, steps, 'border'), velocity, atol=1e-10, rtol=0)


def test_integral_of_a_linear_velocity_is_the_matrix_exponential():
    size = (25, 25)
    centre = torch.tensor([12.0, 12.0], dtype=torch.float64)
    rate = torch.tensor([[0.03, -0.2], [0.2, -0.02]], dtype=torch.float64)

    def about_centre(linear):
        matrix = torch.eye(3, dtype=torch.float64)
        matrix[:2, :2] = linear
        matrix[:2, 2] = centre - linear @ centre
        return affine_displacement(matrix, size)

    velocity = about_centre(torch.eye(2, dtype=torch.float64) + rate)
    expected = about_centre(torch.linalg.matrix_exp(rate))
    coarse = inner(scaling_and_squaring(velocity, 7) - expected, 6).abs().max()
    fine = inner(scaling_and_squaring(velocity, 10) - expected, 6).abs().max()
    assert coarse < 5e-3 and fine < coarse / 6  # first-order start: the error halves with every step


@pytest.mark.parametrize('size', SIZES)
def test_scaling_and_squaring_is_its_definition(size):
    velocity = smooth(size, 2.0).float()
    plain = velocity / 128
    for _ in range(7):
        plain = plain + warp(plain, plain)
    torch.testing.assert_close(scaling_and_squaring(velocity), plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize('size', [(29, 32), (22, 24, 20)])
def test_integrals_of_v_and_minus_v_are_inverse(size):
    velocity = smooth(size, 0.7)
    forward, backward = scaling_and_squaring(velocity), scaling_and_squaring(-velocity)
    assert compose(forward, backward).abs().max() < 0.03 * forward.abs().max()


@pytest.mark.parametrize('size', [(26, 23), (19, 22, 21)])
def test_inverse_undoes_the_displacement(size):
    field = smooth(size, 1.2)
    inverse, residual = invert(field, tolerance=1e-6, iterations=100)
    assert residual.max.shape == (1,) and float(residual.max) < 1e-6
    assert residual.mean <= residual.max and residual.iterations < 100
    assert compose(field, inverse, 'border').abs().max() < 1e-6
    assert compose(inverse, field, 'border').abs().max() < 0.1  # the other side, up to interpolation


def test_inverse_of_an_affine_map_is_the_inverse_matrix():
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[:2] += torch.tensor([[0.05, -0.02, 0.3], [0.03, 0.04, -0.2]])
    size = (16, 15)
    inverse, _ = invert(affine_displacement(matrix, size), 200, 1e-10)
    expected = affine_displacement(torch.linalg.inv(matrix), size)
    torch.testing.assert_close(inner(inverse, 3), inner(expected, 3), atol=1e-8, rtol=0)


def test_a_fold_is_reported_by_the_residual():
    x = torch.arange(20, dtype=torch.float64)
    field = torch.zeros(1, 2, 20, 20, dtype=torch.float64)
    field[0, 0] = (6 * torch.sin(2 * math.pi * x / 8))[:, None]
    _, residual = invert(field, 30)
    assert float(residual.max) > 0.5 and residual.iterations == 30


@pytest.mark.parametrize('size', [(5, 6), (4, 5, 4)])
def test_gradients(size):
    a, b = (smooth(size, 0.4, s) + 0.11 for s in (1, 2))
    assert gradcheck(compose, (a.requires_grad_(), b.requires_grad_()))
    velocity = (smooth(size, 0.6, 3) + 0.07).requires_grad_()
    assert gradcheck(lambda v: scaling_and_squaring(v, 3), (velocity,))
    assert gradcheck(lambda v: scaling_and_squaring(v, 2, 'border'), (velocity,))


def test_gradient_of_the_inverse_is_that_of_the_implicit_equation():
    field = (smooth((6, 7), 0.5) + 0.13).requires_grad_()
    assert gradcheck(lambda u: invert(u, 300, 1e-12)[0], (field,), atol=1e-5)


def test_integration_saves_one_field_per_step():
    velocity = smooth((12, 12, 12)).float().requires_grad_()
    saved = {}

    def pack(tensor):
        saved[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        scaling_and_squaring(velocity, 7)
    assert sum(saved.values()) <= 7 * velocity.numel()


def test_autocast_does_not_touch_the_integral():
    velocity = smooth((9, 10, 8), 2.0).float()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = scaling_and_squaring(velocity)
        half = scaling_and_squaring(velocity.bfloat16())
    assert inside.dtype == half.dtype == torch.float32
    torch.testing.assert_close(inside, scaling_and_squaring(velocity), atol=0, rtol=0)


@pytest.mark.parametrize(
    'call,words',
    [
        (lambda: scaling_and_squaring(torch.zeros(1, 2, 5, 5), -1), 'steps'),
        (lambda: invert(torch.zeros(1, 2, 5, 5), 0), 'iterations'),
        (lambda: scaling_and_squaring(torch.zeros(1, 3, 5, 5)), 'one component per axis'),
    ],
)
def test_refusals(call, words):
    with pytest.raises(InputError, match=words):
        call()
