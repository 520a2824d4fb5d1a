"""Similarities that need no labels, and a field judged on its whole grid."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mmreg.errors import DataError
from mmreg.evaluation.functional import similarity
from mmreg.evaluation.pair import AfterAndBefore, Measured, measure_pair


@pytest.fixture(params=[(40, 36), (30, 28, 26)])
def image(request):
    rng = np.random.default_rng(1)
    return gaussian_filter(rng.random(request.param), 2).astype(np.float32)


def test_the_same_image_in_another_scale_is_the_same(image):
    assert similarity.local_correlation(image, 900 * image - 20) > 0.97
    assert similarity.mutual_information(image, 900 * image - 20) > 0.9
    assert similarity.foreground_overlap(image, 5 * image) == 1


def test_another_image_is_not(image):
    other = np.roll(image, 12, 0)
    assert similarity.local_correlation(image, other) < 0.5
    assert similarity.mutual_information(image, other) < 0.2


def test_only_voxels_that_count(image):
    spoiled, where = image.copy(), np.ones(image.shape, bool)
    spoiled[:12] = np.random.default_rng(2).random(spoiled[:12].shape)
    where[:17] = False
    assert similarity.local_correlation(image, spoiled, where) > 0.97 > similarity.local_correlation(image, spoiled)
    assert similarity.mutual_information(image, spoiled, where) > similarity.mutual_information(image, spoiled)
    spoiled[:12] = np.nan
    assert np.isfinite(similarity.local_correlation(image, spoiled))
    assert np.isnan(similarity.local_correlation(image, spoiled, np.zeros_like(where)))


def test_windows_are_as_long_in_mm_on_thick_slices():
    assert similarity._window((1.0, 1.0, 10.0), 9, 3) == [9, 9, 1]
    assert similarity._window((2.0, 1.0, 4.0), 9, 3) == [5, 9, 3]


def test_shapes_must_agree():
    with pytest.raises(DataError, match='expected one grid'):
        similarity.mutual_information(np.zeros((3, 4)), np.zeros((4, 3)))


@pytest.mark.parametrize('size', [(9, 24, 24), (24, 24, 9), (7, 9, 8)])
def test_folds_in_the_outermost_slices_count(size):
    """A field that is folded in its first two slices only: nothing of the grid is left out."""
    field = np.zeros((3, *size), np.float32)
    field[0, 0] = 3.0  # the first slice lands behind the second
    numbers = measure_pair('case', Measured(field, (1.0, 1.0, 1.0))).summary
    # one-sided at the border (1 - 3), central beside it (1 - 1.5)
    assert numbers['folds_percent']['after'] == pytest.approx(100 * 2 / size[0])
    assert numbers['jacobian_min']['after'] == pytest.approx(-2) and numbers['sdlogj']['after'] > 1
    mask = np.zeros(size, bool)
    mask[4:] = True
    inside = measure_pair('case', Measured(field, (1.0, 1.0, 1.0), mask=mask)).summary
    assert inside['folds_percent_mask']['after'] == 0 and inside['sdlogj_mask']['after'] == 0
    assert inside['folds_percent'] == numbers['folds_percent']


def test_lengths_are_in_mm_and_similarities_before_and_after():
    rng = np.random.default_rng(3)
    target = gaussian_filter(rng.random((20, 20, 20)), 1.5)
    field = np.zeros((3, 20, 20, 20), np.float32)
    field[2] = 2.0
    images = AfterAndBefore(target, target, np.roll(target, 2, 2))
    numbers = measure_pair('case', Measured(field, (1.0, 1.0, 2.5), images=images)).summary
    assert numbers['displacement_mean_mm']['after'] == numbers['displacement_max_mm']['after'] == 5
    assert numbers['jacobian_min']['after'] == numbers['jacobian_max']['after'] == 1
    for name in ('lncc', 'nmi'):
        assert numbers[name]['after'] > numbers[name]['before'] + 0.2
