"""Every unusable file gives one sentence that names it, and nothing on stderr."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.errors import ConfigError, DataError
from mmreg.io import Geometry, Volume, read_geometry, read_labels, read_mask, read_volume, write_volume

from .helpers import oblique, smooth_image

nib = pytest.importorskip('nibabel')


@pytest.fixture
def good(tmp_path):
    path = tmp_path / 'good.nii.gz'
    write_volume(path, smooth_image(oblique()))
    return path


@pytest.fixture
def refused(capfd):
    """Assert that reading raises one sentence with the path and the given words, silently."""

    def check(path, words, kind='image', **options):
        with pytest.raises(DataError) as caught:
            read_volume(path, kind, **options)
        message = str(caught.value)
        assert message.startswith(f'{path}: ') and 'expected' in message and '\n' not in message, message
        assert words in message, message
        assert capfd.readouterr() == ('', '')

    return check


def save(path, array, affine=None):
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


def with_bytes(path, data):
    path.write_bytes(data)
    return path


def nifti_with(good, path, code, offset, value):
    raw = bytearray(gzip.decompress(good.read_bytes()))
    struct.pack_into(code, raw, offset, value)
    return with_bytes(path, bytes(raw))


def test_missing(tmp_path, refused):
    refused(tmp_path / 'absent.nii.gz', 'no such file')
    with pytest.raises(DataError, match='no such file'):
        read_geometry(tmp_path / 'absent.nii.gz')


@pytest.mark.parametrize('part', [0.02, 0.5, 0.999])
def test_truncated_gz(good, tmp_path, refused, part):
    data = good.read_bytes()
    refused(with_bytes(tmp_path / 'cut.nii.gz', data[: int(part * len(data))]), 'truncated')


def test_damaged_gz(good, tmp_path, refused):
    data = bytearray(good.read_bytes())
    data[len(data) // 2] ^= 0xFF
    refused(with_bytes(tmp_path / 'bad.nii.gz', bytes(data)), 'damaged')


def test_gz_of_half_an_image(good, tmp_path, refused):
    raw = gzip.decompress(good.read_bytes())
    refused(with_bytes(tmp_path / 'half.nii.gz', gzip.compress(raw[: len(raw) // 2])), 'truncated')


def test_truncated_nii(good, tmp_path, refused):
    raw = gzip.decompress(good.read_bytes())
    refused(with_bytes(tmp_path / 'cut.nii', raw[: len(raw) // 2]), 'truncated')


@pytest.mark.parametrize('ending', ['.mha', '.nrrd'])
@pytest.mark.parametrize('compress', [True, False])
def test_truncated_mha_and_nrrd(tmp_path, refused, ending, compress):
    path = tmp_path / f'cut{ending}'
    write_volume(path, smooth_image(oblique()), compress=compress)
    refused(with_bytes(path, path.read_bytes()[:-2000]), 'truncated')


@pytest.mark.parametrize('name', ['a.nii.gz', 'a.nii', 'a.mha', 'a.nrrd', 'a.txt'])
@pytest.mark.parametrize('data', [b'', b'not an image at all\n' * 50])
def test_not_an_image(tmp_path, refused, name, data):
    refused(with_bytes(tmp_path / name, data), 'not a readable image')


def test_empty_folder(tmp_path, refused):
    refused(tmp_path, 'without a DICOM series')


def test_4d(tmp_path, refused):
    path = save(tmp_path / '4d.nii.gz', np.random.default_rng(0).normal(size=(5, 6, 7, 3)))
    refused(path, '4-D')
    with pytest.raises(DataError, match='4-D'):
        read_geometry(path)


def test_channels(tmp_path, refused):
    path = tmp_path / 'rgb.nii.gz'
    write_volume(path, smooth_image(oblique(), channels=3))
    refused(path, '3 channels')


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('kind', ['image', 'labels', 'mask'])
def test_not_finite(tmp_path, refused, value, kind):
    array = np.ones((5, 6, 7), np.float32)
    array[1, 2, 3] = value
    refused(save(tmp_path / 'nan.nii.gz', array), '1 voxels that are NaN or infinite', kind)


def test_too_large_for_float32(tmp_path, refused):
    array = np.ones((5, 6, 7))
    array[0, 0, 0] = 1e300
    refused(save(tmp_path / 'big.nii.gz', array), 'NaN or infinite')


def test_constant(tmp_path, refused):
    path = save(tmp_path / 'flat.nii.gz', np.full((5, 6, 7), 3.0))
    refused(path, 'constant image (every voxel is 3)')
    assert read_volume(path, check=False).array.max() == 3


def test_empty_labels(tmp_path, refused):
    path = save(tmp_path / 'empty.nii.gz', np.zeros((5, 6, 7), np.uint8))
    refused(path, 'empty label map', 'labels')
    refused(path, 'empty mask', 'mask')
    assert read_labels(path, check=False).array.max() == 0 and read_mask(path, check=False).array.max() == 0


def test_fractional_labels(tmp_path, refused):
    refused(save(tmp_path / 'soft.nii.gz', np.full((5, 6, 7), 1.5)), 'label value 1.5', 'labels')


def test_negative_labels(tmp_path, refused):
    refused(save(tmp_path / 'neg.nii.gz', np.full((5, 6, 7), -1, np.int16)), 'label values from -1', 'labels')


@pytest.mark.parametrize('value', [0.0, -1.0, float('nan')])
def test_nifti_spacing(good, tmp_path, refused, value):
    path = nifti_with(good, tmp_path / 's.nii', '<f', 80, value)
    refused(path, 'voxel spacing')
    with pytest.raises(DataError, match='voxel spacing'):
        read_geometry(path)


@pytest.mark.parametrize('value', ['0', '-1.5', 'x'])
def test_mha_spacing(tmp_path, refused, value):
    path = tmp_path / 's.mha'
    write_volume(path, Volume(smooth_image(oblique()).array, Geometry.from_parts((18, 22, 14), (1.5, 0.8, 2.5))))
    data = path.read_bytes().replace(b'ElementSpacing = 1.5', b'ElementSpacing = ' + value.encode())
    refused(with_bytes(path, data), 'pacing')


def test_nrrd_spacing(tmp_path, refused):
    path = tmp_path / 's.nrrd'
    write_volume(path, Volume(smooth_image(oblique()).array, Geometry.from_parts((18, 22, 14), (1.5, 0.8, 2.5))))
    data = path.read_bytes()
    start = data.index(b'space directions: (') + len(b'space directions: (')
    end = data.index(b')', start)
    refused(with_bytes(path, data[:start] + b'0,0,0' + data[end:]), 'expected')


def test_sheared_nifti(tmp_path, refused):
    affine = np.eye(4)
    affine[0, 1] = 0.4
    refused(save(tmp_path / 'shear.nii.gz', smooth_image(oblique()).array, affine), 'sheared')


def test_singular_nifti(good, tmp_path, refused):
    raw = bytearray(gzip.decompress(good.read_bytes()))
    struct.pack_into('<h', raw, 252, 0)  # qform_code
    struct.pack_into('<4f', raw, 280, 0, 0, 0, 0)  # srow_x
    refused(with_bytes(tmp_path / 'flat.nii', bytes(raw)), 'not invertible')


@pytest.mark.parametrize(('shear', 'words'), [(0.3, 'not orthogonal'), (None, 'not invertible')])
def test_mha_direction(tmp_path, refused, shear, words):
    path = tmp_path / 'd.mha'
    grid = Geometry.from_parts((18, 22, 14), direction=np.diag([-1.0, -1.0, 1.0]))
    write_volume(path, Volume(smooth_image(oblique()).array, grid))
    data = path.read_bytes()
    old = b'TransformMatrix = 1 0 0 0 1 0 0 0 1'
    assert old in data
    new = b'TransformMatrix = 1 0 0 1 0 0 0 0 1' if shear is None else b'TransformMatrix = 1 0 0 0.3 1 0 0 0 1'
    refused(with_bytes(path, data.replace(old, new)), words)


def test_complex(tmp_path, refused):
    image = sitk.RealAndImaginaryToComplex(sitk.Image(4, 4, 4, sitk.sitkFloat32), sitk.Image(4, 4, 4, sitk.sitkFloat32))
    sitk.WriteImage(image, str(tmp_path / 'c.mha'))
    refused(tmp_path / 'c.mha', 'complex')


def test_unknown_kind(good):
    with pytest.raises(DataError, match="kind 'picture'"):
        read_volume(good, 'picture')


def test_unwritable_ending(tmp_path):
    with pytest.raises(DataError, match="ending '.jpg'"):
        write_volume(tmp_path / 'a.jpg', smooth_image(oblique()))
    assert not list(tmp_path.iterdir())


def test_config_errors_are_input_errors_too():
    assert issubclass(ConfigError, ValueError) and issubclass(DataError, ValueError)
