"""Reading an image of another resolution: closed forms, borders, gradients."""

import pytest
import torch

from mmreg.errors import InputError
from mmreg.spatial import identity_grid, warp, warp_across

SIZES = [((9, 13), (5, 7)), ((9, 13, 5), (5, 4, 3)), ((5, 4), (9, 10))]


def ramp(size):
    """Coordinates from 0 to 1 along every axis, ``(1, ndim, *size)``."""
    grid = identity_grid(size, dtype=torch.float64)
    return torch.stack([grid[i] / (n - 1) for i, n in enumerate(size)])[None]


@pytest.mark.parametrize(('full', 'size'), SIZES)
def test_corners_are_aligned(full, size):
    zero = torch.zeros(1, len(size), *size, dtype=torch.float64)
    torch.testing.assert_close(warp_across(ramp(full), zero), ramp(size))


@pytest.mark.parametrize(('full', 'size'), SIZES)
def test_displacements_count_voxels_of_their_own_grid(full, size):
    shift = torch.zeros(1, len(size), *size, dtype=torch.float64)
    shift[:, 1] = 1.0
    found = warp_across(ramp(full), shift, 'border')
    expected = ramp(size)
    expected[:, 1] = (expected[:, 1] + 1 / (size[1] - 1)).clamp(max=1)
    torch.testing.assert_close(found, expected)
    outside = warp_across(ramp(full) + 1, shift * 3)
    assert not outside[:, :, :, -1].any() and found.isfinite().all()


def test_the_same_grid_is_a_warp():
    image, displacement = torch.rand(2, 3, 6, 7), torch.randn(2, 2, 6, 7)
    assert torch.equal(warp_across(image, displacement), warp(image, displacement))


def test_gradient_and_batch():
    image = torch.rand(2, 1, 9, 8, dtype=torch.float64, requires_grad=True)
    field = (0.3 * torch.rand(2, 2, 4, 3, dtype=torch.float64) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(warp_across, (image, field))
    torch.testing.assert_close(warp_across(image, field)[1:], warp_across(image[1:], field[1:]))


def test_a_field_is_a_field():
    with pytest.raises(InputError):
        warp_across(torch.rand(1, 1, 8, 8), torch.rand(1, 3, 4, 4))
