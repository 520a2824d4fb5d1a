"""Box sums, Gaussians and the image pyramid."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F

from mmreg.errors import InputError
from mmreg.spatial import box as module
from mmreg.spatial import box_sum, gaussian_filter, gaussian_kernel, image_pyramid, resize, separable_filter
from mmreg.spatial.pyramid import smoothing_taps


def window_sum(x, windows):
    """The definition: pad with zeros, add up every window."""
    x = x.double()
    for axis, w in enumerate(windows, start=2):
        pad = [0, 0] * (x.dim() - 1 - axis) + [w // 2, w - 1 - w // 2]
        x = F.pad(x, pad).unfold(axis, w, 1).sum(-1)
    return x


@pytest.mark.parametrize('block', [64, 1 << 16])
@pytest.mark.parametrize(
    'size,windows',
    [
        ((9,), (4,)),
        ((11, 13), (9, 9)),
        ((11, 13), (1, 6)),
        ((7, 5), (2, 11)),
        ((8, 9, 10), (9, 9, 9)),
        ((8, 9, 10), (3, 5, 7)),
        ((8, 9, 10), (4, 1, 2)),
        ((6, 1, 3), (7, 8, 16)),
        ((6, 7, 8), (1, 1, 3)),
        ((6, 7, 8), (5, 1, 1)),
        ((6, 7, 8), (1, 1, 1)),
    ],
)
def test_box_sum_is_its_definition(size, windows, block, monkeypatch):
    monkeypatch.setattr(module, 'BLOCK', block)
    x = torch.rand(2, 3, *size)
    torch.testing.assert_close(box_sum(x, windows).double(), window_sum(x, windows), atol=2e-5, rtol=1e-5)


def test_box_sum_counts_voxels_exactly():
    counts = box_sum(torch.ones(1, 1, 6, 7), 3)
    assert counts[0, 0, 0, 0] == 4 and counts[0, 0, 0, 3] == 6 and counts[0, 0, 2, 3] == 9


@pytest.mark.parametrize('windows', [3, 9, (2, 5), (4, 4)])
def test_box_sum_gradients_2d(windows):
    x = torch.rand(1, 2, 6, 5, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda t: box_sum(t, windows), (x,))
    assert gradgradcheck(lambda t: box_sum(t, windows) ** 2, (x,))


def test_box_sum_gradients_3d():
    x = torch.rand(1, 1, 4, 5, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda t: box_sum(t, (3, 2, 5)), (x,))


def test_box_sum_of_views_and_half_precision():
    x = torch.rand(2, 6, 7, 8, 4).movedim(-1, 1)[:, ::2]
    torch.testing.assert_close(box_sum(x, 3), box_sum(x.contiguous(), 3))
    assert box_sum(x.half(), 3).dtype == torch.float32
    assert box_sum(x.double(), 3).dtype == torch.float64


def test_box_sum_leaves_its_input_alone_and_saves_nothing():
    x = torch.rand(1, 1, 6, 7, 5, requires_grad=True)
    before = x.detach().clone()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        box_sum(x, 3)
    assert torch.equal(x, before) and not saved


@pytest.mark.parametrize('padding,mode', [('zeros', 'constant'), ('border', 'nearest'), ('reflect', 'mirror')])
def test_gaussian_filter_agrees_with_scipy(padding, mode):
    x = torch.rand(13, 15, 12, dtype=torch.float64)
    expected = ndimage.gaussian_filter(x.numpy(), (1.5, 0.8, 1.0), mode=mode, truncate=3.0)
    actual = gaussian_filter(x[None, None], (1.5, 0.8, 1.0), truncate=3.0, padding=padding)
    np.testing.assert_allclose(actual[0, 0].numpy(), expected, atol=1e-12)


def test_gaussian_filter_leaves_an_axis_with_sigma_zero():
    x = torch.rand(1, 1, 8, 9)
    flat = gaussian_filter(x, (0.0, 2.0))
    rows = torch.stack([gaussian_filter(x[:, :, i : i + 1], (0, 2.0))[:, :, 0] for i in range(8)], dim=2)
    torch.testing.assert_close(flat, rows)


def test_gaussian_kernel_is_isotropic_with_unit_sum():
    kernel = gaussian_kernel(1.3, 5, 3, dtype=torch.float64)
    assert kernel.shape == (5, 5, 5)
    torch.testing.assert_close(kernel.sum(), torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close(kernel, kernel.permute(2, 0, 1))
    assert gaussian_kernel(0.0).tolist() == [1.0]


@pytest.mark.parametrize('padding', ['zeros', 'border', 'reflect'])
def test_filter_gradients(padding):
    x = torch.rand(1, 1, 5, 6, dtype=torch.float64, requires_grad=True)
    taps = [[0.2, 0.5, 0.1], [1.0, -2.0, 0.3, 0.4, 0.1]]
    assert gradcheck(lambda t: separable_filter(t, taps, padding), (x,))


@pytest.mark.parametrize('ndim', [2, 3])
def test_pyramid_smooths_with_the_full_kernel_and_halves(ndim):
    size = (17, 12, 10)[:ndim]
    x = torch.rand(1, 2, *size, dtype=torch.float64)
    kernel = gaussian_kernel(1.0, 5, ndim, dtype=torch.float64).expand(2, 1, *[5] * ndim)
    conv = F.conv2d if ndim == 2 else F.conv3d
    expected = resize(conv(x, kernel, padding=2, groups=2), scale=0.5)
    levels = image_pyramid(x, 2)
    assert levels[0] is x
    torch.testing.assert_close(levels[1], expected)


def test_pyramid_of_slices_treats_each_slice_alone():
    x = torch.rand(1, 1, 16, 12, 5)
    level = image_pyramid(x, 3, factors=(2, 2, 1))[2]
    slices = torch.stack([image_pyramid(x[..., k], 3)[2] for k in range(5)], dim=-1)
    assert level.shape == (1, 1, 4, 3, 5)
    torch.testing.assert_close(level, slices)


def test_published_kernel_is_anisotropic():
    first, second, third = smoothing_taps('eoir', 3)
    assert second == [0.2] * 5
    assert first[1] / first[2] == pytest.approx(np.exp(-0.5), rel=1e-6)
    assert third[1] / third[2] == pytest.approx(np.exp(-1.0), rel=1e-6)


@pytest.mark.parametrize(
    'call,words',
    [
        (lambda: box_sum(torch.rand(1, 1, 5, 5), 0), 'window'),
        (lambda: box_sum(torch.rand(1, 1, 5, 5), 2.5), 'window'),
        (lambda: box_sum(torch.rand(1, 1, 5, 5), (3, 3, 3)), '3 entries'),
        (lambda: box_sum(torch.rand(5, 5), 3), 'expected \\(N, C'),
        (lambda: gaussian_kernel(1.0, 4), 'odd'),
        (lambda: gaussian_filter(torch.rand(1, 1, 5, 5), -1.0), 'sigma'),
        (lambda: separable_filter(torch.rand(1, 1, 5, 5), [[1.0]]), 'one odd-length kernel'),
        (lambda: gaussian_filter(torch.rand(1, 1, 5, 5), 1.0, padding='wrap'), 'padding'),
        (lambda: image_pyramid(torch.rand(1, 1, 8, 8), 2, 'eoir'), '3-D'),
        (lambda: image_pyramid(torch.rand(1, 1, 8, 8), 2, 'box'), 'kernel'),
        (lambda: image_pyramid(torch.rand(1, 1, 8, 8), 0), 'levels'),
    ],
)
def test_refusals(call, words):
    with pytest.raises(InputError, match=words):
        call()


@pytest.mark.parametrize('size', [(24, 19), (16, 12, 9)])
def test_block_pyramid_is_one_mean_per_block(size):
    """Halving again and again gives the means of the large blocks; what fills no block is left out."""
    image = torch.rand(2, 1, *size)
    pool = F.avg_pool2d if len(size) == 2 else F.avg_pool3d
    for level, reduced in enumerate(image_pyramid(image, 4, kernel='block')):
        torch.testing.assert_close(reduced, pool(image, 2**level))
    kept = image_pyramid(image, 2, kernel='block', factors=[2] * (len(size) - 1) + [1])[1]
    assert kept.shape[-1] == size[-1]
