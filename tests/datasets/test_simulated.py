"""Simulated subjects: pure functions of seed and number, with true fields that are true."""

import sys

import numpy as np
import pytest
import torch

from mmreg.datasets import SimulatedBrainDataset, SyntheticShapes
from mmreg.datasets.synthesis import Variation, random_diffeomorphism, simulate_subject, smooth_noise, true_displacement
from mmreg.datasets.templates import TISSUES, brain_template, shapes_template
from mmreg.errors import ConfigError
from mmreg.spatial import compose, jacobian_determinant, warp, warp_labels

SIZES = [(32, 36), (24, 20, 28)]


def dice(a, b, labels):
    return np.mean([2.0 * ((a == k) & (b == k)).sum() / ((a == k).sum() + (b == k).sum()) for k in labels])


def variation(size):
    step = min(size)
    return Variation(knots_mm=(step / 2, step / 4), amplitude_mm=(step / 20, step / 40))


def test_smooth_noise_is_a_cubic_spline():
    rng = np.random.default_rng(0)
    line = smooth_noise(rng, (41,), (10.0,)).double()
    fourth = line[4:] - 4 * line[3:-1] + 6 * line[2:-2] - 4 * line[1:-3] + line[:-4]
    inside = torch.tensor([i for i in range(37) if not any(i < k < i + 4 for k in (10, 20, 30))])
    assert fourth[inside].abs().max() < 1e-5, 'between knots the fourth difference of a cubic vanishes'
    assert fourth.abs().max() > 1e-4


@pytest.mark.parametrize('size', SIZES)
def test_diffeomorphism_and_its_inverse(size):
    rng = np.random.default_rng(1)
    forward, inverse = random_diffeomorphism(rng, size, (1.0,) * len(size), variation(size))
    assert forward.shape == inverse.shape == (len(size), *size)
    assert jacobian_determinant(forward[None]).min() > 0.1
    residual = compose(inverse[None], forward[None], padding='border')
    inside = (..., *[slice(4, -4)] * len(size))
    assert residual[inside].abs().max() < 0.15 < 0.5 < forward.abs().max()


@pytest.mark.parametrize('size', SIZES)
def test_true_displacement_registers_the_pair(size):
    """Without intensity changes the warped moving image is the fixed image, up to interpolation."""
    template = shapes_template(size)
    plain = Variation(variation(size).knots_mm, variation(size).amplitude_mm, bias=0.0, gamma=0.0, noise=0.0)
    fixed, moving = (simulate_subject(template, 0, k, plain) for k in (0, 1))
    field, valid = true_displacement(fixed, moving)
    warped = warp(moving.image[None], field[None])[0]
    before = (moving.image - fixed.image)[valid].abs().mean()
    after = (warped - fixed.image)[valid].abs().mean()
    assert after < 0.35 * before
    labels = warp_labels(moving.labels[None], field[None])[0]
    assert dice(labels, fixed.labels, range(1, 5)) > dice(moving.labels, fixed.labels, range(1, 5)) + 0.05
    assert (valid == (valid & (fixed.labels > 0))).all() and valid.any()


def test_true_displacement_of_a_subject_to_itself_is_zero():
    template = shapes_template((24, 24))
    one = simulate_subject(template, 0, 5, variation((24, 24)))
    field, valid = true_displacement(one, one)
    assert field.norm(dim=0)[valid[0]].mean() < 0.1


def test_subjects_are_pure_functions_of_seed_and_number():
    arguments = dict(size=(16, 18), count=3, pairing='ordered')
    one, same = SyntheticShapes(**arguments), SyntheticShapes(**arguments, cache=None)
    assert (one.volume(1)['image'] == same.volume(1)['image']).all()
    later = SyntheticShapes(**{**arguments, 'count': 2}, first=1)
    assert (later.volume(0)['image'] == one.volume(1)['image']).all(), 'subject 1 is subject 1 in every range'
    other = SyntheticShapes(**arguments, subject_seed=1)
    assert not np.allclose(other.volume(1)['image'], one.volume(1)['image'])
    run = SyntheticShapes(**arguments, seed=9)
    assert (run.volume(1)['image'] == one.volume(1)['image']).all(), 'the run seed does not change subjects'


@pytest.mark.parametrize('size', SIZES)
def test_samples(size):
    dataset = SyntheticShapes(size=size, count=3, labels=3, true_fields=True, pairing='next')
    sample = dataset[0]
    inputs = sample['inputs']
    ndim = len(size)
    assert inputs['fixed'].shape == (1, *size) and inputs['true_displacement'].shape == (ndim, *size)
    assert inputs['true_displacement_valid'].dtype == torch.bool
    assert set(inputs['fixed_labels'].unique().tolist()) == {0, 1, 2, 3}
    assert inputs['fixed'].min() >= 0 and inputs['fixed'].max() <= 1
    assert sample['data_samples'].case_id == 'sim0000_sim0001'
    assert 'true_displacement' not in SyntheticShapes(size=size, count=2)[0]['inputs']


def test_intensities_differ_but_stay_in_the_body():
    template = shapes_template((32, 32))
    still = Variation(amplitude_mm=(0.0, 0.0))
    a, b = (simulate_subject(template, 0, k, still) for k in (0, 1))
    assert torch.equal(a.labels, b.labels) and not torch.allclose(a.image, b.image, atol=0.02)
    outside = template.image <= 0.02
    assert (a.image[outside] == 0).all()


def test_missing_nilearn_is_one_sentence(monkeypatch):
    brain_template.cache_clear()
    monkeypatch.setitem(sys.modules, 'nilearn', None)
    with pytest.raises(ConfigError, match=r"nilearn is not installed: pip install 'mmreg\[demo\]'"):
        SimulatedBrainDataset()


def test_brains():
    pytest.importorskip('nilearn')
    brain_template.cache_clear()
    dataset = SimulatedBrainDataset(resolution=4, count=2, first=1000, pairing='ordered', true_fields=True)
    template = dataset.template()
    assert template.spacing == (4.0, 4.0, 4.0) and all(n % 16 == 0 for n in template.size)
    assert template.names == TISSUES and dataset.metainfo['label_names'] == TISSUES
    total = template.tissues.sum(0)
    assert total.max() < 1.01 and (template.tissues >= 0).all()
    inputs = dataset[0]['inputs']
    field, valid = inputs['true_displacement'], inputs['true_displacement_valid']
    assert set(inputs['fixed_labels'].unique().tolist()) == {0, 1, 2, 3, 4}
    warped = warp_labels(inputs['moving_labels'][None], field[None])[0]
    before = dice(inputs['moving_labels'], inputs['fixed_labels'], range(1, 5))
    after = dice(warped, inputs['fixed_labels'], range(1, 5))
    assert 0.3 < before < 0.85 and after > before + 0.1
    assert valid[0].float().mean() > 0.15 and field.norm(dim=0)[valid[0]].mean() > 0.5


@pytest.mark.slow
def test_brains_at_two_millimetres():
    pytest.importorskip('nilearn')
    dataset = SimulatedBrainDataset(count=3, pairing='ordered', true_fields=True)
    assert dataset.template().size == (80, 96, 80)
    before, after = [], []
    for sample in dataset:
        inputs = sample['inputs']
        warped = warp_labels(inputs['moving_labels'][None], inputs['true_displacement'][None])[0]
        before.append(dice(inputs['moving_labels'], inputs['fixed_labels'], range(1, 5)))
        after.append(dice(warped, inputs['fixed_labels'], range(1, 5)))
        assert jacobian_determinant(inputs['true_displacement'][None]).min() > 0
    assert 0.5 < np.mean(before) < 0.75 and np.mean(after) > 0.85
