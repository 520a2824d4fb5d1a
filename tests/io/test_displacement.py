import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io import lps_to_voxels, read_displacement_image, voxels_to_lps, write_displacement_image, write_volume

from .helpers import oblique, smooth_displacement, smooth_image

nib = pytest.importorskip('nibabel')


@pytest.mark.parametrize('ending', ['.nii.gz', '.nii', '.mha', '.nrrd'])
@pytest.mark.parametrize('shape', [(18, 22, 14), (18, 22)])
def test_round_trip(tmp_path, ending, shape):
    grid = oblique(shape, flips=(1,))
    displacement = smooth_displacement(grid)
    path = tmp_path / f'u{ending}'
    write_displacement_image(path, displacement, grid)
    back, geometry = read_displacement_image(path)
    assert back.dtype == np.float32 and geometry.same_grid(grid, tol=1e-4)
    np.testing.assert_allclose(back, displacement, atol=1e-5)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_vectors_are_lps_millimetres():
    grid = oblique(flips=(0,))
    displacement = np.zeros((3, *grid.shape))
    displacement[1] = 2.0  # two voxels along the second array axis
    vectors = voxels_to_lps(displacement, grid)
    step = np.asarray(grid.affine)[:3, 1] * 2 * [-1, -1, 1]
    np.testing.assert_allclose(vectors, np.broadcast_to(step, (*grid.shape, 3)))
    np.testing.assert_allclose(lps_to_voxels(vectors, grid), displacement, atol=1e-12)


def test_nibabel_sees_five_axes_intent_vector_and_the_same_numbers(tmp_path):
    grid = oblique(flips=(2,))
    displacement = smooth_displacement(grid)
    write_displacement_image(tmp_path / 'u.nii.gz', displacement, grid)
    image = nib.load(tmp_path / 'u.nii.gz')
    assert image.shape == (*grid.shape, 1, 3) and image.get_data_dtype() == np.float32
    assert int(image.header['intent_code']) == 1007
    np.testing.assert_allclose(image.affine, grid.affine, atol=1e-4)
    expected = voxels_to_lps(displacement, grid)
    np.testing.assert_allclose(np.asarray(image.dataobj)[:, :, :, 0], expected, atol=1e-5)
    np.testing.assert_allclose(read_displacement_image(tmp_path / 'u.nii.gz')[0], displacement, atol=1e-5)


def test_simpleitk_sees_the_displacement_of_a_voxel(tmp_path):
    grid = oblique(flips=(0,))
    displacement = smooth_displacement(grid)
    write_displacement_image(tmp_path / 'u.mha', displacement, grid)
    image = sitk.ReadImage(str(tmp_path / 'u.mha'))
    index = (4, 9, 3)
    here = np.array(image.TransformIndexToPhysicalPoint(index))
    there = np.array(image.TransformContinuousIndexToPhysicalPoint((index + displacement[:, 4, 9, 3]).tolist()))
    np.testing.assert_allclose(image.GetPixel(*index), there - here, atol=1e-5)


@pytest.mark.parametrize(('intent', 'flip'), [(1007, (1, 1, 1)), (1006, (-1, -1, 1))])
def test_fields_of_others(tmp_path, intent, flip):
    """ANTs stores LPS under intent 1007; under intent 1006 the NIfTI convention, RAS, holds."""
    grid = oblique(flips=(1,))
    displacement = smooth_displacement(grid)
    stored = (voxels_to_lps(displacement, grid) * flip).astype(np.float32)[:, :, :, None]
    image = nib.Nifti1Image(stored, grid.affine)
    image.header.set_intent(intent)
    nib.save(image, tmp_path / 'u.nii.gz')
    back, geometry = read_displacement_image(tmp_path / 'u.nii.gz')
    np.testing.assert_allclose(back, displacement, atol=1e-5)
    assert geometry.same_grid(grid, tol=1e-4)


def test_not_a_displacement(tmp_path):
    write_volume(tmp_path / 'image.nii.gz', smooth_image(oblique()))
    write_volume(tmp_path / 'two.nii.gz', smooth_image(oblique(), channels=2))
    for name, count in (('image', 1), ('two', 2)):
        with pytest.raises(DataError, match=f'{name}.nii.gz: found a 3-D image with {count} components'):
            read_displacement_image(tmp_path / f'{name}.nii.gz')
    grid = oblique()
    with pytest.raises(DataError, match='expected floating point'):
        write_displacement_image(tmp_path / 'u.nii.gz', np.zeros((3, *grid.shape), int), grid)
    bad = smooth_displacement(grid)
    bad[0, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match='NaN'):
        write_displacement_image(tmp_path / 'u.nii.gz', bad, grid)
    assert not (tmp_path / 'u.nii.gz').exists()
