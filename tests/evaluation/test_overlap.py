"""Dice by joint histogram against the definition."""

import numpy as np
import pytest
import torch

from mmreg.errors import DataError
from mmreg.evaluation.functional.overlap import dice, joint_histogram, overlap
from tests.golden.fill import labels as golden_labels


def _by_definition(a, b, label):
    total = (a == label).sum() + (b == label).sum()
    return 2 * ((a == label) & (b == label)).sum() / total if total else np.nan


@pytest.mark.parametrize('shape', [(40,), (20, 30), (12, 14, 10)])
@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.uint16, np.int32, np.int64])
def test_dice_is_the_definition(shape, dtype):
    a, b = (golden_labels(seed, shape, 7, sigma=2.0).astype(dtype) for seed in (1, 2))
    expected = [_by_definition(a, b, label) for label in range(1, 7)]
    np.testing.assert_allclose(dice(a, b, range(1, 7)), expected, rtol=1e-12)


def test_torch_and_numpy_agree_and_views_are_allowed():
    a, b = (golden_labels(seed, (12, 14, 10), 5, sigma=2.0) for seed in (3, 4))
    from_torch = dice(torch.from_numpy(a).permute(2, 0, 1), torch.from_numpy(b).permute(2, 0, 1))
    np.testing.assert_array_equal(from_torch, dice(a, b))


def test_default_labels_leave_out_background_and_absent():
    a, b = np.array([0, 0, 3, 9]), np.array([0, 3, 3, 0])
    counts = overlap(a, b)
    assert counts.labels.tolist() == [3, 9]
    assert counts.both.tolist() == [1, 0]
    assert counts.first.tolist() == [1, 1]
    assert counts.second.tolist() == [2, 0]


def test_absent_labels():
    a = np.array([0, 1, 1])
    np.testing.assert_array_equal(dice(a, a, [1, 2, 5000]), [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(dice(a, a, [1, 2], absent=0.0), [1.0, 0.0])
    np.testing.assert_array_equal(dice(a, 0 * a, [1]), [0.0])
    np.testing.assert_array_equal(dice(a[:0], a[:0], [1]), [np.nan])


def test_epsilon_is_added_to_the_denominator():
    a = np.array([1, 1, 0])
    assert dice(a, a, [1], epsilon=1.0)[0] == pytest.approx(4 / 5)


def test_large_label_values_are_renumbered():
    small = golden_labels(5, (10, 12, 8), 4, sigma=2.0)
    other = golden_labels(6, (10, 12, 8), 4, sigma=2.0)
    large = np.array([0, 17, 2035, 5001])
    np.testing.assert_array_equal(dice(large[small], large[other], [17, 2035, 5001]), dice(small, other, [1, 2, 3]))
    values, counts = joint_histogram(large[small], large[other])
    assert values.tolist() == large.tolist() and counts.sum() == small.size


def test_bad_label_maps_are_refused():
    a = np.zeros((3, 4), np.int64)
    with pytest.raises(DataError, match=r'shapes \(3, 4\) and \(4, 3\)'):
        dice(a, a.T)
    with pytest.raises(DataError, match='float'):
        dice(a.astype(np.float32), a)
    with pytest.raises(DataError, match='-1'):
        dice(a - 1, a)
