"""Divergence of a Gaussian velocity: closed forms in 2-D and 3-D, gradients, the objective's hand-over."""

import math

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.models.losses.gaussian_kl import GaussianKL, neighbours
from mmreg.models.objective import Objective
from mmreg.structures import Fields


def test_neighbours():
    count = neighbours(torch.zeros(1, 2, 3, 4))
    assert count.tolist() == [[2, 3, 3, 2], [3, 4, 4, 3], [2, 3, 3, 2]]
    assert neighbours(torch.zeros(1, 3, 2, 2, 2)).unique().tolist() == [3]


@pytest.mark.parametrize('size', [(4, 5), (4, 5, 6)])
@pytest.mark.parametrize('derivative', ['all', 'published'])
def test_a_linear_mean_and_a_constant_variance(size, derivative):
    ndim = len(size)
    slope, s = 0.3, -1.5
    # Component 0 grows along axis 0, every difference along it is the slope, all others are zero.
    field = torch.zeros(2, ndim, *size, dtype=torch.float64)
    field[:, 0] = slope * torch.arange(size[0], dtype=torch.float64).view(-1, *[1] * (ndim - 1))
    variance = torch.full_like(field, s)
    degree = sum(2 * (n - 1) / n for n in size)
    rough = slope**2 / (ndim * ndim) if derivative == 'all' else slope**2
    expected = ndim / 2 * (10 * degree * math.exp(s) - s + 4 / 2 * rough)
    loss = GaussianKL(10, 4, derivative=derivative)(field, log_variance=variance)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize('derivative', ['all', 'published'])
def test_gradient(derivative):
    torch.manual_seed(0)
    tensors = [torch.randn(1, 2, 4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    loss = GaussianKL(3.0, derivative=derivative)
    assert torch.autograd.gradcheck(lambda a, b: loss(a, log_variance=b), tensors)


def test_the_best_variance_is_that_of_the_prior():
    """Where nothing else acts, s = -log(precision * D) per voxel."""
    field = torch.zeros(1, 2, 5, 5, dtype=torch.float64)
    best = -(10 * neighbours(field)).log().expand_as(field)
    probe = best.clone().requires_grad_()
    (grad,) = torch.autograd.grad(GaussianKL(10)(field, log_variance=probe), probe)
    assert grad.abs().max() < 1e-12


def test_the_objective_hands_over_what_the_head_found():
    field, variance = torch.rand(1, 2, 6, 6), torch.rand(1, 2, 6, 6)
    images = {'fixed': torch.rand(1, 1, 6, 6), 'moving': torch.rand(1, 1, 6, 6)}
    fields = Fields([torch.zeros(1, 2, 6, 6)], extras={'log_variance': variance}, means=[field])
    objective = Objective({'divergence': {'type': 'GaussianKL', 'on': 'mean', 'weight': 2.0}})
    found = objective(fields, images)
    assert found['loss_divergence'].item() == pytest.approx(2 * GaussianKL()(field, log_variance=variance).item())
    fields.extras.pop('log_variance')
    with pytest.raises(ConfigError, match='log_variance'):
        objective(fields, images)


def test_unknown_derivative():
    with pytest.raises(ConfigError, match='derivative'):
        GaussianKL(derivative='central')
