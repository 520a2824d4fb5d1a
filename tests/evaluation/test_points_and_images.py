"""Landmarks, intensities, inverse consistency, summaries."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import PSNRMetric, SSIMMetric
from scipy.ndimage import center_of_mass

from mmreg.errors import InputError
from mmreg.evaluation.functional import intensity, landmarks
from mmreg.evaluation.functional.aggregate import nan_mean, summarise
from mmreg.evaluation.functional.inverse_consistency import inverse_consistency_error
from mmreg.spatial import scaling_and_squaring
from tests.golden.fill import flow, image, labels


def test_target_errors_in_mm_and_voxels():
    warped, moving = np.array([[1.0, 2, 3], [0, 0, 0]]), np.array([[1.0, 2, 0], [3, 4, 0]])
    np.testing.assert_allclose(landmarks.target_errors(warped, moving), [3, 5])
    np.testing.assert_allclose(landmarks.target_errors(warped, moving, (2, 1, 5)), [15, np.hypot(6, 4)])
    with pytest.raises(InputError, match='shapes'):
        landmarks.target_errors(warped, moving[:1])


@pytest.mark.parametrize('order', [1, 3])
def test_points_follow_a_translation_and_a_linear_field(order):
    grid = np.stack(np.meshgrid(np.arange(12.0), np.arange(9.0), indexing='ij'))
    points = np.array([[3.25, 4.5], [8.0, 2.0]])
    np.testing.assert_allclose(landmarks.displace(points, 0 * grid + 1.5, order), points + 1.5, atol=1e-6)
    if order == 1:
        np.testing.assert_allclose(landmarks.displace(points, 0.1 * grid, order), 1.1 * points, atol=1e-9)


def test_worst_mean_takes_the_largest_errors():
    assert landmarks.worst_mean(np.array([1.0, 9, 2, 3, 4, 5, 6, 7, 8, np.nan])) == pytest.approx(8)
    assert landmarks.worst_mean(np.array([2.0])) == 2
    assert math.isnan(landmarks.worst_mean(np.array([np.nan])))


def test_centroids():
    volume = labels(3, (9, 12, 7), 4, sigma=2.0)
    found = landmarks.centroids(volume, [1, 2, 3, 8])
    np.testing.assert_allclose(found[:3], [center_of_mass(volume == k) for k in (1, 2, 3)])
    assert np.isnan(found[3]).all()


@pytest.mark.parametrize('shape', [(20, 17), (12, 14, 11)])
def test_image_measures_agree_with_monai(shape):
    a, b = torch.from_numpy(image(1, shape))[None], torch.from_numpy(image(2, shape))[None]
    assert intensity.mean_squared_error(a, b) == pytest.approx(float(((a - b) ** 2).mean()), rel=1e-5)
    expected = PSNRMetric(max_val=1.0)(a[None], b[None])
    assert intensity.psnr(a, b, 1.0) == pytest.approx(float(expected), rel=1e-5)
    metric = SSIMMetric(spatial_dims=len(shape), kernel_type='uniform', win_size=7)
    # MONAI uses the biased covariance; with few samples per window the two differ by less than a per cent.
    assert intensity.ssim(a, b, 1.0) == pytest.approx(float(metric(a[None], b[None])), abs=0.01)
    assert intensity.ssim(a, a, 1.0) == pytest.approx(1)
    assert intensity.psnr(a, a, 1.0) == math.inf


def test_masked_error_counts_inside_only():
    a, b = torch.zeros(1, 4, 4), torch.ones(1, 4, 4)
    b[:, 2:] = 3
    mask = torch.zeros(1, 4, 4)
    mask[:, :2] = 1
    assert intensity.mean_squared_error(a, b, mask) == 1
    assert math.isnan(intensity.mean_squared_error(a, b, 0 * mask))


def test_inverse_consistency():
    shift = torch.tensor([2.0, -1.0]).view(2, 1, 1).expand(2, 9, 8)
    assert float(inverse_consistency_error(shift, -shift).max()) == 0
    errors = inverse_consistency_error(shift, 0 * shift, spacing=(1.0, 3.0))
    np.testing.assert_allclose(errors, np.hypot(2, 3), rtol=1e-6)
    velocity = torch.from_numpy(flow(1, (20, 22), 2.0))[None]
    forward, backward = scaling_and_squaring(velocity)[0], scaling_and_squaring(-velocity)[0]
    assert float(inverse_consistency_error(forward, backward, margin=4).mean()) < 0.02
    assert inverse_consistency_error(forward, backward, margin=4).shape == (12, 14)


def test_summary_leaves_out_and_counts_nan():
    found = summarise([1.0, math.nan, 3.0])
    assert (found.mean, found.sd, found.median, found.measured, found.missing) == (2, 1, 2, 2, 1)
    assert found.quantile30 == pytest.approx(1.6)
    assert math.isnan(nan_mean([])) and math.isnan(nan_mean([math.nan]))
