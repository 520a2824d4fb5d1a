"""Any two grids: what is written for ITK is what we return, and what we return is what the network meant."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from mmreg import RegistrationInferencer
from mmreg.errors import DataError
from mmreg.io import Geometry, Volume, read_displacement_image, read_transform
from mmreg.io.geometry import lps_flip
from tests.io.helpers import oblique, rotation, smooth_image

CASES = {
    'odd sizes': (Geometry.from_parts((17, 21, 19)), Geometry.from_parts((17, 21, 19))),
    'anisotropic and oblique': (oblique((19, 23, 15)), oblique((25, 21, 17), (1.2, 1.1, 2.0), -10.0)),
    'flipped axes': (oblique((18, 22, 14), flips=(0, 2)), oblique((22, 24, 16), (1.4, 0.9, 2.0), 0.0, flips=(1,))),
    'coarse and fine': (oblique((13, 17, 11), (2.0, 2.0, 3.0)), oblique((40, 36, 48), (0.8, 0.9, 0.7), 5.0)),
    '2-D': (oblique((31, 27), degrees=12.0), oblique((37, 35), (1.1, 1.2), -7.0, flips=(0,))),
}
WAVE = dict(amplitude=1.3, shift=(0.7, -0.4, 0.9), period=20.0)
INFERENCE = {None: None, 'working grid': dict(spacing=1.3)}


def resampled_by_itk(moving, reference, transform):
    return sitk.GetArrayFromImage(sitk.Resample(moving, reference, sitk.ReadTransform(str(transform)), sitk.sitkLinear))


def away_from_border(reference, moving_geometry, transform, margin=1.0):
    """Voxels of the fixed grid that the transform maps well inside the moving image, array order of SimpleITK."""
    points = [reference.TransformIndexToPhysicalPoint(i[::-1]) for i in np.ndindex(*reference.GetSize()[::-1])]
    flip = np.diag(lps_flip(reference.GetDimension()))[:-1]
    mapped = moving_geometry.world_to_voxel(np.array([transform.TransformPoint(p) for p in points]) * flip)
    inside = ((mapped >= margin) & (mapped <= np.array(moving_geometry.shape) - 1 - margin)).all(1)
    return inside.reshape(reference.GetSize()[::-1])


@pytest.mark.parametrize('inference', INFERENCE.values(), ids=str)
@pytest.mark.parametrize('grids', CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize('tilted', [False, True], ids=['', 'affine'])
def test_itk_makes_our_warped_image(config, tmp_path, grids, inference, tilted):
    fixed, moving = (smooth_image(grid, seed) for seed, grid in enumerate(grids))
    ndim = fixed.ndim
    affine = None
    if tilted:
        affine = np.eye(ndim + 1)
        affine[:ndim, :ndim] = rotation(ndim, 6.0) * 1.05
        affine[:ndim, ndim] = [0.8, -1.1, 0.5][:ndim]
    register = RegistrationInferencer(config(ndim, inference, **WAVE), device='cpu')
    result = register(fixed, moving, affine=affine, out_dir=tmp_path / 'out')
    warped = sitk.ReadImage(str(tmp_path / 'out' / 'warped.nii.gz'))
    by_itk = resampled_by_itk(moving.to_sitk(), warped, tmp_path / 'out' / 'transform.h5')
    inside = away_from_border(warped, moving.geometry, sitk.ReadTransform(str(tmp_path / 'out' / 'transform.h5')))
    assert inside.mean() > 0.2
    ours = sitk.GetArrayFromImage(warped)
    difference = np.abs(ours - by_itk)[inside].max() / np.ptp(moving.array)
    assert difference < 1e-3
    before = sitk.GetArrayFromImage(result.before.to_sitk())
    assert np.abs(ours - before)[inside].max() > 0.05  # the displacement is there
    written, geometry = read_displacement_image(tmp_path / 'out' / 'displacement.nii.gz')
    assert geometry.same_grid(fixed.geometry, 1e-4)
    np.testing.assert_allclose(written, result.displacement, atol=2e-3)  # files hold three decimals of a voxel


@pytest.mark.parametrize('inference', [None, dict(spacing=1.0, orientation='LPI'), dict(orientation='SAR')], ids=str)
def test_displacement_is_the_same_motion_on_the_fixed_grid(config, inference):
    """A shift of the working grid, known in mm, whatever grid the network worked on; a moved image moves back."""
    from mmreg.apis import Preparation
    from mmreg.registration.working.preparation import working_grid

    fixed = smooth_image(oblique((24, 26, 20), (1.5, 1.2, 2.0), 20.0, flips=(1,)))
    grid = working_grid(fixed.geometry, Preparation(**(inference or {})))
    shift = np.array([1.5, -1.0, 0.75])
    in_mm = grid.matrix @ shift
    affine = fixed.geometry.affine.copy()
    affine[:3, 3] += in_mm  # the same voxels, further along: warped(x) = moving(x + mm) = fixed(x)
    moving = Volume(fixed.array, Geometry(fixed.geometry.shape, affine))
    register = RegistrationInferencer(config(inference=inference, shift=tuple(shift)), device='cpu')
    result = register(fixed, moving)
    expected = np.linalg.inv(fixed.geometry.matrix) @ in_mm
    np.testing.assert_allclose(
        result.displacement, np.broadcast_to(expected[:, None, None, None], (3, 24, 26, 20)), atol=1e-4
    )
    np.testing.assert_allclose(result.warped.array, fixed.array, atol=1e-4)
    assert np.abs(result.before.array - fixed.array).max() > 0.05


def test_inverse_brings_points_back(config, tmp_path):
    fixed, moving = smooth_image(oblique((30, 28, 24))), smooth_image(oblique((34, 32, 30), (1.4, 1.0, 2.2), -10.0))
    affine = np.eye(4)
    affine[:3, :3] = rotation(3, 8.0)
    register = RegistrationInferencer(config(amplitude=1.0, period=24.0), device='cpu')
    result = register(fixed, moving, affine=affine, out_dir=tmp_path / 'out')
    forward = read_transform(tmp_path / 'out' / 'transform.h5')
    backward = read_transform(tmp_path / 'out' / 'inverse_transform.h5')
    points = fixed.geometry.voxel_to_world(np.random.default_rng(0).uniform(6, 17, (50, 3)))
    there = forward.transform_points(points)
    assert np.linalg.norm(there - points, axis=1).mean() > 0.5
    assert np.linalg.norm(backward.transform_points(there) - points, axis=1).mean() < 0.1
    assert 0 < result.inverse_residual.mean < 0.1
    assert (tmp_path / 'out' / 'affine.tfm').is_file()


def test_landmarks_follow(config):
    """Fixed points go to the moving image by the displacement, moving ones back by its inverse."""
    geometry = oblique((24, 24, 24), (1.0, 1.5, 2.0))
    image = smooth_image(geometry)
    shift = np.array([2.0, -1.0, 0.5])
    register = RegistrationInferencer(config(shift=tuple(shift)), device='cpu')
    fixed = geometry.voxel_to_world([[8.0, 9, 10], [12, 11, 10]])
    moving = geometry.voxel_to_world(np.array([[8.0, 9, 10], [12, 11, 10]]) + shift)
    result = register(image, image, fixed_landmarks=fixed, moving_landmarks=moving)
    np.testing.assert_allclose(result.landmarks_in_moving.points, moving, atol=1e-4)
    np.testing.assert_allclose(result.landmarks_in_fixed.points, fixed, atol=1e-3)
    assert result.metrics['tre']['after'] < 1e-3
    assert result.metrics['tre']['before'] == pytest.approx(np.linalg.norm(geometry.matrix @ shift))


def test_labels_are_scored_before_and_after(config):
    geometry = Geometry.from_parts((24, 24, 24), (1.0, 1.0, 2.0))
    labels = np.zeros(geometry.shape, np.int16)
    labels[8:14, 8:14, 8:14], labels[16:19, 8:14, 8:14] = 1, 7
    moved = np.roll(labels, 2, axis=0)
    register = RegistrationInferencer(config(shift=(2.0, 0.0, 0.0)), device='cpu')
    result = register(
        smooth_image(geometry), smooth_image(geometry, 1),
        fixed_labels=Volume(labels, geometry), moving_labels=Volume(moved, geometry),
    )  # fmt: skip
    dice = result.metrics['dice']['items']
    assert dice['1'] == {'after': 1.0, 'before': pytest.approx(4 / 6)}
    assert dice['7'] == {'after': 1.0, 'before': pytest.approx(1 / 3)}
    assert result.metrics['hd95']['after'] == 0 and result.metrics['hd95']['before'] == 2.0
    assert result.warped_labels.array.dtype == np.int16


def test_random_network_is_padded_and_cropped(config, tmp_path):
    """A real network on sizes it cannot take: finite, on the fixed grid, and not the identity."""
    torch.manual_seed(1)
    register = RegistrationInferencer(config(), device='cpu')
    for weights in register.model.flow_head.parameters():
        weights.data.mul_(3)
    result = register(smooth_image(oblique((17, 23, 13))), smooth_image(oblique((21, 19, 15)), 1))
    assert result.displacement.shape == (3, 17, 23, 13) and np.abs(result.displacement).max() > 0.01
    assert np.isfinite(result.warped.array).all()
    assert any('random' in warning for warning in result.warnings)


def test_array_displacement_ignores_headers(config):
    """Challenges compare arrays: the header's shift becomes part of the displacement."""
    fixed = smooth_image(Geometry.from_parts((20, 20, 20), (2.0, 2.0, 2.0)))
    moving = Volume(fixed.array, Geometry.from_parts((20, 20, 20), (2.0, 2.0, 2.0), (4.0, 0.0, -2.0)))
    result = RegistrationInferencer(config(shift=(1.0, 0.5, 0.0)), device='cpu')(fixed, moving)
    expected = np.array([1.0 - 2.0, 0.5, 1.0])
    np.testing.assert_allclose(
        result.array_displacement(), np.broadcast_to(expected[:, None, None, None], (3, 20, 20, 20)), atol=1e-5
    )
    same = RegistrationInferencer(config(shift=(1.0, 0.5, 0.0)), device='cpu')(fixed, fixed)
    assert same.array_displacement() is same.displacement


def test_warnings_in_words(config):
    fixed = smooth_image(Geometry.from_parts((20, 20, 20)))
    moving = Volume(fixed.array, Geometry.from_parts((20, 20, 20), origin=(13.0, 0, 0)))
    register = RegistrationInferencer(config(amplitude=4.0, period=8.0, shift=(0.0, 0.0, 0.0)), device='cpu')
    text = ' '.join(register(fixed, moving).warnings)
    assert 'low overlap: only 35 %' in text and 'field of view' in text and 'folds' in text


def test_no_overlap_is_refused_and_centres_help(config):
    fixed = smooth_image(Geometry.from_parts((20, 20, 20)))
    moving = Volume(fixed.array, Geometry.from_parts((20, 20, 20), origin=(300.0, 0, 0)))
    register = RegistrationInferencer(config(shift=(0.0, 0.0, 0.0)), device='cpu')
    with pytest.raises(DataError, match='nothing in common'):
        register(fixed, moving)
    result = register(fixed, moving, affine='centres')
    np.testing.assert_allclose(result.warped.array, fixed.array, atol=1e-5)
    assert result.metrics['overlap_percent'] == 100


def test_broken_model_is_told(config):
    image = smooth_image(Geometry.from_parts((20, 20, 20)))
    with pytest.raises(DataError, match='not finite'):
        RegistrationInferencer(config(broken=True), device='cpu')(image, image)


def test_same_input_same_output(config):
    fixed, moving = smooth_image(oblique()), smooth_image(oblique(), 1)
    results = []
    for _ in range(2):
        torch.manual_seed(0)
        results.append(RegistrationInferencer(config(), device='cpu')(fixed, moving))
    np.testing.assert_array_equal(results[0].displacement, results[1].displacement)
    np.testing.assert_array_equal(results[0].warped.array, results[1].warped.array)
