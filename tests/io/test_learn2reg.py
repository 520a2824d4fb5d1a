import numpy as np
import pytest
from scipy.ndimage import zoom

from mmreg.errors import DataError
from mmreg.io import (
    lumir_name,
    oasis_name,
    read_learn2reg_nifti,
    read_learn2reg_npz,
    write_displacement_image,
    write_learn2reg_nifti,
    write_learn2reg_npz,
)

from .helpers import oblique, smooth_displacement

nib = pytest.importorskip('nibabel')


@pytest.mark.parametrize('shape', [(18, 22, 14), (18, 22)])
def test_nifti_as_the_evaluation_reads_it(tmp_path, shape):
    displacement = smooth_displacement(oblique(shape))
    path = tmp_path / lumir_name(3455, 3454)
    write_learn2reg_nifti(path, displacement)
    image = nib.load(path)
    assert image.shape == (*shape, len(shape)) and image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(image.affine, np.eye(4))
    assert image.header.get_zooms() == (1.0,) * (len(shape) + 1)
    np.testing.assert_array_equal(np.moveaxis(np.asarray(image.dataobj), -1, 0), displacement)
    np.testing.assert_array_equal(read_learn2reg_nifti(path, shape), displacement)


def test_nifti_of_others(tmp_path):
    displacement = smooth_displacement(oblique())
    nib.save(nib.Nifti1Image(np.moveaxis(displacement, 0, -1).astype(np.float64), np.eye(4)), tmp_path / 'a.nii.gz')
    back = read_learn2reg_nifti(tmp_path / 'a.nii.gz')
    np.testing.assert_array_equal(back, displacement)
    assert back.dtype == np.float32


@pytest.mark.parametrize('shape', [(16, 24, 12), (17, 23, 14), (20, 26)])
def test_npz_is_half_the_size_with_full_values(tmp_path, shape):
    displacement = smooth_displacement(oblique(shape), size=4.0)
    path = tmp_path / 'task_03' / oasis_name(438, 439)
    write_learn2reg_npz(path, displacement)
    with np.load(path) as archive:
        assert archive.files == ['arr_0']
        stored = archive['arr_0']
    assert stored.dtype == np.float16
    expected = np.stack([zoom(c, 0.5, order=2) for c in displacement])
    assert stored.shape == expected.shape
    np.testing.assert_allclose(stored, expected, atol=2e-3)
    back = read_learn2reg_npz(path, shape)
    assert back.shape == displacement.shape and back.dtype == np.float32
    assert np.abs(back - displacement).mean() < 0.05 * np.abs(displacement).mean()


def test_npz_constant_field_comes_back(tmp_path):
    field = np.broadcast_to(np.array([1.5, -2.0, 3.25])[:, None, None, None], (3, 8, 10, 12)).astype(np.float32)
    write_learn2reg_npz(tmp_path / 'a.npz', field)
    np.testing.assert_allclose(read_learn2reg_npz(tmp_path / 'a.npz'), field, atol=1e-3)


@pytest.mark.parametrize('shape', [(20, 26, 30), (40, 48, 24), (17, 23, 14)])
def test_npz_has_no_empty_planes(tmp_path, shape):
    """scipy's default zoom leaves planes of zeros for some sizes."""
    write_learn2reg_npz(tmp_path / 'a.npz', np.full((3, *shape), 2.0, np.float32))
    with np.load(tmp_path / 'a.npz') as archive:
        np.testing.assert_allclose(archive['arr_0'], 2.0, atol=1e-3)
    np.testing.assert_allclose(read_learn2reg_npz(tmp_path / 'a.npz', shape), 2.0, atol=1e-3)


def test_names():
    assert lumir_name('3455', '3454') == 'disp_3455_3454.nii.gz'
    assert oasis_name(1, 2) == 'disp_0001_0002.npz'


def test_wrong_files(tmp_path):
    grid = oblique()
    displacement = smooth_displacement(grid)
    write_learn2reg_nifti(tmp_path / 'a.nii.gz', displacement)
    with pytest.raises(DataError, match=r'a.nii.gz: found a displacement of grid \(18, 22, 14\), expected \(9, 9, 9\)'):
        read_learn2reg_nifti(tmp_path / 'a.nii.gz', (9, 9, 9))
    nib.save(nib.Nifti1Image(displacement, np.eye(4)), tmp_path / 'first.nii.gz')  # component first
    with pytest.raises(DataError, match='one component per axis'):
        read_learn2reg_nifti(tmp_path / 'first.nii.gz')
    np.savez(tmp_path / 'other.npz', field=displacement)
    with pytest.raises(DataError, match="expected 'arr_0' among them"):
        read_learn2reg_npz(tmp_path / 'other.npz')
    np.savez(tmp_path / 'last.npz', np.moveaxis(displacement, 0, -1))
    with pytest.raises(DataError, match=r'expected floating point \(ndim'):
        read_learn2reg_npz(tmp_path / 'last.npz')
    np.savez(tmp_path / 'full.npz', displacement)
    with pytest.raises(DataError, match='expected half of'):
        read_learn2reg_npz(tmp_path / 'full.npz', grid.shape)
    with pytest.raises(DataError, match='expected less than 65504'):
        write_learn2reg_npz(tmp_path / 'big.npz', displacement * 1e6)
    with pytest.raises(DataError, match="ending '.nii'"):
        write_learn2reg_npz(tmp_path / 'a.nii', displacement)
    assert not (tmp_path / 'big.npz').exists() and not (tmp_path / 'a.nii').exists()


def test_itk_field_is_not_mistaken_for_voxels(tmp_path):
    """An ITK displacement image has a geometry and millimetres; the Learn2Reg reader must not swallow it."""
    grid = oblique()
    write_displacement_image(tmp_path / 'u.nii.gz', smooth_displacement(grid), grid)
    with pytest.raises(DataError, match='millimetres'):
        read_learn2reg_nifti(tmp_path / 'u.nii.gz')
