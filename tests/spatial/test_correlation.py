"""Correlation volumes: their definition, their derivatives, what they keep; the matching that stands on them."""

import itertools

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F

from mmreg.errors import InputError
from mmreg.spatial import correlation as module
from mmreg.spatial import global_correlation, local_correlation, softmax_matching, warp

SIZES = [(7, 6), (5, 6, 4)]


def definition(fixed, moving, radii, padding='zeros'):
    """The whole neighbourhood of every voxel, then one product."""
    size = fixed.shape[2:]
    pad = [r for r in reversed(radii) for _ in range(2)]
    wide = F.pad(moving, pad, mode='replicate') if padding == 'border' else F.pad(moving, pad)
    views = []
    for offset in itertools.product(*[range(2 * r + 1) for r in radii]):
        views.append(wide[(..., *[slice(o, o + n) for o, n in zip(offset, size)])])
    return torch.einsum('nc...,nkc...->nk...', fixed, torch.stack(views, dim=1)) / fixed.shape[1] ** 0.5


def features(size, channels=3, batch=2, **options):
    options.setdefault('dtype', torch.float64)
    return (torch.randn(batch, channels, *size, **options) for _ in range(2))


@pytest.mark.parametrize('padding', ['zeros', 'border'])
@pytest.mark.parametrize('block', [1, 60, 1 << 20])
@pytest.mark.parametrize(
    ('size', 'radii'),
    [((7, 6), (1, 1)), ((7, 6), (2, 2)), ((5, 6, 4), (1, 1, 1)), ((5, 6, 4), (1, 0, 2)), ((2, 3), (4, 1))],
)
def test_local_volume_is_its_definition(size, radii, block, padding, monkeypatch):
    monkeypatch.setattr(module, 'BLOCK', block)
    fixed, moving = features(size)
    volume = local_correlation(fixed, moving, radii, padding=padding)
    torch.testing.assert_close(volume, definition(fixed, moving, radii, padding))


def test_channel_order_and_direction():
    """The channel of offset (1, -1) sees the moving feature one on along the first axis, one back along the last."""
    fixed, moving = torch.zeros(1, 1, 5, 5), torch.zeros(1, 1, 5, 5)
    fixed[..., 2, 2] = 1
    moving[..., 3, 1] = 2
    volume = local_correlation(fixed, moving, 1)
    assert volume[0, :, 2, 2].tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0]
    assert volume.abs().sum() == 2


@pytest.mark.parametrize('padding', ['zeros', 'border'])
@pytest.mark.parametrize('size', [(4, 3), (3, 2, 3)])
def test_derivatives_of_any_order(size, padding):
    fixed, moving = features(size, channels=2, batch=1, requires_grad=True)

    def volume(x, y):
        return local_correlation(x, y, 1, padding=padding)

    assert gradcheck(volume, (fixed, moving))
    assert gradgradcheck(volume, (fixed, moving))


@pytest.mark.parametrize('normalise', [False, True])
def test_gradients_are_those_of_the_unfolded_form(normalise):
    fixed, moving = features((5, 6, 4), requires_grad=True)
    unit = [F.normalize(f, dim=1) if normalise else f for f in (fixed, moving)]
    plain = definition(*unit, (1, 1, 1))
    weight = torch.randn_like(plain)
    expected = torch.autograd.grad((plain * weight).sum(), (fixed, moving))
    ours = torch.autograd.grad((local_correlation(fixed, moving, 1, normalise) * weight).sum(), (fixed, moving))
    for one, other in zip(ours, expected):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize('radius', [1, 2])
def test_kept_memory_does_not_grow_with_the_window(radius):
    fixed, moving = features((6, 5, 7), channels=4, batch=1, dtype=torch.float32, requires_grad=True)
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.update({t.data_ptr(): t.nbytes}) or t, lambda t: t):
        local_correlation(fixed, moving, radius)
    assert sum(kept.values()) == fixed.nbytes + moving.nbytes


def test_autocast_changes_nothing():
    fixed, moving = features((6, 5), dtype=torch.float32)
    calls = [local_correlation, global_correlation, softmax_matching, lambda x, y: softmax_matching(x, y, None)]
    for call in calls:
        with torch.autocast('cpu', dtype=torch.bfloat16):
            result = call(fixed, moving)
        assert result.dtype == torch.float32
        torch.testing.assert_close(result, call(fixed, moving))


def test_precision_of_the_result():
    fixed, moving = features((6, 5), dtype=torch.float32)
    assert local_correlation(fixed.half(), moving.half()).dtype == torch.float32
    assert local_correlation(fixed.double(), moving).dtype == torch.float64


@pytest.mark.parametrize('size', SIZES)
def test_global_volume_against_every_candidate(size):
    fixed, moving = features(size)
    candidates = moving[(..., *[slice(0, n - 1) for n in size])]
    volume = global_correlation(fixed, candidates)
    for j, q in enumerate(itertools.product(*[range(n - 1) for n in size])):
        expected = (fixed * candidates[(..., *[slice(k, k + 1) for k in q])]).sum(1) / fixed.shape[1] ** 0.5
        torch.testing.assert_close(volume[:, j], expected)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('radius', [1, 2, None])
def test_matching_finds_a_shift(size, radius):
    """One-hot features moved by one voxel: the softmax has one candidate to choose."""
    voxels = torch.Size(size).numel()
    fixed = 40 * torch.eye(voxels).view(1, voxels, *size)
    displacement = torch.zeros(1, len(size), *size)
    displacement[:, 0] = -1
    moving = warp(fixed, displacement)
    found = softmax_matching(fixed, moving, radius, normalise=False, scale=False)[:, :, :-1]
    torch.testing.assert_close(found, -displacement[:, :, :-1], atol=1e-3, rtol=0)


@pytest.mark.parametrize('size', SIZES)
def test_window_that_reaches_everywhere_equals_the_global_match(size):
    fixed, moving = features(size)
    widest = tuple(n - 1 for n in size)
    torch.testing.assert_close(softmax_matching(fixed, moving, widest), softmax_matching(fixed, moving, None))


def test_candidates_outside_do_not_count():
    """Equal features everywhere: in a corner the mean offset points inwards."""
    flat = torch.ones(1, 2, 5, 5)
    match = softmax_matching(flat, flat, 1)
    torch.testing.assert_close(match[0, :, 2, 2], torch.zeros(2))
    torch.testing.assert_close(match[0, :, 0, 4], torch.tensor([0.5, -0.5]))


@pytest.mark.parametrize('size', [(4, 3), (3, 2, 3)])
@pytest.mark.parametrize('radius', [1, None])
def test_gradients_of_matching(size, radius):
    fixed, moving = features(size, channels=2, batch=1, requires_grad=True)
    assert gradcheck(lambda x, y: softmax_matching(x, y, radius), (fixed, moving))


@pytest.mark.parametrize('radius', [0, -1, 1.5, (0, 0), (1, 1, 1)])
def test_radius_that_is_none(radius):
    fixed, moving = features((5, 5))
    with pytest.raises(InputError, match='radius'):
        local_correlation(fixed, moving, radius)


def test_shapes_that_do_not_fit():
    fixed, moving = features((5, 5))
    with pytest.raises(InputError, match='expected that of fixed'):
        local_correlation(fixed, moving[..., 1:])
    with pytest.raises(InputError, match='batch, channels and axes'):
        global_correlation(fixed, moving[:, 1:])
    with pytest.raises(InputError, match='padding'):
        local_correlation(fixed, moving, padding='wrap')
