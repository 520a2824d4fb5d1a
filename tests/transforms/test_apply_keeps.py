"""`mmreg apply` keeps what a file says: time, world, colours, voxels without a value; and air outside of CT."""

import numpy as np
import pytest

from mmreg.io import affine_transform, write_transform

from .transform_files import run

nib = pytest.importorskip('nibabel')

SHAPE = (14, 16, 12)
AFFINE = np.array([[-2.0, 0, 0, 13], [0, 2, 0, -15], [0, 0, 2, -11], [0, 0, 0, 1]])
RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shift = np.eye(4)
    shift[0, 3] = 4.0  # two voxels
    write_transform('shift.tfm', affine_transform(shift))
    reference = nib.Nifti1Image(RNG.random((*SHAPE, 2)).astype('f4'), AFFINE)
    reference.set_sform(AFFINE, 4)
    reference.set_qform(AFFINE, 4)
    nib.save(reference, 'mni_4d.nii.gz')
    return tmp_path


def save(name, array, **header):
    image = nib.Nifti1Image(array, AFFINE)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, name)
    return image


def apply(name, *options):
    assert run('apply', 'shift.tfm', name, '-r', 'mni_4d.nii.gz', '-o', 'out', *options) == 0
    return nib.load(f'out/{name.replace(".nii", "_warped.nii")}')


def test_time_world_and_a_reference_with_time(folder):
    array = RNG.random((*SHAPE, 3)).astype('f4')
    image = nib.Nifti1Image(array, AFFINE)
    image.header.set_xyzt_units('mm', 'msec')
    image.header['pixdim'][4] = 2500
    nib.save(image, 'bold.nii.gz')
    found = apply('bold.nii.gz')
    assert found.shape == (*SHAPE, 3)
    assert found.header['pixdim'][4] == 2500 and found.header.get_xyzt_units() == ('mm', 'msec')
    assert found.header['sform_code'] == found.header['qform_code'] == 4
    np.testing.assert_allclose(found.affine, AFFINE)
    np.testing.assert_allclose(found.get_fdata()[2:], array[:-2], atol=1e-5)


def test_colours(folder):
    array = RNG.integers(0, 255, (*SHAPE, 3)).astype('u1')
    nib.save(nib.Nifti1Image(array.view([(c, 'u1') for c in 'RGB'])[..., 0], AFFINE), 'rgb.nii.gz')
    found = apply('rgb.nii.gz', '--interpolation', 'nearest')
    assert found.get_data_dtype().names == ('R', 'G', 'B')
    values = np.ascontiguousarray(found.dataobj).view('u1').reshape(*SHAPE, 3)
    np.testing.assert_array_equal(values[2:], array[:-2])


def test_gaps(folder):
    array = RNG.random(SHAPE).astype('f4')
    array[:, :5] = np.nan
    save('stat.nii.gz', array)
    found = apply('stat.nii.gz').get_fdata()
    assert np.isnan(found[:, :5]).all() and np.isnan(found[:2]).all()
    np.testing.assert_allclose(found[2:, 5:], array[:-2, 5:], atol=1e-5)
    assert (apply('stat.nii.gz', '--fill', '-3').get_fdata()[:2, 6:] == -3).all()


def test_air_outside_of_ct_and_types(folder):
    array = np.where(RNG.random(SHAPE) > 0.5, 60, -1000).astype('i2')
    save('ct.nii.gz', array)
    found = apply('ct.nii.gz')
    assert (np.asanyarray(found.dataobj)[:2] == -1000).all()
    assert (np.asanyarray(apply('ct.nii.gz', '--fill', '0').dataobj)[:2] == 0).all()
    for wanted in ('int16', 'float32', 'int32'):
        assert apply('ct.nii.gz', '--output-type', wanted).get_data_dtype() == wanted
    assert run('apply', 'shift.tfm', 'ct.nii.gz', '-r', 'mni_4d.nii.gz', '-o', 'out', '--output-type', 'uint8') == 2


def test_position(folder):
    image = nib.Nifti1Image(RNG.random(SHAPE).astype('f4'), AFFINE)
    moved = AFFINE.copy()
    moved[1, 3] += 30
    image.set_qform(AFFINE, 1)
    image.set_sform(moved, 2)
    nib.save(image, 'q1s2.nii.gz')
    by_sform, by_qform = (apply('q1s2.nii.gz', *options).get_fdata() for options in ((), ('--position', 'qform')))
    np.testing.assert_allclose(by_qform[2:], image.get_fdata()[:-2], atol=1e-5)
    np.testing.assert_allclose(by_sform[2:, 15], image.get_fdata()[:-2, 0], atol=1e-5)


def test_nibabel_images_in_python(folder):
    from mmreg.apis import apply_transform

    array = RNG.random(SHAPE).astype('f4')
    found = apply_transform('shift.tfm', nib.Nifti1Image(array, AFFINE), nib.load('mni_4d.nii.gz'))
    np.testing.assert_allclose(found.array[2:], array[:-2], atol=1e-5)
