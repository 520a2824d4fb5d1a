"""MSE, L1 and Charbonnier: values by hand, masks, channels."""

from __future__ import annotations

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.models.losses import L1, MSE, Charbonnier
from tests.models.losses.helpers_images import blob_mask, noise_pair, saved_bytes, smooth_pair


def test_values_by_hand():
    first = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    second = torch.tensor([[[[1.0, 4.0], [0.0, 4.0]]]])
    assert MSE()(first, second) == pytest.approx((4 + 9) / 4)
    assert L1()(first, second) == pytest.approx(5 / 4)
    expected = sum((d**2 + 1e-3) ** 0.45 for d in (0, 2, 3, 0)) / 4
    assert Charbonnier()(first, second) == pytest.approx(expected)


@pytest.mark.parametrize('loss', [MSE(), L1(), Charbonnier()])
def test_mask_selects_voxels(loss):
    first, second = smooth_pair((9, 10, 8), batch=2, channels=2)
    mask = blob_mask((9, 10, 8), 2)
    chosen = mask.expand_as(first)
    if isinstance(loss, Charbonnier):
        expected = loss.distance(first - second)[mask].mean()
    else:
        expected = loss.distance(first[chosen] - second[chosen]).mean()
    torch.testing.assert_close(loss(first, second, mask), expected)
    assert loss(first, second, torch.zeros_like(mask)) == 0


@pytest.mark.parametrize('loss', [MSE(), MSE('sum'), L1(), Charbonnier()])
def test_gradcheck(loss):
    assert torch.autograd.gradcheck(loss, noise_pair(2, 2, 3, 4))
    assert torch.autograd.gradgradcheck(loss, noise_pair(1, 2, 3, 2, 2))


@pytest.mark.parametrize('loss', [MSE(), L1(), Charbonnier()])
def test_symmetry_identity_and_constant(loss):
    first, second = smooth_pair((8, 9))
    torch.testing.assert_close(loss(first, second), loss(second, first))
    assert loss(first, first) < loss(first, second)
    constant = torch.ones(1, 1, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(constant, constant.detach()), constant)
    assert gradient.isfinite().all()


def test_sum_over_channels():
    first, second = smooth_pair((8, 9), channels=3)
    torch.testing.assert_close(MSE('sum')(first, second), (first - second).square().sum(1).mean())


def test_mask_of_another_size_is_resized():
    first, second = smooth_pair((8, 8))
    torch.testing.assert_close(MSE()(first, second, torch.ones(1, 1, 4, 4)), MSE()(first, second))


def test_saved_bytes_and_precision():
    first, second = torch.rand(2, 1, 1, 16, 16)
    first.requires_grad_()
    assert saved_bytes(lambda: MSE()(first, second)) <= first.nbytes + 64
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert MSE()(first.bfloat16(), second).dtype == torch.float32


def test_bad_arguments():
    for build in (lambda: MSE('median'), lambda: Charbonnier(eps=0), lambda: Charbonnier(power=2)):
        with pytest.raises(ConfigError):
            build()
