"""The Swin encoder: windows and masks by their definition, any size, both numbers of axes."""

import itertools

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.models.blocks.swin import (
    Dropout,
    DropPath,
    PatchMerging,
    SinusoidalPosition,
    SwinBlock,
    SwinEncoder,
    merge_windows,
    partition_windows,
    shift_mask,
)
from mmreg.models.blocks.swin.attention import relative_index

WINDOWS = [((4, 6), (2, 3)), ((4, 4, 6), (2, 4, 3))]


def small(ndim=3, **options):
    options = {'width': 4, 'depths': (2, 2), 'heads': (1, 2), 'window': 2, 'patch_size': 2, **options}
    return SwinEncoder(ndim, 2, **options)


@pytest.mark.parametrize(('size', 'window'), WINDOWS)
def test_windows_hold_their_tokens_and_come_back(size, window):
    tokens = torch.arange(2 * torch.Size(size).numel()).view(2, *size, 1)
    windows = partition_windows(tokens, window)
    first = tokens[(0, *[slice(w) for w in window])].flatten()
    last = tokens[(1, *[slice(-w, None) for w in window])].flatten()
    assert torch.equal(windows[0].flatten(), first) and torch.equal(windows[-1].flatten(), last)
    assert torch.equal(merge_windows(windows, window, size), tokens)


def test_the_published_slip_scrambles_volumes_only():
    (flat, flat_window), (volume, volume_window) = WINDOWS
    for size, window, same in ((flat, flat_window, True), (volume, volume_window, False)):
        tokens = torch.arange(torch.Size(size).numel()).view(1, *size, 1)
        found = merge_windows(partition_windows(tokens, window), window, size, 'published_bayes')
        assert torch.equal(found, tokens) == same
        assert torch.equal(found.flatten().sort().values, tokens.flatten())


@pytest.mark.parametrize(('size', 'window'), WINDOWS)
def test_mask_separates_what_only_the_shift_brought_together(size, window):
    shift = [w // 2 for w in window]
    mask = shift_mask(size, window, shift)
    # Two tokens of one window belong together where the shifted grid did not wrap between them.
    wrapped = torch.stack(torch.meshgrid(*[torch.arange(n) >= n - s for n, s in zip(size, shift)], indexing='ij'), -1)
    rows = partition_windows(wrapped[None].float(), window)
    together = (rows[:, :, None] == rows[:, None, :]).all(-1)
    assert torch.equal(mask == 0, together) and set(mask.unique().tolist()) == {-100.0, 0.0}


@pytest.mark.parametrize('window', [(2, 3), (2, 3, 4)])
def test_relative_index_by_its_formula(window):
    index = relative_index(window)
    places = list(itertools.product(*[range(w) for w in window]))
    for (i, p), (j, q) in itertools.product(enumerate(places), enumerate(places)):
        row = 0
        for a, b, w in zip(p, q, window):
            row = row * (2 * w - 1) + a - b + w - 1
        assert index[i, j] == row


def test_shifted_windows_let_information_cross():
    """A plain block keeps windows apart, a shifted one mixes neighbours, and never across the border of the grid."""
    torch.manual_seed(0)
    tokens = torch.zeros(1, 8, 8, 4)
    touched = tokens.clone()
    touched[0, 3, 3] = torch.randn(4)
    for shifted, reach in ((False, {(i, j) for i in (2, 3) for j in (2, 3)}), (True, {3, 4})):
        block = SwinBlock(4, 2, (2, 2), shifted=shifted).eval()
        mask = shift_mask((8, 8), (2, 2), (1, 1))
        with torch.no_grad():
            moved = (block(touched, mask) - block(tokens, mask)).abs().sum(-1)[0] > 1e-6
        expected = reach if not shifted else {(i, j) for i in reach for j in reach}
        assert {tuple(k) for k in moved.nonzero().tolist()} == expected


def test_border_tokens_do_not_see_the_opposite_border():
    torch.manual_seed(0)
    block = SwinBlock(4, 1, (2, 2), shifted=True).eval()
    tokens = torch.randn(1, 6, 6, 4)
    touched = tokens.clone()
    touched[0, 0, 0] += torch.randn(4)
    mask = shift_mask((6, 6), (2, 2), (1, 1))
    with torch.no_grad():
        moved = (block(touched, mask) - block(tokens, mask)).abs().sum(-1)[0] > 1e-5
    assert {tuple(k) for k in moved.nonzero().tolist()} == {(0, 0)}


def test_a_window_of_one_token_is_never_shifted():
    assert SwinBlock(4, 1, (2, 1, 2), shifted=True).shift is None
    assert SwinBlock(4, 1, (2, 3, 4), shifted=True).shift == (1, 1, 2)


@pytest.mark.parametrize('ndim', [2, 3])
def test_merging_stacks_all_neighbours(ndim):
    merging = PatchMerging(ndim, 1)
    assert sorted(merging.offsets) == sorted(itertools.product((0, 1), repeat=ndim))
    assert merging(torch.rand(1, *[5] * ndim, 1)).shape == (1, *[3] * ndim, 2)


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('position', [None, 'learned', 'sinusoidal'])
@pytest.mark.parametrize('relative_bias', [False, True])
def test_forward_and_backward_at_odd_sizes(ndim, position, relative_bias):
    encoder = small(ndim, position=position, position_size=3, relative_bias=relative_bias, qkv_bias=True)
    size = [13, 9, 6][:ndim]
    features = encoder(torch.rand(2, 2, *size))
    assert [f.shape[1] for f in features] == list(encoder.channels) == [4, 8]
    assert features[0].shape[2:] == tuple(-(-n // 2) for n in size)
    assert features[1].shape[2:] == tuple(-(-n // 4) for n in size)
    sum(f.square().mean() for f in features).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_samples_do_not_see_each_other():
    encoder = small().eval()
    images = torch.rand(3, 2, 12, 8, 8)
    with torch.no_grad():
        together, alone = encoder(images), encoder(images[1:2])
    for a, b in zip(together, alone):
        torch.testing.assert_close(a[1:2], b, rtol=0, atol=1e-5)


def test_checkpointing_changes_nothing():
    grads = []
    for use in (False, True):
        torch.manual_seed(0)
        encoder = small(use_checkpoint=use, drop_path=0.0)
        sum(f.square().mean() for f in encoder(torch.ones(1, 2, 8, 8, 8).cumsum(2))).backward()
        grads.append([p.grad for p in encoder.parameters()])
    for a, b in zip(*grads):
        torch.testing.assert_close(a, b)


def test_dropout_stays_on_where_asked():
    torch.manual_seed(0)
    x = torch.ones(4, 500, 4, 4)
    assert torch.equal(Dropout(0.2).eval()(x), x)
    for channels in (False, True):
        dropped = Dropout(0.2, always=True, channels=channels).eval()(x)
        assert (dropped == 0).float().mean().item() == pytest.approx(0.2, abs=0.03)
        assert dropped.mean().item() == pytest.approx(1.0, abs=0.04)
    assert set(dropped.mean((2, 3)).unique().tolist()) == {0.0, 1.25}, 'whole channels'


def test_drop_path_leaves_out_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    path = DropPath(0.25)
    x = torch.ones(4000, 2, 2)
    values = path(x).flatten(1)
    assert set(values.unique().tolist()) <= {0.0, float(torch.tensor(1.0) / 0.75)}
    assert values.mean().item() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(path.eval()(x), x)


def test_sinusoidal_position_by_its_formula():
    found = SinusoidalPosition()(torch.zeros(1, 3, 5, 8))
    for axis, index in ((0, 2), (1, 4)):
        block = found[0, 2, 4, 4 * axis : 4 * axis + 4]
        rates = torch.tensor([1.0, 10000**-0.5])
        torch.testing.assert_close(block, torch.cat([(index * rates).sin(), (index * rates).cos()]))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'heads': (1,)}, 'heads'),
        ({'heads': (3, 2)}, 'multiple of the heads'),
        ({'position': 'absolute'}, 'position'),
        ({'window_reverse': 'x'}, 'window_reverse'),
        ({'window': (2, 2)}, 'window'),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        small(3, **options)
