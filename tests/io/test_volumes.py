import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io import Geometry, Volume, read_geometry, read_image, read_labels, read_mask, read_volume, write_volume

from .helpers import oblique, smooth_image

nib = pytest.importorskip('nibabel')
ENDINGS = ['.nii', '.nii.gz', '.nrrd', '.mha']


@pytest.mark.parametrize('ending', ENDINGS)
@pytest.mark.parametrize('shape', [(18, 22, 14), (18, 22)])
def test_round_trip(tmp_path, ending, shape):
    volume = smooth_image(oblique(shape, flips=(0,)))
    path = tmp_path / f'image{ending}'
    write_volume(path, volume)
    back = read_volume(path)
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.array.dtype == np.float32 and back.array.flags.c_contiguous
    assert back.geometry.same_grid(volume.geometry, tol=1e-4)
    assert read_geometry(path) == back.geometry
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_nibabel_reads_the_same_voxels_at_the_same_place(tmp_path):
    volume = smooth_image(oblique(flips=(1,)))
    write_volume(tmp_path / 'a.nii.gz', volume)
    image = nib.load(tmp_path / 'a.nii.gz')
    np.testing.assert_array_equal(np.asarray(image.dataobj), volume.array)
    np.testing.assert_allclose(image.affine, volume.geometry.affine, atol=1e-4)
    np.testing.assert_allclose(image.header.get_zooms(), volume.geometry.spacing, rtol=1e-6)


@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.float64])
def test_we_read_what_nibabel_wrote(tmp_path, dtype):
    grid = oblique(flips=(2,))
    array = np.random.default_rng(0).integers(0, 200, grid.shape).astype(dtype)
    nib.save(nib.Nifti1Image(array, grid.affine), tmp_path / 'a.nii.gz')
    back = read_image(tmp_path / 'a.nii.gz')
    np.testing.assert_array_equal(back.array, array)
    np.testing.assert_allclose(back.geometry.affine, grid.affine, atol=1e-4)


def test_header_scaling_is_applied(tmp_path):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(0.5, -3)
    nib.save(image, tmp_path / 'a.nii')
    expected = np.asarray(nib.load(tmp_path / 'a.nii').dataobj)
    np.testing.assert_allclose(read_image(tmp_path / 'a.nii').array, expected)


def test_detached_headers_are_read(tmp_path):
    volume = smooth_image(oblique())
    for name in ('a.mhd', 'a.nhdr'):
        sitk.WriteImage(volume.to_sitk(), str(tmp_path / name))
        np.testing.assert_array_equal(read_image(tmp_path / name).array, volume.array)
        with pytest.raises(DataError, match='expected one of'):
            write_volume(tmp_path / f'new_{name}', volume)


def test_labels_and_masks(tmp_path):
    grid = oblique()
    labels = np.random.default_rng(0).integers(0, 4, grid.shape)
    write_volume(tmp_path / 'l.nii.gz', Volume(labels, grid))
    back = read_labels(tmp_path / 'l.nii.gz')
    assert back.array.dtype == np.int16
    np.testing.assert_array_equal(back.array, labels)
    mask = read_mask(tmp_path / 'l.nii.gz')
    assert mask.array.dtype == np.uint8
    np.testing.assert_array_equal(mask.array, labels != 0)
    write_volume(tmp_path / 'big.nii.gz', Volume(labels * 20000, grid))
    assert read_labels(tmp_path / 'big.nii.gz').array.dtype == np.int32
    # whole numbers kept as floats are labels, too
    write_volume(tmp_path / 'f.nii.gz', Volume(labels.astype(np.float32), grid))
    np.testing.assert_array_equal(read_labels(tmp_path / 'f.nii.gz').array, labels)


def test_booleans_and_half_are_written(tmp_path):
    grid = oblique()
    write_volume(tmp_path / 'm.nii.gz', Volume(np.indices(grid.shape).sum(0) % 2 == 0, grid))
    assert np.asarray(nib.load(tmp_path / 'm.nii.gz').dataobj).dtype == np.uint8
    write_volume(tmp_path / 'h.mha', Volume(smooth_image(grid).array.astype(np.float16), grid))
    assert read_image(tmp_path / 'h.mha').array.max() == 1


@pytest.mark.parametrize('ending', ENDINGS)
def test_channels(tmp_path, ending):
    volume = smooth_image(oblique(), channels=2)
    write_volume(tmp_path / f'c{ending}', volume)
    back = read_volume(tmp_path / f'c{ending}', channels=True)
    assert back.channels == 2 and back.channel_first().shape == (2, *volume.geometry.shape)
    np.testing.assert_array_equal(back.array, volume.array)
    with pytest.raises(DataError, match='2 channels'):
        read_volume(tmp_path / f'c{ending}')


def test_fourth_axis_as_channels(tmp_path):
    volume = smooth_image(oblique(), channels=3)
    nib.save(nib.Nifti1Image(volume.array, volume.geometry.affine), tmp_path / '4d.nii.gz')
    back = read_volume(tmp_path / '4d.nii.gz', channels=True)
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.geometry.same_grid(volume.geometry, tol=1e-4)
    # a fourth axis of length one is only a habit of some writers
    nib.save(nib.Nifti1Image(volume.array[..., :1], volume.geometry.affine), tmp_path / '1.nii.gz')
    np.testing.assert_array_equal(read_volume(tmp_path / '1.nii.gz').array, volume.array[..., 0])


def test_sitk_round_trip():
    volume = smooth_image(oblique(flips=(0, 1)))
    back = Volume.from_sitk(volume.to_sitk())
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.geometry.affine, volume.geometry.affine, atol=1e-12)


def test_shape_must_fit():
    with pytest.raises(DataError, match='expected the same spatial axes'):
        Volume(np.zeros((3, 4, 5)), Geometry.from_parts((3, 4, 6)))
    with pytest.raises(DataError, match='at most one axis of channels'):
        Volume(np.zeros((3, 4, 5, 1, 1)), Geometry.from_parts((3, 4, 5)))
