"""What every image loss promises: gradients, symmetry, invariance, masks, precision, memory."""

from __future__ import annotations

import pytest
import torch

from mmreg.models.losses import (
    L1,
    LNCC,
    MIND,
    MINDSSC,
    MSE,
    NCC,
    NGF,
    NMI,
    Charbonnier,
    CorrelationRatio,
    LocalMutualInformation,
    MutualInformation,
)
from mmreg.registry import LOSSES
from tests.models.losses.helpers_images import noise_pair, saved_bytes, smooth_pair

#: One of each, with small windows, for gradients and shapes.
SMALL = {
    'LNCC': LNCC(window=3, eps=1e-3),
    'NCC': NCC(),
    'NCC signed': NCC(form='signed'),
    'MSE': MSE(),
    'L1': L1(),
    'Charbonnier': Charbonnier(),
    'MIND': MIND(radius=1, dilation=1),
    'MINDSSC': MINDSSC(radius=1, dilation=1),
    'MutualInformation': MutualInformation(bins=6, sigma_ratio=1.0),
    'MutualInformation of its own range': MutualInformation(bins=6, sigma_ratio=1.0, intensity_range=None),
    'MutualInformation b-spline': MutualInformation(kernel='b-spline', bins=8, fixed_order=3),
    'NMI': NMI(bins=6),
    'LocalMutualInformation': LocalMutualInformation(patch=3, bins=5, sigma_ratio=1.0),
    'LocalMutualInformation overlapping': LocalMutualInformation(patch=3, stride=2, bins=5, sigma_ratio=1.0),
    'CorrelationRatio': CorrelationRatio(bins=5, sigma_ratio=1.0),
    'CorrelationRatio given fixed': CorrelationRatio(bins=5, sigma_ratio=1.0, given='fixed'),
    'NGF': NGF(),
    'NGF offset': NGF(form='offset'),
}
EACH = pytest.mark.parametrize('name', list(SMALL))

#: Losses whose value the docstring calls symmetric (all but the ones that treat the images differently).
SYMMETRIC = [name for name in SMALL if name != 'CorrelationRatio given fixed']
#: Losses that promise to ignore affine intensity changes, also in this test's noise-free images without a border.
INVARIANT = {
    'NCC': NCC(eps=1e-20),
    'NCC signed': NCC(form='signed', eps=1e-20),
    'LNCC': LNCC(window=3, eps=1e-20, masked_statistics=True),
    'MIND': MIND(radius=1),
    'MINDSSC': MINDSSC(),
    'MutualInformation': MutualInformation(intensity_range=None),
    'MutualInformation b-spline': MutualInformation(kernel='b-spline'),
    'NMI': NMI(intensity_range=None),
    'LocalMutualInformation': LocalMutualInformation(patch=4, intensity_range=None),
    'CorrelationRatio': CorrelationRatio(eps=1e-20),
    'NGF': NGF(eps=1e-12),
    'NGF offset': NGF(form='offset', eps=1e-12),
}
#: Losses that take the channels as one vector, or one intensity range for the whole batch.
COUPLED = ('Charbonnier', 'MutualInformation of its own range', 'MutualInformation b-spline', 'CorrelationRatio')
COUPLED += ('CorrelationRatio given fixed',)
#: Lowest and highest value.
RANGES = {'LNCC': (0, 1), 'NCC': (0, 1), 'NCC signed': (0, 2), 'MIND': (0, 1), 'MINDSSC': (0, 1), 'NMI': (-2, -1)}
RANGES |= {name: (0, 1) for name in SMALL if name.startswith(('Corr', 'NGF'))}


@EACH
@pytest.mark.parametrize('shape', [(2, 2, 3, 4), (1, 1, 4, 3, 4)])
def test_gradcheck(name, shape):
    """Every entry in 2-D, one random direction in 3-D."""
    assert torch.autograd.gradcheck(SMALL[name], noise_pair(*shape, seed=3), fast_mode=len(shape) == 5)


@EACH
def test_gradcheck_with_mask(name):
    warped, fixed = noise_pair(2, 1, 3, 4, seed=4)
    mask = torch.rand(2, 1, 3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda w, f: SMALL[name](w, f, mask), (warped, fixed))


@EACH
def test_gradgradcheck(name):
    """Differentiating through the gradient, as unrolled optimisation does."""
    assert torch.autograd.gradgradcheck(SMALL[name], noise_pair(1, 1, 3, 4, seed=5), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize('name', SYMMETRIC)
def test_symmetry(name):
    first, second = smooth_pair((9, 10, 8), batch=2)
    torch.testing.assert_close(SMALL[name](first, second), SMALL[name](second, first))


@EACH
def test_lowest_at_identity(name):
    """Any shift of an image against itself scores worse."""
    image, _ = smooth_pair((20, 22))
    aligned = SMALL[name](image[..., 2:-2, 2:-2], image[..., 2:-2, 2:-2])
    for rows, columns in ((1, 0), (-1, 0), (0, 2), (2, -2)):
        shifted = image.roll((rows, columns), (-2, -1))[..., 2:-2, 2:-2]
        assert aligned < SMALL[name](shifted, image[..., 2:-2, 2:-2])


@pytest.mark.parametrize('name', ['L1', 'LNCC', 'MIND', 'MINDSSC', 'MSE', 'NCC', 'NCC signed', 'NGF offset'])
def test_zero_at_identity(name):
    image, _ = smooth_pair((12, 12, 12))
    loss = LNCC(window=3, eps=1e-12) if name == 'LNCC' else SMALL[name]
    assert abs(loss(image, image)) < 1e-6


@pytest.mark.parametrize('name', list(INVARIANT))
def test_affine_intensity_change(name):
    first, second = smooth_pair((12, 13), batch=2)
    loss, value = INVARIANT[name], INVARIANT[name](first, second)
    torch.testing.assert_close(loss(3 * first - 1, second), value, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(loss(first, 0.2 * second + 5), value, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize('name', ['NCC', 'LNCC', 'MIND', 'MINDSSC', 'MutualInformation', 'CorrelationRatio', 'NGF'])
def test_inverted_contrast(name):
    first, second = smooth_pair((12, 13))
    torch.testing.assert_close(INVARIANT[name](1 - first, second), INVARIANT[name](first, second), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize('name', list(RANGES))
def test_range(name):
    low, high = RANGES[name]
    for pair in (smooth_pair((9, 10, 8)), noise_pair(1, 1, 10, 11)):
        assert low - 1e-3 <= SMALL[name](*pair) <= high + 1e-3


@pytest.mark.parametrize('name', [name for name in SMALL if name not in COUPLED])
def test_mean_over_batch_and_channels(name):
    """The pairs of a batch, or its channels, do not mix."""
    first, second = smooth_pair((8, 9, 9), batch=2, channels=2)
    single = [SMALL[name](first[n : n + 1, c : c + 1], second[n : n + 1, c : c + 1]) for n in (0, 1) for c in (0, 1)]
    torch.testing.assert_close(SMALL[name](first, second), torch.stack(single).mean(), rtol=1e-6, atol=1e-9)


@EACH
def test_full_mask_changes_nothing(name):
    first, second = smooth_pair((8, 9, 8), batch=2)
    mask = torch.ones(2, 1, 8, 9, 8, dtype=torch.bool)
    torch.testing.assert_close(SMALL[name](first, second, mask), SMALL[name](first, second))


@pytest.mark.parametrize('name', [name for name in SMALL if not name.startswith('MIND')])
def test_mask_hides_what_is_far_outside(name):
    """Not so for MIND: the mean spread of its descriptor is taken over the whole image."""
    first, second = smooth_pair((24, 12))
    mask = torch.zeros(1, 1, 24, 12)
    mask[..., :12, :] = 1
    changed = first.clone()
    changed[..., 18:, :] = changed[..., 18:, :].flip(-1)  # the same intensities: ranges stay
    torch.testing.assert_close(SMALL[name](first, second, mask), SMALL[name](changed, second, mask))


@EACH
@pytest.mark.parametrize('level', [0.0, 0.5, 300.0])
def test_constant_images_have_finite_gradients(name, level):
    constant = torch.full((1, 1, 8, 8, 8), level, requires_grad=True)
    textured = torch.rand(1, 1, 8, 8, 8, requires_grad=True)
    for pair in ((constant, constant), (constant, textured), (textured, constant)):
        value = SMALL[name](*pair)
        gradients = torch.autograd.grad(value, pair, allow_unused=True)
        assert value.isfinite()
        assert all(g.isfinite().all() for g in gradients if g is not None)


@EACH
def test_empty_mask_is_finite(name):
    pair = noise_pair(1, 1, 6, 6)
    value = SMALL[name](*pair, torch.zeros(1, 1, 6, 6))
    assert value.isfinite()
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, pair))


@EACH
def test_precision_rule(name):
    first, second = smooth_pair((8, 8, 8), dtype=torch.float32)
    reference = SMALL[name](first, second)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = SMALL[name](first, second)
    assert reference.dtype == mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, reference, rtol=0, atol=0)
    assert SMALL[name](first.half(), second.half()).dtype == torch.float32
    exact = SMALL[name](first.double(), second.double())
    assert exact.dtype == torch.float64
    torch.testing.assert_close(exact.float(), reference, rtol=1e-3, atol=1e-4)


@EACH
def test_saves_the_images_and_one_volume_per_gradient(name):
    """As the docstrings say; voxelwise losses keep their intermediate differences instead."""
    warped, fixed = (torch.rand(1, 1, 12, 12, 12, requires_grad=True) for _ in range(2))
    assert saved_bytes(lambda: SMALL[name](warped, fixed)) <= 4 * warped.nbytes + 64
    assert saved_bytes(lambda: SMALL[name](warped, fixed.detach())) <= 3 * warped.nbytes + 64


@pytest.mark.parametrize('name', sorted({name.split()[0] for name in SMALL}))
def test_registered_with_a_docstring(name):
    cls = LOSSES.get(name)
    assert cls.kind == 'image'
    for word in ('Value', 'Saves', 'ymmetric'):
        assert word in cls.__doc__, f'{name} does not say {word}'


@EACH
def test_gradient_descends(name):
    """A small step against the gradient lowers the loss."""
    warped, fixed = (image.float() for image in smooth_pair((10, 10)))
    warped.requires_grad_()
    value = SMALL[name](warped, fixed)
    (gradient,) = torch.autograd.grad(value, warped)
    step = 1e-3 / gradient.abs().max()
    assert SMALL[name](warped - step * gradient, fixed) < value
