"""Landmark distance."""

import pytest
import torch

from mmreg.errors import ConfigError, InputError
from mmreg.models.losses.landmarks import LandmarkDistance

from .helpers_fields import gradients_agree


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('penalty', ['distance', 'l2', 'huber'])
def test_gradient(ndim, penalty):
    points, target = (2 * torch.randn(2, 5, ndim, dtype=torch.float64) for _ in range(2))
    loss = LandmarkDistance([1.0, 2.0, 3.0][:ndim], penalty)
    assert gradients_agree(loss, points.requires_grad_(), target.requires_grad_())


def test_is_the_target_registration_error_in_mm():
    points, target = torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)
    target[0, 0] = torch.tensor([3.0, 2.0, 0.0])
    assert LandmarkDistance()(points, target).item() == pytest.approx(13**0.5 / 2)
    assert LandmarkDistance((1.0, 2.0, 5.0))(points, target).item() == pytest.approx(5 / 2)
    assert LandmarkDistance((1.0, 2.0, 5.0), 'l2')(points, target).item() == pytest.approx(25 / 2)
    assert LandmarkDistance((1.0, 2.0, 5.0), 'huber', 2.0)(points, target).item() == pytest.approx(2 * (5 - 1) / 2)


def test_perfect_match_has_a_zero_gradient():
    points = torch.randn(1, 4, 3, requires_grad=True)
    loss = LandmarkDistance()(points, points.detach().clone())
    loss.backward()
    assert loss.item() == 0 and not points.grad.any()


def test_unknown_points_are_left_out():
    points = torch.zeros(1, 3, 2, requires_grad=True)
    target = torch.tensor([[[3.0, 4.0], [float('nan'), 0.0], [0.0, 0.0]]])
    loss = LandmarkDistance()(points, target)
    loss.backward()
    assert loss.item() == pytest.approx(2.5) and points.grad.isfinite().all()
    empty = LandmarkDistance()(points[:, :0], target[:, :0])
    empty.backward()
    assert empty.item() == 0


def test_refusals():
    with pytest.raises(ConfigError, match='penalty'):
        LandmarkDistance(penalty='l7')
    with pytest.raises(ConfigError, match='spacing'):
        LandmarkDistance((1.0, 1.0))(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3))
    with pytest.raises(InputError, match='shape'):
        LandmarkDistance()(torch.zeros(1, 2, 3), torch.zeros(1, 3, 3))
