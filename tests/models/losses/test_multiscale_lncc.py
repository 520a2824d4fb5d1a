"""Local correlation at several scales: the sum it is, masks, gradients."""

import pytest
import torch
from torch.nn import functional as F

from mmreg.errors import ConfigError
from mmreg.models.losses.lncc import LNCC
from mmreg.models.losses.multiscale_lncc import MultiScaleLNCC
from mmreg.spatial import average_down

from .helpers_images import blob_mask, noise_pair, smooth_pair


def test_sum_of_scales_on_pooled_images():
    warped, fixed = smooth_pair((12, 10, 9), batch=2)
    expected = LNCC(7, negative=True)(warped, fixed)
    expected = expected + LNCC(5, negative=True)(average_down(warped), average_down(fixed)) / 2
    twice = average_down(average_down(warped)), average_down(average_down(fixed))
    expected = expected + LNCC(3, negative=True)(*twice) / 4
    torch.testing.assert_close(MultiScaleLNCC((7, 5, 3), negative=True)(warped, fixed), expected)
    assert MultiScaleLNCC((3,))(warped, fixed) == LNCC(3)(warped, fixed)


def test_zero_for_equal_images():
    image, _ = smooth_pair((16, 14))
    assert abs(MultiScaleLNCC((5, 3), eps=1e-12)(image, image)) < 1e-5


@pytest.mark.parametrize('shape', [(1, 1, 6, 5), (1, 1, 4, 3, 4)])
def test_gradient(shape):
    assert torch.autograd.gradcheck(MultiScaleLNCC((3, 3), eps=1e-3), noise_pair(*shape, seed=2), fast_mode=True)


def test_mask_leaves_the_rest_out():
    warped, fixed = smooth_pair((16, 16))
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8] = 1
    changed = fixed.clone()
    changed[..., 13:] = 0
    loss = MultiScaleLNCC((3,))
    assert loss(warped, changed, mask) == loss(warped, fixed, mask) != loss(warped, fixed)
    assert MultiScaleLNCC((3, 3))(warped, fixed, blob_mask((16, 16))).isfinite()


@pytest.mark.parametrize('windows', [(), (4, 3)])
def test_windows_are_odd_and_there(windows):
    with pytest.raises(ConfigError, match='window'):
        MultiScaleLNCC(windows)


@pytest.mark.parametrize('shape', [(9,), (8, 7), (5, 6, 7)])
def test_average_counts_what_is_inside(shape):
    """By hand: sums of 3 voxels over the number of voxels, then every second one."""
    image = torch.rand(1, 2, *shape, dtype=torch.float64)
    ones, total = torch.ones_like(image), image
    for axis in range(2, image.dim()):
        widths = [0, 0] * (image.dim() - 1 - axis) + [1, 1]
        parts = [F.pad(t, widths) for t in (total, ones)]
        total, ones = (sum(p.narrow(axis, k, image.shape[axis]) for k in range(3)) for p in parts)
    expected = (total / ones)[(..., *[slice(None, None, 2)] * len(shape))]
    torch.testing.assert_close(average_down(image), expected)


def test_average_leaves_axes_alone():
    image = torch.rand(1, 1, 8, 6)
    assert average_down(image, (2, 1)).shape == (1, 1, 4, 6)
    torch.testing.assert_close(average_down(image, (2, 1))[..., 3], average_down(image[..., 3], 2))
