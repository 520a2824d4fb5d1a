"""The image losses against plain re-statements of their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool3d, pad

from mmreg.errors import ConfigError, InputError
from mmreg.models.losses import (
    LNCC,
    MIND,
    MINDSSC,
    NCC,
    NGF,
    NMI,
    CorrelationRatio,
    LocalMutualInformation,
    MutualInformation,
)
from mmreg.models.losses.mind import SELF_PAIRS, SSC_PAIRS
from tests.models.losses.helpers_images import blob_mask, smooth_pair


def test_ncc_is_the_squared_correlation_coefficient():
    first, second = smooth_pair((9, 8, 7), batch=2)
    coefficients = [np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(first, second)]
    assert NCC(eps=0)(first, second) == pytest.approx(1 - np.mean(np.square(coefficients)))
    assert NCC('signed', eps=0)(first, second) == pytest.approx(1 - np.mean(coefficients))
    assert NCC(negative=True, eps=0)(first, second) == pytest.approx(-np.mean(np.square(coefficients)))


def test_ncc_mask_selects_voxels():
    first, second = smooth_pair((12, 13))
    mask = blob_mask((12, 13))
    expected = np.corrcoef(first[mask], second[mask])[0, 1] ** 2
    assert NCC(eps=0)(first, second, mask) == pytest.approx(1 - expected)


@pytest.mark.parametrize('pairs', [SSC_PAIRS, SELF_PAIRS])
@pytest.mark.parametrize('ndim', [2, 3])
def test_pairs(pairs, ndim):
    """All different; face neighbours at squared distance 2, or the voxel and a face neighbour."""
    unordered = {frozenset(pair) for pair in pairs[ndim]}
    assert (
        len(unordered)
        == len(pairs[ndim])
        == {(id(SSC_PAIRS), 2): 4, (id(SSC_PAIRS), 3): 12}.get((id(pairs), ndim), 2 * ndim)
    )
    distance = 2 if pairs is SSC_PAIRS else 1
    assert all(sum((a - b) ** 2 for a, b in zip(p, q)) == distance for p, q in pairs[ndim])


@pytest.mark.parametrize('radius, dilation, penalty', [(1, 2, 'l2'), (2, 1, 'l1'), (0, 1, 'l2')])
def test_mind_ssc_by_dense_pooling(radius, dilation, penalty):
    images = smooth_pair((8, 9, 10), batch=2)
    descriptors = []
    for image in images:
        padded = pad(image, [dilation] * 6, mode='replicate')
        channels = []
        for pair in SSC_PAIRS[3]:
            p, q = (
                padded[(..., *[slice(dilation * (1 + s), dilation * (1 + s) + n) for s, n in zip(o, (8, 9, 10))])]
                for o in pair
            )
            channels.append(avg_pool3d(pad((p - q) ** 2, [radius] * 6, mode='replicate'), 2 * radius + 1, 1))
        distance = torch.cat(channels, 1)
        distance = distance - distance.min(1, keepdim=True)[0]
        spread = distance.mean(1, keepdim=True)
        descriptors.append(torch.exp(-distance / spread.clamp(0.001 * spread.mean(), 1000 * spread.mean())))
    difference = descriptors[0] - descriptors[1]
    loss = MINDSSC(radius, dilation, penalty)
    expected = difference.square().mean() if penalty == 'l2' else difference.abs().mean()
    torch.testing.assert_close(loss(*images), expected)
    torch.testing.assert_close(loss.descriptor(images[0]), descriptors[0])


def test_mind_closed_form_where_descriptors_tie():
    """Integer images: several pairs are equally similar at many voxels and share the gradient."""
    generator = torch.Generator().manual_seed(0)
    warped, fixed = torch.randint(0, 3, (2, 1, 1, 8, 9), generator=generator, dtype=torch.float64)
    warped.requires_grad_()
    for loss in (MINDSSC(1, 1), MIND(1, 1)):
        closed = torch.autograd.grad(loss(warped, fixed), warped)[0]
        difference = loss.descriptor(warped) - loss.descriptor(fixed)
        automatic = torch.autograd.grad(difference.square().mean(), warped)[0]
        torch.testing.assert_close(closed, automatic)


def test_mind_of_channels_is_their_mean():
    first, second = smooth_pair((9, 9), channels=2)
    single = [MIND(1, 1)(first[:, c : c + 1], second[:, c : c + 1]) for c in range(2)]
    torch.testing.assert_close(MIND(1, 1)(first, second), torch.stack(single).mean())


@pytest.mark.parametrize('kernel', ['gaussian', 'b-spline'])
def test_mutual_information_of_a_coarse_histogram(kernel):
    """Intensities on bin centres: the discrete mutual information of the co-occurrence table."""
    bins = 12
    rng = np.random.default_rng(0)
    levels = rng.integers(0, bins - 4, size=(2, 40, 40))
    levels[1] = (levels[0] + (levels[1] > 3)) % (bins - 4)
    levels[:, 0, : bins - 4] = np.arange(bins - 4)  # both images show every level
    table = np.zeros((bins - 4, bins - 4))
    np.add.at(table, (levels[0].ravel(), levels[1].ravel()), 1 / levels[0].size)
    product = table.sum(1, keepdims=True) * table.sum(0)
    expected = (table[table > 0] * np.log(table[table > 0] / product[table > 0])).sum()
    first, second = (torch.from_numpy(v).double()[None, None] for v in levels)
    if kernel == 'gaussian':
        loss = MutualInformation(bins=bins - 4, sigma_ratio=0.1, intensity_range=(0, bins - 5), eps=1e-12)
        assert -loss(first, second) == pytest.approx(expected, rel=1e-6)
    else:  # the cubic window spreads the warped image over neighbouring bins: information is lost, never gained
        loss = MutualInformation(kernel='b-spline', bins=bins, eps=1e-12)
        assert 0.1 * expected < -loss(first, second) < expected


def test_mutual_information_bounds():
    first, second = smooth_pair((16, 16))
    loss = MutualInformation(bins=8)
    assert -math.log(8) <= loss(first, first) < loss(first, second) < 1e-3
    sharp = NMI(bins=8, intensity_range=None)
    assert -2 <= sharp(first, first) < sharp(first, second) <= -1


def test_chunks_do_not_change_the_histogram(monkeypatch):
    first, second = (image.requires_grad_() for image in smooth_pair((10, 11), batch=2))
    losses = (
        MutualInformation(bins=6, intensity_range=None),
        NMI(bins=6),
        CorrelationRatio(bins=6),
        LocalMutualInformation(patch=5, bins=6),
    )
    for loss in losses:
        whole = loss(first, second), *torch.autograd.grad(loss(first, second), (first, second))
        module = type(loss).__module__
        monkeypatch.setattr(f'{module}.chunk_size', lambda *_: 3)
        pieces = loss(first, second), *torch.autograd.grad(loss(first, second), (first, second))
        monkeypatch.undo()
        torch.testing.assert_close(whole, pieces)


def test_random_samples():
    first, second = (image.requires_grad_() for image in smooth_pair((30, 30)))
    loss = MutualInformation(bins=8, samples=600)
    torch.manual_seed(1)
    value = loss(first, second)
    assert value != MutualInformation(bins=8)(first, second)
    assert abs(value - MutualInformation(bins=8)(first, second)) < 0.1
    (gradient,) = torch.autograd.grad(value, first)
    assert 0 < (gradient != 0).sum() <= 600


def test_fixed_box_window_has_no_gradient():
    first, second = (image.requires_grad_() for image in smooth_pair((12, 12)))
    gradients = torch.autograd.grad(MutualInformation(kernel='b-spline')(first, second), (first, second))
    assert gradients[0].abs().max() > 0
    assert gradients[1].abs().max() == 0


def test_local_mutual_information_is_the_mean_over_patches():
    first, second = smooth_pair((8, 12))
    loss = MutualInformation(bins=6)
    patches = [(slice(i, i + 4), slice(j, j + 4)) for i in (0, 4) for j in (0, 4, 8)]
    expected = torch.stack([loss(first[(..., *p)], second[(..., *p)]) for p in patches]).mean()
    torch.testing.assert_close(LocalMutualInformation(patch=4, bins=6)(first, second), expected)


def test_local_mutual_information_leaves_out_what_fills_the_last_patch():
    first, second = smooth_pair((8, 8))
    value = LocalMutualInformation(patch=(5, 8), bins=6)(first, second)
    loss = MutualInformation(bins=6)
    parts = [loss(first[..., :5, :], second[..., :5, :]), loss(first[..., 5:, :], second[..., 5:, :])]
    torch.testing.assert_close(value, torch.stack(parts).mean())


def test_local_mutual_information_follows_a_changing_relation():
    """Contrast that flips half-way: hidden from the global histogram, plain to the local ones."""
    image, _ = smooth_pair((16, 32))
    other = image.clone()
    other[..., 16:] = 1 - other[..., 16:]
    local, whole = LocalMutualInformation(patch=16, bins=8), MutualInformation(bins=8)
    assert local(image, other) < whole(image, other) - 0.2


def test_correlation_ratio_of_a_function():
    """Any function of the explaining image is explained, by whichever direction has it."""
    first, _ = smooth_pair((24, 24))
    parabola = (first - 0.5).square()
    assert CorrelationRatio(bins=64, given='fixed')(parabola, first) < 0.02
    assert CorrelationRatio(bins=64, given='warped')(parabola, first) > 0.5
    both = CorrelationRatio(bins=64)(parabola, first)
    parts = [CorrelationRatio(bins=64, given=g)(parabola, first) for g in ('fixed', 'warped')]
    torch.testing.assert_close(both, torch.stack(parts).mean())


def test_correlation_ratio_of_levels():
    """Intensities on bin centres: within-bin over total variance."""
    rng = np.random.default_rng(0)
    levels, values = rng.integers(0, 6, (20, 20)), rng.normal(size=(20, 20))
    within = sum(values[levels == k].var() * (levels == k).mean() for k in range(6))
    loss = CorrelationRatio(bins=6, sigma_ratio=0.1, given='fixed', eps=0)
    pair = (torch.from_numpy(v).double()[None, None] for v in (values, levels))
    assert loss(*pair) == pytest.approx(within / values.var())


def test_ngf_of_parallel_edges():
    """Images that depend on one axis only have parallel gradients everywhere."""
    ramp = torch.linspace(0, 1, 20, dtype=torch.float64).square()[None, None, :, None].expand(1, 1, 20, 20)
    other = (ramp * 3 + 1).sqrt()
    assert NGF(eta=0, eps=1e-9)(ramp, other) < 1e-6
    assert NGF(eta=0, eps=1e-9)(ramp, 1 - other) < 1e-6
    assert NGF(eta=0, eps=1e-9)(ramp, ramp.transpose(2, 3)) > 1 - 1e-6
    assert NGF(form='offset')(ramp, ramp) < 1e-12 < NGF(form='offset')(ramp, 1 - ramp)


def test_ngf_spacing():
    """A gradient per mm: stretching an axis and its spacing together changes nothing inside."""
    first, second = smooth_pair((12, 12))
    assert NGF(spacing=(1, 3))(first, second) != NGF()(first, second)
    torch.testing.assert_close(NGF(spacing=2, eps=1e-9)(first, second), NGF(eps=1e-9)(first, second))


def test_gradicon_window():
    """Gaussian window with sum 1: signed correlation of weighted means."""
    first, second = smooth_pair((20, 21))
    axis = torch.arange(-4, 5, dtype=torch.float64)
    line = torch.exp(-0.5 * (axis / 2) ** 2)
    kernel = (line[:, None] * line)[None, None] / line.sum() ** 2

    def mean(x):
        return torch.nn.functional.conv2d(x, kernel, padding=4)

    cross = mean(first * second) - mean(first) * mean(second)
    variances = [(mean(i * i) - mean(i) ** 2).relu() + 1e-5 for i in (first, second)]
    expected = 1 - (cross / (variances[0] * variances[1]).sqrt()).mean()
    loss = LNCC(kernel='gaussian', sigma=2, form='signed', stabiliser='each')
    torch.testing.assert_close(loss(first, second), expected)


@pytest.mark.parametrize(
    'build',
    [
        lambda: NCC('cubic'),
        lambda: NGF(form='none'),
        lambda: NGF(eps=0),
        lambda: MINDSSC(radius=-1),
        lambda: MIND(penalty='l3'),
        lambda: MutualInformation(kernel='box'),
        lambda: MutualInformation(bins=3),
        lambda: MutualInformation(fixed_order=1),
        lambda: NMI(intensity_range=(1, 0)),
        lambda: CorrelationRatio(given='none'),
        lambda: CorrelationRatio(bins=1),
    ],
)
def test_bad_arguments(build):
    with pytest.raises(ConfigError):
        build()


def test_mind_refuses_other_dimensions():
    with pytest.raises(InputError, match='spatial axes'):
        MIND()(torch.rand(1, 1, 9), torch.rand(1, 1, 9))
