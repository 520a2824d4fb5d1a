"""Packed by ISA-L or by zlib: the same bytes come back, damage is told, and files hold what ITK would write."""

import gzip
import io
import zlib

import h5py
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io import (
    Geometry,
    Volume,
    affine_transform,
    compose,
    deflate,
    displacement_transform,
    read_image,
    write_displacement_image,
    write_inverse_itk_transform,
    write_itk_transform,
    write_transform,
    write_volume,
)
from mmreg.io.displacement import fine_step, voxels_to_lps

AFFINE = np.array([[1.0, 0.1, 0, 3], [0, 0.9, 0, -2], [0, 0, 1.1, 4], [0, 0, 0, 1]])


@pytest.fixture(params=['isal', 'zlib'])
def packer(request, monkeypatch):
    if request.param == 'isal':
        pytest.importorskip('isal')
    else:
        monkeypatch.setattr(deflate, '_isal', lambda name: None)
    deflate.broken_stream.cache_clear()
    yield request.param
    deflate.broken_stream.cache_clear()


def turned(shape=(24, 20, 17), space=None):
    """A grid whose axes are not those of the world."""
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn @ np.diag([1.5, 1.2, 2.0]), (5.0, -3.0, 1.0)
    return Geometry(shape, affine, space)


def field_on(geometry):
    return np.random.default_rng(0).normal(size=(geometry.ndim, *geometry.shape)).astype(np.float32)


def test_both_read_what_the_other_wrote(packer):
    data = np.arange(100_000, dtype=np.float32).tobytes()
    file = io.BytesIO()
    with deflate.gzip_writer(file) as stream:
        stream.write(data[:1000])
        stream.write(memoryview(data)[1000:])
    assert gzip.decompress(file.getvalue()) == data and file.getvalue()[4:8] == b'\0' * 4
    assert deflate.gzip_reader(io.BytesIO(gzip.compress(data) + gzip.compress(data))).read() == 2 * data
    assert zlib.decompress(deflate.zlib_packed(data)) == data


@pytest.mark.parametrize('harm', ['cut', 'flipped', 'checksum'])
def test_damage_is_told(packer, harm, tmp_path):
    path, geometry = tmp_path / 'a.nii.gz', turned()
    write_volume(path, Volume(field_on(geometry)[0], geometry))
    data = bytearray(path.read_bytes())
    if harm == 'cut':
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2 if harm == 'flipped' else -6] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(DataError, match='damaged|truncated'):
        read_image(path)


@pytest.mark.parametrize('space', [None, 1, 2, 4])
@pytest.mark.parametrize('shape', [(24, 20, 17), (9, 8)])
def test_a_displacement_file_holds_the_vectors_of_its_image(packer, shape, space, tmp_path):
    """It is written component by component, without an image; ITK and nibabel read the same of it."""
    geometry = turned(space=space) if len(shape) == 3 else Geometry.from_parts(shape, (1.5, 1.2))
    field, step = field_on(geometry), fine_step(geometry)
    for ending in ('.nii', '.nii.gz'):
        write_displacement_image(tmp_path / f'a{ending}', field, geometry, step)
        expected = (np.rint(voxels_to_lps(field, geometry) / step) * step).astype(np.float32)
        read = nibabel.load(tmp_path / f'a{ending}')
        assert np.array_equal(np.asanyarray(read.dataobj).reshape(expected.shape), expected)
        assert read.header.get_intent()[0] == 'vector' and int(read.header['sform_code']) == (geometry.space or 1)
        image = sitk.ReadImage(str(tmp_path / f'a{ending}'))
        assert image.GetNumberOfComponentsPerPixel() == geometry.ndim
        assert np.allclose(image.GetDirection(), geometry.to_sitk().direction, atol=1e-6)


@pytest.mark.parametrize('dtype', ['u1', 'i2', 'u2', 'i4', 'f4', 'f8'])
def test_images_are_what_itk_reads(packer, dtype, tmp_path):
    geometry = turned()
    array = (50 * field_on(geometry)[0]).astype(dtype)
    write_volume(tmp_path / 'a.nii.gz', Volume(array, geometry))
    image = sitk.ReadImage(str(tmp_path / 'a.nii.gz'))
    found = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    assert found.dtype == array.dtype and np.array_equal(found, array)
    assert np.allclose(image.GetSpacing(), geometry.spacing) and np.allclose(image.GetOrigin(), (-5, 3, 1))


def content(path):
    """Name -> type and bytes of every array of an HDF5 file."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: (item.dtype, item[...].tolist())}) if hasattr(item, 'shape') else None
            )
        )
    return found


@pytest.mark.parametrize('affine', [None, AFFINE])
def test_a_field_in_hdf5_is_what_itk_would_have_written(packer, affine, tmp_path):
    geometry = turned()
    field, step = field_on(geometry), fine_step(geometry)
    write_itk_transform(tmp_path / 'a.h5', field, geometry, affine, step)
    write_inverse_itk_transform(tmp_path / 'b.h5', field, geometry, affine, step)
    whole = displacement_transform(field, geometry, step=step)
    back = whole if affine is None else compose(affine_transform(affine).inverse(), whole)
    write_transform(tmp_path / 'c.h5', displacement_transform(field, geometry, affine, step=step))
    write_transform(tmp_path / 'd.h5', back)
    assert content(tmp_path / 'a.h5') == content(tmp_path / 'c.h5')
    assert content(tmp_path / 'b.h5') == content(tmp_path / 'd.h5')
    itk = sitk.ReadTransform(str(tmp_path / 'b.h5'))
    for point in np.random.default_rng(1).uniform(-20, 20, (20, 3)).tolist():
        assert itk.TransformPoint(point) == back.itk.TransformPoint(point)
