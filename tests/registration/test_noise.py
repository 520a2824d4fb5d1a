"""Noise is measured in the images, and the field is stiffer where there is much of it."""

import pytest
import torch

from mmreg.registration.optimisation import Settings, optimise
from mmreg.registration.optimisation.levels import Grid
from mmreg.registration.optimisation.noise import QUIET, WIDEST, at_least, noise_of, noise_of_pairs, widening
from mmreg.spatial import gaussian_filter, warp

from .test_optimisation import make_model

SIZE = (28, 32, 30)


def make_pair(size):
    """Blobs larger than a few voxels, as anatomy is, and a smooth motion of them."""
    generator = torch.Generator().manual_seed(0)
    moving = gaussian_filter(torch.randn(1, 1, *size, generator=generator), 3.0, padding='border')
    moving = (moving - moving.min()) / (moving.max() - moving.min())
    true = gaussian_filter(torch.randn(1, len(size), *size, generator=generator), 6.0)
    true = true * (2.0 / true.abs().max())
    return warp(moving, true, padding='border'), moving, true


def _with_noise(image, share, seed=3):
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return image + share * (image.amax() - image.amin()) * noise


@pytest.mark.parametrize('share', [0.05, 0.1, 0.2])
def test_noise_that_was_added_is_found(share):
    _, image, _ = make_pair(SIZE)
    noisy = _with_noise(image, share)
    expected = share * float((image.amax() - image.amin()) / (noisy.amax() - noisy.amin()))
    (found,) = noise_of(noisy)
    assert found == pytest.approx(expected, rel=0.12)
    assert noise_of(1000 * noisy - 300)[0] == pytest.approx(found, rel=1e-3)


def test_edges_and_uneven_slices_are_no_noise():
    _, image, _ = make_pair(SIZE)
    uneven = image[..., :8] * torch.tensor([1.0, 0.5] * 4)  # slices of two brightnesses
    assert noise_of(uneven)[0] < 0.01
    block = torch.zeros(1, 1, *SIZE)
    block[..., 8:20, 8:20, 8:20] = 1.0
    assert noise_of(block)[0] == 0 and noise_of(gaussian_filter(block, 0.7))[0] < 0.02


def test_where_it_cannot_be_told_there_is_none():
    assert noise_of(torch.ones(2, 1, *SIZE)) == [0.0, 0.0]
    assert noise_of(torch.rand(1, 1, 2, 2)) == [0.0]
    assert noise_of(torch.rand(1, 1, 40, 2)) == [0.0]  # along one line edges look like noise
    assert noise_of(torch.rand(1, 1, *SIZE), torch.zeros(1, 1, *SIZE)) == [0.0]


def test_coarse_levels_have_less_noise_and_stiff_ones_stay():
    full = Grid(SIZE, (2.0,) * 3)
    assert widening(QUIET, 16, full, full) == 1 and widening(9.0, 16, full, full) == WIDEST
    assert widening(0.1, 16, full, full) > widening(0.1, 16, full, full.coarser(4)) == 1
    assert widening(0.1, 0, full, full) == 1
    assert at_least([0.5, 0.5, 4.0], 0.8, [1.0, 2.0, 2.0]) == [0.5, 1.6, 4.0]


def test_smoothness_scales_what_noise_asks_for():
    level = Settings.parse(dict(levels=[dict(scale=1, iterations=1)], smoothness=2)).levels[0]
    assert (level.least_update, level.least_field) == (3.0, 1.6)


def test_stiffer_in_noise_is_nearer_to_the_truth_and_only_there():
    """In a batch with a pair that has no noise, which moves as it does by itself."""
    fixed, moving, true = make_pair(SIZE)
    noisy = dict(fixed=_with_noise(fixed, 0.12), moving=_with_noise(moving, 0.12, seed=4))
    levels = [dict(scale=2, iterations=15), dict(scale=1, iterations=15)]

    def found(slope, inputs):
        return optimise(make_model(3), inputs, dict(levels=levels, noise_stiffness=slope, inverse=False))

    def error(result, n=0):
        return float((result.displacement[n] - true[0]).norm(dim=0)[4:-4, 4:-4, 4:-4].mean())

    without, stiffer = (found(slope, noisy) for slope in (0, 16))
    assert error(stiffer) < 0.9 * error(without)
    assert noise_of_pairs(noisy) == stiffer.noise and stiffer.widening[-1][0] > 1.5
    clean = found(16, dict(fixed=fixed, moving=moving))
    both = found(16, {key: torch.cat([dict(fixed=fixed, moving=moving)[key], noisy[key]]) for key in noisy})
    torch.testing.assert_close(both.displacement[:1], clean.displacement, atol=1e-3, rtol=0)
    torch.testing.assert_close(both.displacement[1:], stiffer.displacement, atol=1e-3, rtol=0)
    assert torch.equal(clean.displacement, found(0, dict(fixed=fixed, moving=moving)).displacement)
