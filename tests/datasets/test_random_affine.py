"""Random affine maps: images, labels and points of one image move together, those of the other by themselves."""

import numpy as np
import pytest

from mmreg.datasets.transforms import RandomAffine
from mmreg.datasets.transforms.affine import move_group
from mmreg.datasets.transforms.roles import FIXED, MOVING
from mmreg.errors import ConfigError


def sample(size=(21, 19, 17), seed=3):
    """A blob in either image, with its label and its centre as the point."""
    grids = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in size], indexing='ij')
    centre = [n / 2 - 1.5 for n in size]
    distance = sum((g - c) ** 2 for g, c in zip(grids, centre))
    result = {'seed': seed}
    for group in (FIXED, MOVING):
        result |= {
            group.image: np.exp(-distance / 12)[None].astype(np.float32),
            group.labels: (distance < 9).astype(np.int16)[None],
            group.landmarks: np.array([centre], dtype=np.float32),
        }
    return result


def centre_of_mass(array):
    grids = np.meshgrid(*[np.arange(n) for n in array.shape[1:]], indexing='ij')
    return np.array([(g * array[0]).sum() / array[0].sum() for g in grids])


@pytest.mark.parametrize('size', [(31, 29), (21, 19, 17)])
@pytest.mark.parametrize(
    'options', [{'noise': 0.05}, {'translation': 0.1, 'rotation': 10.0, 'log_scale': 0.1, 'log_shear': 0.1}]
)
def test_image_labels_and_points_move_together(size, options):
    before = sample(size)
    after = RandomAffine(**options)(before)
    shifts = []
    for group in (FIXED, MOVING):
        point = after[group.landmarks][0]
        shifts.append(point - before[group.landmarks][0])
        np.testing.assert_allclose(centre_of_mass(after[group.image]), point, atol=0.4)
        np.testing.assert_allclose(centre_of_mass(after[group.labels]), point, atol=0.5)
        assert after[group.labels].dtype == np.int16 and after[group.image].dtype == np.float32
    assert np.abs(shifts).max() > 0.1 and not np.allclose(shifts[0], shifts[1]), 'each image by itself'


def test_a_known_map():
    one = sample((9, 9))
    move_group(one, FIXED, np.eye(2), np.array([1.0, -2.0]))
    np.testing.assert_allclose(one['fixed'][0, :-1, 2:], sample((9, 9))['fixed'][0, 1:, :-2], atol=1e-6)
    np.testing.assert_allclose(one['fixed_landmarks'], [[3.0 - 1.0, 3.0 + 2.0]])


def test_probability_and_no_deviation_change_nothing():
    for transform in (RandomAffine(prob=0.0, noise=0.5), RandomAffine()):
        after = transform(sample())
        for key, value in sample().items():
            np.testing.assert_allclose(after[key], value, atol=1e-5)


@pytest.mark.parametrize('options', [{'prob': 1.5}, {'noise': -0.1}, {'rotation': -1.0}])
def test_bad_numbers_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        RandomAffine(**options)
