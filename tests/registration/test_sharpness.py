"""The sharper of two images that are alike is blurred to the other's sharpness."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from mmreg.registration.optimisation.sharpness import LEAST, equally_sharp


def image(seed=0, size=40):
    """Two tissues with sharp borders."""
    texture = gaussian_filter(np.random.default_rng(seed).normal(size=(size,) * 3), 3)
    return gaussian_filter((texture > 0).astype(np.float32), 0.6)


def data(fixed, moving, **masks):
    return {
        k: torch.from_numpy(np.ascontiguousarray(v))[None, None]
        for k, v in dict(fixed=fixed, moving=moving, **masks).items()
    }


@pytest.mark.parametrize('sigma', [(0.9, 0.9, 0.9), (1.5, 1.5, 1.5), (0.0, 0.0, 1.3)])
def test_finds_the_blur_of_the_other(sigma):
    blurred = gaussian_filter(image(1), sigma)
    inputs = data(image(), blurred)
    result, (blur,) = equally_sharp(inputs, [True])
    assert list(blur) == ['fixed'] and blur['fixed'] == pytest.approx(sigma, abs=0.35)
    assert torch.equal(result['moving'], inputs['moving'])
    _, (back,) = equally_sharp(data(blurred, image()), [True])
    assert list(back) == ['moving']


def test_leaves_what_is_equally_sharp_noisy_or_not_alike():
    noisy = image(1) + 0.1 * np.random.default_rng(0).normal(size=(40,) * 3).astype(np.float32)
    soft = gaussian_filter(image(1), 1.0)
    for other, alike in ((image(1), True), (noisy, True), (soft, False), (np.zeros_like(soft), True)):
        inputs = data(image(), other)
        result, done = equally_sharp(inputs, [alike])
        assert done == [None] and torch.equal(result['fixed'], inputs['fixed'])


def test_each_pair_of_a_batch_by_itself():
    soft = gaussian_filter(image(1), 1.0)
    pairs = [data(image(), image(1)), data(image(), soft)]
    batch = {key: torch.cat([pair[key] for pair in pairs]) for key in pairs[0]}
    result, (none, blur) = equally_sharp(batch, [True, True])
    alone, (own,) = equally_sharp(pairs[1], [True])
    assert none is None and blur == own and min(blur['fixed']) >= LEAST
    assert torch.equal(result['fixed'][1:], alone['fixed']) and torch.equal(result['fixed'][:1], batch['fixed'][:1])


def test_hidden_voxels_do_not_count():
    fixed, soft = image(), gaussian_filter(image(1), 1.0)
    shown = np.ones_like(fixed)
    shown[20:] = 0
    fixed[20:] = np.random.default_rng(2).random((20, 40, 40))
    _, (blur,) = equally_sharp(data(fixed, soft, fixed_mask=shown), [True])
    assert blur['fixed'] == pytest.approx([0.9] * 3, abs=0.3)
