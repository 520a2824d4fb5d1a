"""Balance of two fields' sizes."""

import pytest
import torch

from mmreg.models.losses.magnitude import MagnitudeBalance

from .helpers_fields import gradients_agree, random_field

SIZES = [(6, 7), (5, 6, 4)]


@pytest.mark.parametrize('size', SIZES)
def test_shifts(size):
    """Sizes 2 and 0.5 per component differ by 1.5, whatever their signs; equal sizes cost nothing."""
    field = torch.full((1, len(size), *size), 2.0)
    assert MagnitudeBalance()(field, -0.25 * field).item() == pytest.approx(1.5)
    assert MagnitudeBalance()(field, -field).item() == 0


def test_samples_do_not_cancel():
    field = torch.ones(2, 2, 4, 4)
    forward, backward = field.clone(), field.clone()
    forward[0] *= 3
    backward[1] *= 3
    assert MagnitudeBalance()(forward, backward).item() == pytest.approx(2.0)
    assert MagnitudeBalance(per_sample=False)(forward, backward).item() == pytest.approx(0.0, abs=1e-6)
    assert MagnitudeBalance(per_sample=False)(forward, field).item() == pytest.approx(1.0)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('masked', [False, True])
def test_gradient(size, masked):
    f, b = (random_field(size, batch=2, seed=s).requires_grad_() for s in (1, 2))
    mask = torch.rand(2, 1, *size, dtype=torch.float64) if masked else None
    assert gradients_agree(lambda u, v: MagnitudeBalance()(u, v, mask), f, b)


def test_mask_weights_voxels():
    field = torch.zeros(1, 2, 4, 4)
    field[..., :2] = 1
    left = torch.zeros(1, 1, 4, 4)
    left[..., :2] = 1
    zero = torch.zeros_like(field)
    assert MagnitudeBalance()(field, zero, left).item() == pytest.approx(1.0)
    assert MagnitudeBalance()(field, zero, 1 - left).item() == 0
    assert MagnitudeBalance()(field, zero, torch.zeros_like(left)).item() == 0
