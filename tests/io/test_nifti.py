"""NIfTI headers are read as the field reads them: positions, orientation, units, types, colours, time."""

import gzip
import warnings

import numpy as np
import pytest

from mmreg.errors import DataError, DataWarning
from mmreg.io import read_geometry, read_image_header, read_labels, read_volume, write_volume
from mmreg.io.volumes import read_sitk, write_sitk

from .helpers import oblique, smooth_image

nib = pytest.importorskip('nibabel')

SHAPE = (20, 24, 18)
ARRAY = np.random.default_rng(0).random(SHAPE).astype(np.float32)
AFFINE = np.array([[-2.0, 0, 0, 19], [0, 2, 0, -23], [0, 0, 2, -17], [0, 0, 0, 1]])


def moved(shift=0.0, shear=0.0):
    affine = AFFINE.copy()
    affine[1, 3] += shift
    affine[0, 1] += 2 * shear
    return affine


def save(path, qform, sform, kind=nib.Nifti1Image, array=ARRAY):
    image = kind(array, AFFINE)
    image.set_qform(qform, 0 if qform is None else 1)
    image.set_sform(sform, 0 if sform is None else 2)
    nib.save(image, path)
    return path


def quietly(path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        return read_volume(path, **options)


@pytest.mark.parametrize('kind', [nib.Nifti1Image, nib.Nifti2Image])
def test_sform_before_qform_and_both_are_named(tmp_path, kind):
    path = save(tmp_path / 'q1s2.nii.gz', AFFINE, moved(30), kind)
    with pytest.warns(DataWarning, match=r'sform and qform .* up to 30 mm apart; the sform was used') as told:
        found = read_volume(path)
    assert len(told) == 1 and str(told[0].message).startswith(f'{path}: ')
    np.testing.assert_allclose(found.geometry.affine, nib.load(path).affine)
    np.testing.assert_array_equal(found.array, ARRAY)
    np.testing.assert_allclose(quietly(path, position='qform').geometry.affine, AFFINE)
    np.testing.assert_allclose(quietly(path, position='sform').geometry.affine, moved(30))
    assert read_geometry(path, position='qform') == read_volume(path, position='qform').geometry


def test_small_differences_are_not_told(tmp_path):
    path = save(tmp_path / 'a.nii', AFFINE, moved(0.9))
    assert quietly(path).geometry.origin[1] == pytest.approx(-22.1)
    # below a hundredth of a voxel the qform counts, whose axes are perpendicular to the last bit
    assert quietly(save(tmp_path / 'b.nii', AFFINE, moved(0.01))).geometry.origin[1] == -23


def test_shears(tmp_path):
    words = 'the sform of the header has axes that are not orthogonal'
    with pytest.raises(DataError, match=words) as caught:
        quietly(save(tmp_path / 'sheared.nii', AFFINE, moved(shear=0.1)))
    assert '--position qform' in str(caught.value)
    assert quietly(tmp_path / 'sheared.nii', position='qform').geometry.origin[0] == 19
    with pytest.raises(DataError, match='sheared'):
        read_volume(save(tmp_path / 'only.nii', None, moved(shear=0.1)))
    tiny = quietly(save(tmp_path / 'tiny.nii', None, moved(shear=0.0005)))
    write_volume(tmp_path / 'again.nii.gz', tiny)
    assert read_volume(tmp_path / 'again.nii.gz').geometry.same_grid(tiny.geometry)


def test_a_position_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r'found no qform .*expected one \(sform is set\)'):
        read_volume(save(tmp_path / 'a.nii', None, AFFINE), position='qform')


@pytest.mark.parametrize('kind', [nib.Nifti1Image, nib.Nifti2Image, nib.Nifti1Pair, nib.AnalyzeImage])
def test_no_orientation_is_told_and_read_as_others_do(tmp_path, kind):
    path = tmp_path / ('a.hdr' if kind in (nib.Nifti1Pair, nib.AnalyzeImage) else 'a.nii')
    image = kind(ARRAY, np.diag([-1.5, 2, 3, 1]))
    if kind is not nib.AnalyzeImage:
        image.set_qform(None, 0)
        image.set_sform(None, 0)
    nib.save(image, path)
    for use in (read_volume, lambda p: read_volume(p, check=False)):
        with pytest.warns(DataWarning, match='no orientation'):
            found = use(path)
    np.testing.assert_allclose(found.geometry.affine, nib.load(path).affine)
    np.testing.assert_array_equal(found.array, ARRAY)
    with pytest.warns(DataWarning, match='no orientation'):
        assert read_geometry(path) == found.geometry


def test_packed_or_not_is_told_by_the_bytes(tmp_path):
    save(tmp_path / 'a.nii.gz', AFFINE, AFFINE)
    (tmp_path / 'packed.nii').write_bytes((tmp_path / 'a.nii.gz').read_bytes())
    (tmp_path / 'plain.nii.gz').write_bytes(gzip.decompress((tmp_path / 'a.nii.gz').read_bytes()))
    for name in ('packed.nii', 'plain.nii.gz'):
        np.testing.assert_array_equal(quietly(tmp_path / name).array, ARRAY)


@pytest.mark.parametrize('kind', [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize('dtype', ['u1', 'i1', 'i2', 'u2', 'i4', 'u4', 'i8', 'f4', 'f8', '>i2', '>f4'])
def test_types(tmp_path, kind, dtype):
    array = np.random.default_rng(1).integers(0, 100, SHAPE).astype(dtype)
    header = kind.header_class(endianness='>' if dtype.startswith('>') else '<')
    header.set_data_dtype(array.dtype)
    nib.save(kind(array, AFFINE, header), tmp_path / 'a.nii.gz')
    np.testing.assert_array_equal(quietly(tmp_path / 'a.nii.gz').array, array)
    assert read_image_header(tmp_path / 'a.nii.gz').dtype == np.dtype(dtype).newbyteorder('=')


def test_slope_and_intercept(tmp_path):
    image = nib.Nifti1Image(np.arange(120, dtype='i2').reshape(4, 5, 6), AFFINE)
    image.header.set_slope_inter(0.25, -3)
    nib.save(image, tmp_path / 'a.nii')
    np.testing.assert_allclose(quietly(tmp_path / 'a.nii').array, nib.load(tmp_path / 'a.nii').get_fdata(), atol=1e-6)


def test_microns(tmp_path):
    image = nib.Nifti1Image(ARRAY, np.diag([1000.0, 2000, 3000, 1]))
    image.header.set_xyzt_units('micron')
    nib.save(image, tmp_path / 'a.nii')
    assert quietly(tmp_path / 'a.nii').geometry.spacing == pytest.approx((1, 2, 3))


@pytest.mark.parametrize('shape', [(20, 24, 1), (1, 24, 18), (20, 24), (20, 24, 18, 1)])
def test_flat_images_keep_their_axes(tmp_path, shape):
    nib.save(nib.Nifti1Image(np.random.default_rng(0).random(shape).astype('f4'), AFFINE), tmp_path / 'a.nii')
    assert read_volume(tmp_path / 'a.nii').geometry.shape == shape[:3]


def test_the_code_of_the_world_is_kept(tmp_path):
    image = nib.Nifti1Image(ARRAY, AFFINE)
    image.set_sform(AFFINE, 4)
    image.set_qform(AFFINE, 4)
    nib.save(image, tmp_path / 'mni.nii.gz')
    found = read_volume(tmp_path / 'mni.nii.gz')
    assert found.geometry.space == 4 and found.geometry.reoriented('LPS').space == 4
    write_volume(tmp_path / 'again.nii.gz', found)
    header = nib.load(tmp_path / 'again.nii.gz').header
    assert header['sform_code'] == header['qform_code'] == 4 and header.get_xyzt_units()[0] == 'mm'
    np.testing.assert_allclose(header.get_sform(), AFFINE)
    np.testing.assert_array_equal(read_volume(tmp_path / 'again.nii.gz').array, ARRAY)


@pytest.mark.parametrize('unit', ['sec', 'msec', 'usec'])
def test_repetition_time(tmp_path, unit):
    image = nib.Nifti1Image(np.random.default_rng(0).random((*SHAPE, 3)).astype('f4'), AFFINE)
    image.header.set_xyzt_units('mm', unit)
    image.header['pixdim'][4] = 2.5
    nib.save(image, tmp_path / 'a.nii.gz')
    write_sitk(tmp_path / 'b.nii.gz', read_sitk(tmp_path / 'a.nii.gz'))
    again = nib.load(tmp_path / 'b.nii.gz')
    assert again.header['pixdim'][4] == 2.5 and again.header.get_xyzt_units() == ('mm', unit)
    np.testing.assert_array_equal(again.get_fdata(), image.get_fdata())
    np.testing.assert_allclose(again.affine, AFFINE)


def test_one_volume_of_a_series(tmp_path):
    array = np.random.default_rng(0).random((*SHAPE, 3)).astype('f4')
    nib.save(nib.Nifti1Image(array, AFFINE), tmp_path / 'a.nii.gz')
    with pytest.raises(DataError, match=r'4-D image .*--frame N, from 1 to 3'):
        read_volume(tmp_path / 'a.nii.gz')
    np.testing.assert_array_equal(read_volume(tmp_path / 'a.nii.gz', frame=3).array, array[..., 2])
    with pytest.raises(DataError, match='found 3 frames, expected a number from 1 to 3 instead of 4'):
        read_volume(tmp_path / 'a.nii.gz', frame=4)
    with pytest.raises(DataError, match='4-D'):
        read_geometry(tmp_path / 'a.nii.gz')
    assert read_geometry(tmp_path / 'a.nii.gz', frames=True).shape == SHAPE


def test_not_a_number_stays_one_for_those_who_ask(tmp_path):
    array = ARRAY.copy()
    array[0] = np.nan
    save(tmp_path / 'a.nii', AFFINE, AFFINE, array=array)
    from mmreg.io import Volume

    assert np.isnan(Volume.from_sitk(read_sitk(tmp_path / 'a.nii')).array[0]).all()


@pytest.mark.parametrize(('name', 'dtype'), [('a.mgz', 'f4'), ('a.mgh', 'i4'), ('b.mgz', 'u1'), ('c.mgz', 'i2')])
def test_freesurfer(tmp_path, name, dtype):
    array = (100 * ARRAY).astype(dtype)
    grid = oblique(SHAPE)
    nib.save(nib.MGHImage(array, grid.affine), tmp_path / name)
    found = quietly(tmp_path / name)
    np.testing.assert_array_equal(found.array, array)
    assert found.geometry.same_grid(grid, tol=1e-3) and read_geometry(tmp_path / name) == found.geometry
    if dtype != 'f4':
        assert read_labels(tmp_path / name).array.dtype.kind == 'i'


def test_colours(tmp_path):
    array = np.random.default_rng(0).integers(0, 255, (*SHAPE, 3)).astype('u1')
    structured = array.view([(c, 'u1') for c in 'RGB'])[..., 0]
    nib.save(nib.Nifti1Image(structured, AFFINE), tmp_path / 'rgb.nii.gz')
    found = read_volume(tmp_path / 'rgb.nii.gz', channels=True)
    np.testing.assert_array_equal(found.array, array)
    write_sitk(tmp_path / 'again.nii.gz', read_sitk(tmp_path / 'rgb.nii.gz'))
    np.testing.assert_array_equal(np.asanyarray(nib.load(tmp_path / 'again.nii.gz').dataobj), structured)


def test_what_a_reader_says_is_shown_in_one_line(tmp_path, monkeypatch, capfd):
    import os

    import SimpleITK as sitk

    write_volume(tmp_path / 'a.nrrd', smooth_image(oblique()))
    read = sitk.ReadImage

    def talking(path):
        os.write(2, b'WARNING: In itkX.cxx, line 3\nNrrdImageIO (0x55d0): axis 2 has no unit\n\n')
        return read(path)

    monkeypatch.setattr(sitk, 'ReadImage', talking)
    with pytest.warns(DataWarning, match='the reader says: axis 2 has no unit$'):
        read_volume(tmp_path / 'a.nrrd')
    assert capfd.readouterr().err == ''
