"""LNCC: definition, closed-form gradient, options, masks, memory."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn.functional import avg_pool3d

from mmreg.errors import ConfigError, InputError
from mmreg.models.losses import LNCC
from tests.models.losses.helpers_images import blob_mask, noise_pair, saved_bytes, smooth_pair

FORMS = ('signed', 'squared', 'fourth')
STABILISERS = ('product', 'clamp', 'each')
KERNELS = ('box', 'box_cubed', 'triangular', 'gaussian')


def test_definition_with_dense_pooling():
    first, second = smooth_pair((11, 12, 13), batch=2, channels=2)

    def window_sum(x):
        return avg_pool3d(x, 5, 1, 2) * 125

    sums = window_sum(first), window_sum(second)
    cross = window_sum(first * second) - sums[0] * sums[1] / 125
    variances = [window_sum(i * i) - s * s / 125 for i, s in zip((first, second), sums)]
    expected = 1 - (cross**2 / (variances[0] * variances[1] + 1e-5)).mean()
    torch.testing.assert_close(LNCC(window=5)(first, second), expected)


@pytest.mark.parametrize('form, stabiliser, kernel', [*itertools.product(FORMS, STABILISERS, KERNELS)])
@pytest.mark.parametrize('shape', [(2, 2, 6, 7), (1, 2, 5, 4, 6)])
def test_closed_form_equals_automatic_gradient(form, stabiliser, kernel, shape):
    options = dict(window=3, form=form, stabiliser=stabiliser, kernel=kernel, eps=1e-2)
    pair = noise_pair(*shape)
    mask = blob_mask(shape[2:], shape[0])
    for weights in (None, mask):
        closed = torch.autograd.grad(LNCC(**options)(*pair, weights), pair)
        automatic = torch.autograd.grad(LNCC(**options, closed_form=False)(*pair, weights), pair)
        for got, expected in zip(closed, automatic):
            torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('form', FORMS)
def test_gradcheck_first_and_second_order(form):
    loss, pair = LNCC(window=3, form=form, eps=1e-2), noise_pair(1, 1, 4, 5)
    assert torch.autograd.gradcheck(loss, pair)
    assert torch.autograd.gradgradcheck(loss, pair)


def test_gradient_for_one_image_only():
    warped, fixed = noise_pair(1, 1, 6, 6)
    both = torch.autograd.grad(LNCC(window=3)(warped, fixed), (warped, fixed))
    (alone,) = torch.autograd.grad(LNCC(window=3)(warped, fixed.detach()), warped)
    (other,) = torch.autograd.grad(LNCC(window=3)(warped.detach(), fixed), fixed)
    torch.testing.assert_close(both, (alone, other))


@pytest.mark.parametrize('form, low, high', [('squared', 0, 1), ('fourth', 0, 1), ('signed', 0, 2)])
def test_range_symmetry_and_identity(form, low, high):
    loss, (first, second) = LNCC(window=5, form=form), smooth_pair((16, 18))
    value = loss(first, second)
    assert low <= value <= high
    torch.testing.assert_close(loss(second, first), value)
    assert loss(first, first) < 1e-3 < value
    torch.testing.assert_close(LNCC(window=5, form=form, negative=True)(first, second), value - 1)


def test_sign_of_the_correlation():
    first, _ = smooth_pair((16, 18))
    inside = (..., slice(2, -2), slice(2, -2))
    signed = LNCC(window=5, form='signed', eps=1e-12).correlation(first, 1 - first)[inside]
    squared = LNCC(window=5, eps=1e-12).correlation(first, 1 - first)[inside]
    torch.testing.assert_close(signed, -torch.ones_like(signed))
    torch.testing.assert_close(squared, torch.ones_like(squared))


def test_affine_intensity_change_inside():
    """Unchanged where no window reaches over the border and eps is small."""
    first, second = smooth_pair((24, 24))
    inside = (slice(None), slice(None), slice(3, -3), slice(3, -3))
    loss = LNCC(window=5, eps=1e-20)
    torch.testing.assert_close(
        loss.correlation(first, second)[inside], loss.correlation(3 * first - 7, second)[inside], rtol=1e-6, atol=1e-6
    )


def test_masked_statistics_are_affine_invariant_up_to_the_border():
    first, second = smooth_pair((14, 15))
    loss = LNCC(window=5, eps=1e-20, masked_statistics=True)
    torch.testing.assert_close(loss(first, second), loss(2 * first + 5, second), rtol=1e-6, atol=1e-9)
    assert loss(first, 1 - first) < 1e-9


def test_window_per_axis():
    first, second = smooth_pair((12, 13, 5))
    flat = LNCC(window=(5, 5, 1))(first, second)
    slices = [LNCC(window=5)(first[..., k], second[..., k]) for k in range(5)]
    torch.testing.assert_close(flat, torch.stack(slices).mean())


@pytest.mark.parametrize('masked_statistics', [False, True])
def test_mask_hides_what_is_outside(masked_statistics):
    first, second = smooth_pair((20, 20))
    mask = torch.zeros(1, 1, 20, 20)
    mask[..., :10, :] = 1
    loss = LNCC(window=5, masked_statistics=masked_statistics)
    changed = first.clone()
    far = slice(10, None) if masked_statistics else slice(12, None)
    changed[..., far, :] = 0.3
    torch.testing.assert_close(loss(first, second, mask), loss(changed, second, mask))
    assert not torch.isclose(loss(first, second), loss(changed, second))


def test_empty_mask_is_finite():
    pair = noise_pair(1, 1, 6, 6)
    for masked_statistics in (False, True):
        value = LNCC(window=3, masked_statistics=masked_statistics)(*pair, torch.zeros(1, 1, 6, 6))
        assert all(g.isfinite().all() for g in torch.autograd.grad(value, pair))


@pytest.mark.parametrize('level', [0.0, 1.0, 1000.0])
@pytest.mark.parametrize('form, stabiliser', [*itertools.product(FORMS, STABILISERS)])
def test_constant_images(form, stabiliser, level):
    constant = torch.full((1, 1, 12, 12, 12), level, requires_grad=True)
    textured = torch.rand(1, 1, 12, 12, 12)
    loss = LNCC(form=form, stabiliser=stabiliser)
    for other in (constant.detach(), textured):
        value = loss(constant, other)
        (gradient,) = torch.autograd.grad(value, constant)
        assert value.isfinite() and gradient.isfinite().all()
    if level == 0.0:
        (gradient,) = torch.autograd.grad(loss(constant, constant.detach()), constant)
        assert gradient.abs().max() == 0


@pytest.mark.parametrize('both', [False, True])
def test_saves_the_images_and_one_volume_per_gradient(both):
    warped = torch.rand(1, 1, 16, 16, 16, requires_grad=True)
    fixed = torch.rand(1, 1, 16, 16, 16, requires_grad=both)
    volume = 4 * 16**3
    assert saved_bytes(lambda: LNCC()(warped, fixed)) <= (4 if both else 3) * volume + 64
    assert saved_bytes(lambda: LNCC(closed_form=False)(warped, fixed)) > 8 * volume


def test_no_graph_without_grad():
    warped = torch.rand(1, 1, 8, 8, requires_grad=True)
    with torch.no_grad():
        assert LNCC(window=3)(warped, warped).grad_fn is None


def test_precision_rule():
    first, second = smooth_pair((12, 12, 12), dtype=torch.float32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = LNCC()(first, second)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, LNCC()(first, second), rtol=0, atol=0)
    assert LNCC()(first.half(), second.half()).dtype == torch.float32
    assert LNCC()(first.double(), second.double()).dtype == torch.float64


@pytest.mark.parametrize('window', [3, 5])
def test_cubed_count_is_the_box_in_3d_and_lku_nets_slip_in_2d(window):
    """In 2-D the moments subtract S(I) S(J) / window^3, so that the mean hardly matters: most of it stays in."""
    warped, fixed = noise_pair(1, 1, 9, 8, 7)
    cubed, box = LNCC(window, kernel='box_cubed'), LNCC(window)
    torch.testing.assert_close(cubed(warped, fixed), box(warped, fixed))
    warped, fixed = (image[:, :, 0] for image in (warped, fixed))

    def total(x):
        return avg_pool3d(x[:, :, None], (1, window, window), 1, (0, window // 2, window // 2))[:, :, 0] * window**2

    n = window**3
    cross = total(warped * fixed) - total(warped) * total(fixed) / n
    spread = [total(x * x) - total(x) ** 2 / n for x in (warped, fixed)]
    expected = 1 - (cross**2 / (spread[0] * spread[1] + 1e-5)).mean()
    torch.testing.assert_close(cubed(warped, fixed), expected)


def test_bad_arguments():
    for options in (
        dict(window=4),
        dict(form='cubed'),
        dict(kernel='cosine'),
        dict(stabiliser='none'),
        dict(sigma=2.0),
    ):
        with pytest.raises(ConfigError):
            LNCC(**options)
    with pytest.raises(InputError, match='warped'):
        LNCC()(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 9))
    with pytest.raises(InputError, match='mask'):
        LNCC()(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8), torch.ones(8, 8))


def test_isotropic_window_does_not_mix_thick_slices():
    loss = LNCC(window=5, isotropic=True)
    first, second = noise_pair(1, 1, 12, 12, 6)
    torch.testing.assert_close(loss(first, second), LNCC(window=5)(first, second))  # the voxel size is not known
    for spacing, window in (((1, 1, 1), 5), ((2, 2, 2), 5), ((1, 1, 10), (5, 5, 1)), ((1, 2, 1.5), (5, 1, 3))):
        torch.testing.assert_close(loss(first, second, spacing=spacing), LNCC(window=window)(first, second))
    torch.testing.assert_close(loss(first, second), LNCC(window=5)(first, second))


@pytest.mark.parametrize('options', [{'window': (5, 5, 1)}, {'kernel': 'gaussian', 'sigma': 2}])
def test_isotropic_window_is_one_number(options):
    with pytest.raises(ConfigError, match='isotropic=True with .* expected one number'):
        LNCC(**options, isotropic=True)
