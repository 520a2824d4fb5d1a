"""Published sampling slips as displacements, against the sampling itself."""

import pytest
import torch
from torch.nn import functional as F

from mmreg.errors import InputError
from mmreg.spatial import identity_grid, scaling_and_squaring, warp
from mmreg.spatial.sampler import SAMPLERS, as_sampled


def published(image, displacement, sampler, padding='zeros'):
    """What the published code computes: positions normalised for aligned corners, sampled without."""
    size = torch.tensor(image.shape[2:], dtype=image.dtype).view(-1, *[1] * (image.dim() - 2))
    grid = identity_grid(image.shape[2:], dtype=image.dtype)
    if sampler == 'mixed_corners':
        where = 2 * (grid + displacement) / (size - 1) - 1
    else:
        where = 2 * grid / (size - 1) - 1 + displacement * 2 / size
    where = where.flip(1).movedim(1, -1)
    return F.grid_sample(image, where, padding_mode=padding, align_corners=False)


@pytest.mark.parametrize('size', [(6, 9), (6, 9, 5)])
@pytest.mark.parametrize('sampler', SAMPLERS[1:])
def test_the_exact_warp_of_the_result_is_what_was_published(size, sampler):
    torch.manual_seed(0)
    image = torch.rand(2, 3, *size, dtype=torch.float64)
    displacement = 2 * torch.randn(2, len(size), *size, dtype=torch.float64)
    for u in (displacement, torch.zeros_like(displacement)):
        found = warp(image, as_sampled(u, sampler))
        torch.testing.assert_close(found, published(image, u, sampler), rtol=0, atol=1e-12)


@pytest.mark.parametrize('sampler', SAMPLERS[1:])
def test_squaring_with_a_slip(sampler):
    torch.manual_seed(0)
    velocity = torch.randn(1, 2, 8, 7, dtype=torch.float64)
    expected = velocity / 8
    for _ in range(3):
        expected = expected + published(expected, expected, sampler)
    torch.testing.assert_close(scaling_and_squaring(velocity, 3, sampler=sampler), expected)
    assert (expected - scaling_and_squaring(velocity, 3)).abs().max() > 0.05


def test_gradients_and_refusals():
    velocity = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: as_sampled(v, 'mixed_corners'), velocity)
    assert as_sampled(velocity, 'aligned') is velocity
    with pytest.raises(InputError, match='sampler'):
        as_sampled(velocity, 'corners')
