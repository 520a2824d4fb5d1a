import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io import Geometry, Volume

from .helpers import oblique, rotation

nib = pytest.importorskip('nibabel')


@pytest.mark.parametrize('shape', [(18, 22, 14), (18, 22)])
def test_parts_and_points(shape):
    grid = oblique(shape)
    ndim = len(shape)
    np.testing.assert_allclose(grid.spacing, (1.5, 0.8, 2.5)[:ndim])
    np.testing.assert_allclose(grid.direction, rotation(ndim), atol=1e-12)
    points = np.random.default_rng(0).normal(size=(7, ndim)) * 10
    np.testing.assert_allclose(grid.world_to_voxel(grid.voxel_to_world(points)), points, atol=1e-10)
    np.testing.assert_allclose(grid.voxel_to_world(np.zeros(ndim)), grid.origin)
    np.testing.assert_allclose(grid.centre, (3.0, -5.0, 11.0)[:ndim])


def test_points_agree_with_simpleitk():
    grid = oblique(flips=(0, 2))
    image = Volume(np.zeros(grid.shape, np.float32), grid).to_sitk()
    index = (3.25, 7.5, 11.0)
    lps = np.array(image.TransformContinuousIndexToPhysicalPoint(index))
    np.testing.assert_allclose(grid.voxel_to_world([index])[0], lps * [-1, -1, 1], atol=1e-10)
    assert Geometry.from_sitk(image).same_grid(grid, tol=1e-9)


@pytest.mark.parametrize('codes', ['RAS', 'LPS', 'ASR', 'PIL', 'SRA'])
def test_codes_and_reorientation_agree_with_nibabel(codes):
    grid = oblique(degrees=15.0, flips=(1,))
    assert grid.codes == ''.join(nib.aff2axcodes(grid.affine))
    array = np.random.default_rng(0).normal(size=grid.shape)
    image = nib.Nifti1Image(array, grid.affine)
    change = nib.orientations.ornt_transform(nib.io_orientation(grid.affine), nib.orientations.axcodes2ornt(codes))
    expected = image.as_reoriented(change)
    turned = Volume(array, grid).reoriented(codes)
    assert turned.geometry.codes == codes
    np.testing.assert_allclose(turned.geometry.affine, expected.affine, atol=1e-9)
    np.testing.assert_array_equal(turned.array, np.asarray(expected.dataobj))


def test_reorientation_in_2d():
    grid = Geometry.from_parts((4, 5), (1, 2))
    turned = grid.reoriented('PR')
    assert turned.shape == (5, 4) and turned.codes == 'PR'
    np.testing.assert_allclose(turned.voxel_to_world([0, 0]), [0, 8])


def test_padding_keeps_the_world():
    grid = oblique()
    padded = grid.padded((2, 0, 3), (1, 4, 0))
    assert padded.shape == (21, 26, 17)
    np.testing.assert_allclose(padded.voxel_to_world([2, 0, 3]), grid.origin, atol=1e-12)
    assert padded.padded((-2, 0, -3), (-1, -4, 0)).same_grid(grid, tol=1e-9)


def test_resampled_keeps_the_field_of_view():
    grid = oblique()
    new = grid.resampled((3.0, 0.4, 2.5))
    assert new.shape == (9, 44, 14)
    np.testing.assert_allclose(new.spacing, (3.0, 0.4, 2.5))
    np.testing.assert_allclose(new.centre, grid.centre, atol=1e-9)
    # the outer face of the first voxel stays where it was, since all sizes divide evenly
    np.testing.assert_allclose(new.voxel_to_world([-0.5] * 3), grid.voxel_to_world([-0.5] * 3), atol=1e-9)
    assert Geometry.from_parts((3, 3), (1, 1)).resampled(10.0).shape == (1, 1)


def test_same_grid_tolerates_rounding_only():
    grid = oblique()
    nudged = Geometry(grid.shape, grid.affine + np.array([[0, 0, 0, 1e-4]] * 3 + [[0] * 4]))
    moved = Geometry(grid.shape, grid.affine + np.array([[0, 0, 0, 0.1]] * 3 + [[0] * 4]))
    assert grid.same_grid(nudged) and not grid.same_grid(moved)
    assert not grid.same_grid(grid.padded((1, 0, 0), (0, 0, 0)))


def test_is_a_value():
    grid, again = oblique(), oblique()
    assert grid == again and hash(grid) == hash(again) and grid != grid.resampled(1.0)
    with pytest.raises(ValueError, match='read-only'):
        grid.affine[0, 0] = 5
    with pytest.raises(AttributeError):
        grid.shape = (1, 2, 3)


@pytest.mark.parametrize(
    ('affine', 'words'),
    [
        (np.diag([1, 0, 1, 1.0]), 'spacing'),
        (np.diag([1, np.nan, 1, 1.0]), 'not finite'),
        (np.eye(4)[[0, 0, 2, 3]], 'spacing'),
        (np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), 'not orthogonal'),
        (np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), 'not orthogonal'),
        (np.eye(3), 'expected'),
    ],
)
def test_bad_affines(affine, words):
    with pytest.raises(DataError, match=words):
        Geometry((4, 5, 6), affine)


@pytest.mark.parametrize('codes', ['RAR', 'RA', 'XYZ', 'RASL'])
def test_bad_codes(codes):
    with pytest.raises(DataError, match='one letter per axis'):
        oblique().reoriented(codes)


def test_bad_spacing():
    with pytest.raises(DataError, match='expected positive'):
        oblique().resampled((1.0, 0.0, 1.0))


def test_reader_header_is_enough(tmp_path):
    grid = oblique()
    path = str(tmp_path / 'a.nii.gz')
    sitk.WriteImage(Volume(np.ones(grid.shape, np.float32), grid).to_sitk(), path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    reader.ReadImageInformation()
    assert Geometry.from_sitk(reader).same_grid(grid, tol=1e-4)
