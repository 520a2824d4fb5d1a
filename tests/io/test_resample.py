import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from mmreg.errors import ConfigError, DataError
from mmreg.io import (
    Geometry,
    Volume,
    read_volume,
    resample_to,
    warp_to_fixed,
    write_displacement_image,
    write_inverse_itk_transform,
    write_itk_transform,
    write_volume,
)
from mmreg.spatial import warp

from .helpers import grid_points, oblique, rotation, smooth_displacement, smooth_image

# What a user of ITK types; it knows nothing of mmreg.
PEER = """
import sys
import SimpleITK as sitk
image, grid, transform, out = sys.argv[1:]
image, grid = sitk.ReadImage(image), sitk.ReadImage(grid)
if transform.endswith(('.h5', '.tfm')):
    transform = sitk.ReadTransform(transform)
else:
    transform = sitk.DisplacementFieldTransform(sitk.ReadImage(transform, sitk.sitkVectorFloat64))
sitk.WriteImage(sitk.Resample(image, grid, transform), out)
assert not any(name.startswith('mmreg') for name in sys.modules)
"""


def by_simpleitk_alone(tmp_path, volume, grid, transform):
    """Apply a transform file in another process, by SimpleITK only."""
    out = tmp_path / 'peer.mha'
    write_volume(tmp_path / 'image.nii.gz', volume)
    write_volume(tmp_path / 'grid.nii.gz', Volume(np.zeros(grid.shape, np.uint8), grid))
    names = [str(p) for p in (tmp_path / 'image.nii.gz', tmp_path / 'grid.nii.gz', transform, out)]
    subprocess.run([sys.executable, '-c', PEER, *names], check=True, cwd=tmp_path)
    return read_volume(out).array


def by_hand(moving, displacement, fixed, affine):
    """The same by numpy and scipy alone: (warped, inside), inside = all eight neighbours are voxels of moving."""
    ndim = fixed.ndim
    voxels = grid_points(fixed.shape) + displacement.reshape(ndim, -1).T
    world = voxels @ fixed.affine[:ndim, :ndim].T + fixed.affine[:ndim, ndim]
    world = world @ affine[:ndim, :ndim].T + affine[:ndim, ndim]
    back = np.linalg.inv(moving.geometry.affine)
    index = (world @ back[:ndim, :ndim].T + back[:ndim, ndim]).T
    inside = np.all([(i >= 0) & (i <= n - 1) for i, n in zip(index, moving.geometry.shape)], axis=0)
    return map_coordinates(moving.array, index, order=1).reshape(fixed.shape), inside.reshape(fixed.shape)


def pair(ndim=3):
    """Fixed and moving on different anisotropic oblique grids, a displacement and a world affine."""
    fixed = oblique((18, 22, 14)[:ndim], (1.5, 0.8, 2.5), 20.0, flips=(0,))
    moving = smooth_image(oblique((24, 16, 20)[:ndim], (1.0, 1.7, 2.0), -35.0, (1.0, -3.0, 13.0), flips=(1,)))
    affine = np.eye(ndim + 1)
    affine[:ndim, :ndim] = rotation(ndim, 8.0) * 1.03
    affine[:ndim, ndim] = (1.5, -2.0, 0.7)[:ndim]
    return fixed, moving, smooth_displacement(fixed), affine


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('with_affine', [True, False])
@pytest.mark.parametrize('ending', ['.h5', '.tfm'])
def test_transform_file_gives_our_warped_image(tmp_path, ndim, with_affine, ending):
    fixed, moving, displacement, affine = pair(ndim)
    matrix = affine if with_affine else None
    ours = warp_to_fixed(moving, displacement, fixed, matrix)
    expected, inside = by_hand(moving, displacement, fixed, affine if with_affine else np.eye(ndim + 1))
    assert inside.mean() > 0.4 and np.ptp(ours.array[inside]) > 0.5
    assert np.abs(ours.array - expected)[inside].max() < 1e-5

    write_itk_transform(tmp_path / f't{ending}', displacement, fixed, matrix)
    theirs = by_simpleitk_alone(tmp_path, moving, fixed, tmp_path / f't{ending}')
    assert np.abs(theirs - ours.array)[inside].max() < 1e-3 * np.ptp(moving.array)
    # and it matters: without the displacement the image differs
    assert np.abs(theirs - warp_to_fixed(moving, 0 * displacement, fixed, matrix).array)[inside].max() > 0.05


@pytest.mark.parametrize('ending', ['.nii.gz', '.mha', '.nrrd'])
@pytest.mark.parametrize('ndim', [2, 3])
def test_displacement_image_gives_our_warped_image(tmp_path, ending, ndim):
    fixed, moving, displacement, _ = pair(ndim)
    write_displacement_image(tmp_path / f'u{ending}', displacement, fixed)
    theirs = by_simpleitk_alone(tmp_path, moving, fixed, tmp_path / f'u{ending}')
    expected, inside = by_hand(moving, displacement, fixed, np.eye(ndim + 1))
    assert np.abs(theirs - expected)[inside].max() < 1e-3 * np.ptp(moving.array)


def test_inverse_transform_file_brings_the_fixed_image_to_the_moving_grid(tmp_path):
    fixed, moving, _, affine = pair()
    # A shift by whole voxels inverts exactly.
    shift = np.broadcast_to(np.array([1.0, -2.0, 1.0])[:, None, None, None], (3, *fixed.shape)).astype(np.float32)
    image = smooth_image(fixed, seed=5)
    write_inverse_itk_transform(tmp_path / 'back.h5', -shift, fixed, affine)
    theirs = by_simpleitk_alone(tmp_path, image, moving.geometry, tmp_path / 'back.h5')

    world = moving.geometry.voxel_to_world(grid_points(moving.geometry.shape))
    back = np.linalg.inv(affine)
    index = fixed.world_to_voxel(world @ back[:3, :3].T + back[:3, 3]) - [1.0, -2.0, 1.0]
    inside = np.all((index >= 2) & (index <= np.array(fixed.shape) - 3), axis=1).reshape(moving.geometry.shape)
    expected = map_coordinates(image.array, index.T, order=1).reshape(moving.geometry.shape)
    assert inside.mean() > 0.15
    assert np.abs(theirs - expected)[inside].max() < 1e-3


@pytest.mark.parametrize('ndim', [2, 3])
def test_agrees_with_the_warp_of_the_networks(ndim):
    fixed, _, displacement, _ = pair(ndim)
    image = smooth_image(fixed)
    ours = warp_to_fixed(image, displacement, fixed).array
    tensor = warp(torch.from_numpy(image.array)[None, None], torch.from_numpy(displacement)[None])[0, 0].numpy()
    _, inside = by_hand(image, displacement, fixed, np.eye(ndim + 1))
    assert np.abs(ours - tensor)[inside].max() < 1e-5


def test_known_translation_moves_content_against_it():
    """A pull-back displacement of +3 voxels along i brings what was at 13 to 10."""
    grid = oblique((20, 12, 12))
    array = np.zeros(grid.shape, np.float32)
    array[13, 5, 6] = 1
    displacement = np.zeros((3, *grid.shape), np.float32)
    displacement[0] = 3
    warped = warp_to_fixed(Volume(array, grid), displacement, grid).array
    assert np.unravel_index(warped.argmax(), warped.shape) == (10, 5, 6) and warped.max() > 0.999


def test_labels_keep_their_numbers():
    fixed, moving, displacement, affine = pair()
    labels = Volume((moving.array * 3.99).astype(np.int16) * 7, moving.geometry)
    for mode in ('nearest', 'label'):
        out = warp_to_fixed(labels, displacement, fixed, affine, mode)
        assert out.array.dtype == np.int16 and set(np.unique(out.array)) <= {0, 7, 14, 21}
        assert len(np.unique(out.array)) > 2
    with pytest.raises(ConfigError, match="mode 'linear' was given for int16"):
        warp_to_fixed(labels, displacement, fixed, affine)
    with pytest.raises(ConfigError, match="mode 'label' was given for float32"):
        warp_to_fixed(moving, displacement, fixed, affine, 'label')
    with pytest.raises(ConfigError, match='expected one of'):
        warp_to_fixed(moving, displacement, fixed, affine, 'cubic')


def test_channels_are_warped_alike():
    fixed, moving, displacement, affine = pair()
    both = Volume(np.stack([moving.array, 1 - moving.array], -1), moving.geometry)
    out = warp_to_fixed(both, displacement, fixed, affine)
    one = warp_to_fixed(moving, displacement, fixed, affine)
    np.testing.assert_allclose(out.array[..., 0], one.array, atol=1e-6)


def test_spline_is_more_exact_than_linear():
    coarse = Geometry.from_parts((24, 24), (1.0, 1.0))
    x, y = np.indices(coarse.shape)
    image = Volume((np.sin(x / 2) * np.cos(y / 2)).astype(np.float32), coarse)
    fine = coarse.resampled(0.5)
    points = coarse.world_to_voxel(fine.voxel_to_world(grid_points(fine.shape))).reshape(*fine.shape, 2)
    truth = np.sin(points[..., 0] / 2) * np.cos(points[..., 1] / 2)
    centre = (slice(12, 36),) * 2
    error = {m: np.abs(resample_to(image, fine, m).array - truth)[centre].max() for m in ('linear', 'spline')}
    assert error['spline'] < 0.05 * error['linear'] and error['linear'] < 0.05


def test_fill_outside():
    grid = Geometry.from_parts((8, 8))
    image = Volume(np.ones(grid.shape, np.float32), grid)
    out = resample_to(image, grid.padded((3, 3), (3, 3)), fill=-5.0)
    assert out.array[0, 0] == -5 and out.array[5, 5] == 1


def test_dimensions_must_agree():
    with pytest.raises(DataError, match='same dimension'):
        resample_to(smooth_image(oblique()), oblique((5, 6)))
    with pytest.raises(DataError, match='component first'):
        warp_to_fixed(smooth_image(oblique()), np.zeros((*oblique().shape, 3), np.float32), oblique())
