"""Runge-Kutta integration: closed forms, order of convergence, agreement with scaling and squaring."""

import math

import pytest
import torch

from mmreg.errors import ConfigError, InputError
from mmreg.models.integrators.runge_kutta import RungeKutta
from mmreg.spatial import compose, identity_grid, runge_kutta, scaling_and_squaring
from tests.golden.fill import flow


def rotation(n, angle):
    """A velocity that turns about the centre: linear in the position, so that interpolation is exact."""
    grid = identity_grid((n, n), dtype=torch.float64) - (n - 1) / 2
    return angle * torch.stack([-grid[1], grid[0]])[None], grid


def turned(grid, angle):
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.stack([cos * grid[0] - sin * grid[1], sin * grid[0] + cos * grid[1]]) - grid


@pytest.mark.parametrize(('order', 'expected'), [(1, 2), (2, 4), (4, 16)])
def test_order_of_convergence_on_a_rotation(order, expected):
    velocity, grid = rotation(33, 0.8)
    inside = grid.square().sum(0) < 10**2
    errors = []
    for steps in (4, 8):
        found = runge_kutta(velocity, steps=steps, order=order)[0]
        errors.append((found - turned(grid, 0.8))[:, inside].abs().max().item())
    assert errors[0] / errors[1] == pytest.approx(expected, rel=0.25)
    assert order != 4 or errors[1] < 1e-4


@pytest.mark.parametrize('size', [(20, 24), (16, 18, 20)])
def test_agrees_with_scaling_and_squaring(size):
    velocity = torch.from_numpy(flow(1, size, amplitude=2.0)).double()[None]
    inner = (..., *[slice(4, -4)] * len(size))
    a, b = runge_kutta(velocity, 16), scaling_and_squaring(velocity, 10)
    assert (a - b)[inner].abs().max() < 0.05
    back = compose(a, runge_kutta(-velocity, 16))[inner]
    assert back.abs().max() < 0.05 * a.abs().max()


@pytest.mark.parametrize('order', [1, 2, 4])
def test_gradient(order):
    torch.manual_seed(0)
    velocity = (0.3 * torch.randn(1, 2, 5, 4, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: runge_kutta(v, 2, order, 'border'), velocity)


def test_constant_velocity_is_exact():
    velocity = torch.ones(1, 2, 9, 9)
    for order in (1, 2, 4):
        found = RungeKutta(steps=3, order=order, padding='border')(velocity)
        torch.testing.assert_close(found, velocity)


def test_refusals():
    with pytest.raises(InputError, match='order'):
        runge_kutta(torch.zeros(1, 2, 4, 4), order=3)
    with pytest.raises(InputError, match='steps'):
        runge_kutta(torch.zeros(1, 2, 4, 4), steps=0)
    with pytest.raises(ConfigError, match='order'):
        RungeKutta(order=3)
    with pytest.raises(ConfigError, match='steps'):
        RungeKutta(steps=0)
