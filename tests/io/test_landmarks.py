import json

import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io import (
    Landmarks,
    fixed_to_moving,
    moving_to_fixed,
    read_landmarks,
    warp_to_fixed,
    write_landmarks_voxel,
    write_landmarks_world,
)

from .helpers import oblique, rotation, smooth_image

POINTS = np.array([[1.5, -2.25, 3.0], [0.0, 1e-7, 123456.789], [-4.0, 5.0, -6.0]])


@pytest.mark.parametrize('ndim', [2, 3])
def test_voxel_csv(tmp_path, ndim):
    write_landmarks_voxel(tmp_path / 'p.csv', POINTS[:, :ndim])
    np.testing.assert_array_equal(np.loadtxt(tmp_path / 'p.csv', delimiter=','), POINTS[:, :ndim])
    back = read_landmarks(tmp_path / 'p.csv')
    assert back.frame == 'voxel'
    np.testing.assert_array_equal(back.points, POINTS[:, :ndim])


@pytest.mark.parametrize('frame', ['ras', 'lps'])
@pytest.mark.parametrize('ndim', [2, 3])
def test_world_csv(tmp_path, frame, ndim):
    write_landmarks_world(tmp_path / 'p.csv', POINTS[:, :ndim], frame=frame, names=['a', 'b', 'c'])
    table = np.genfromtxt(tmp_path / 'p.csv', delimiter=',', names=True, usecols=range(ndim))
    sign = -1 if frame == 'lps' else 1
    np.testing.assert_array_equal(table['x'], POINTS[:, 0] * sign)
    back = read_landmarks(tmp_path / 'p.csv', frame=frame)
    assert back.frame == 'ras' and back.names == ('a', 'b', 'c')
    np.testing.assert_array_equal(back.points, POINTS[:, :ndim])


def test_frames_of_csv(tmp_path):
    (tmp_path / 'a.csv').write_text('i,j,k\n1,2,3\n')
    (tmp_path / 'b.csv').write_text('label,x,y,z\ntip,1,2,3\n')
    (tmp_path / 'c.csv').write_text('1 ,2, 3\n\n4,5,6\n')
    assert read_landmarks(tmp_path / 'a.csv').frame == 'voxel'
    assert read_landmarks(tmp_path / 'b.csv').frame == 'ras'
    np.testing.assert_array_equal(read_landmarks(tmp_path / 'b.csv').points, [[1, 2, 3]])
    np.testing.assert_array_equal(read_landmarks(tmp_path / 'c.csv').points, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(read_landmarks(tmp_path / 'c.csv', frame='lps').points, [[-1, -2, 3], [-4, -5, 6]])


def test_voxels_and_world_agree():
    grid = oblique(flips=(1,))
    voxel = Landmarks(np.array([[1.0, 2.0, 3.0]]), 'voxel')
    world = Landmarks(voxel.in_world(grid), 'ras')
    np.testing.assert_allclose(world.in_voxels(grid), voxel.points, atol=1e-10)
    with pytest.raises(DataError, match='expected rows of 2'):
        voxel.in_voxels(oblique((4, 5)))


def test_slicer_fcsv(tmp_path):
    head = '# Markups fiducial file version = 4.11\n# CoordinateSystem = {}\n'
    head += '# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc\n'
    row = 'vtk_1,1.5,-2,3,0,0,0,1,1,1,0,tip,"a, b",\n'
    for system, expected in (('LPS', [-1.5, 2, 3]), ('RAS', [1.5, -2, 3]), ('0', [1.5, -2, 3]), ('1', [-1.5, 2, 3])):
        (tmp_path / 'f.fcsv').write_text(head.format(system) + row)
        back = read_landmarks(tmp_path / 'f.fcsv')
        np.testing.assert_array_equal(back.points, [expected])
        assert back.frame == 'ras' and back.names == ('tip',)


def test_slicer_markup(tmp_path):
    points = [{'label': 'F-1', 'position': [1, 2, 3]}, {'label': 'later', 'position': None}]
    markup = {'markups': [{'type': 'Fiducial', 'coordinateSystem': 'LPS', 'controlPoints': points}]}
    (tmp_path / 'f.mrk.json').write_text(json.dumps(markup))
    back = read_landmarks(tmp_path / 'f.mrk.json')
    np.testing.assert_array_equal(back.points, [[-1, -2, 3]])
    assert back.names == ('F-1',)


@pytest.mark.parametrize(
    ('name', 'text', 'words'),
    [
        ('p.csv', None, 'no such file'),
        ('p.csv', '', 'no rows'),
        ('p.csv', 'x,y,z\n', 'expected rows of 2 or 3'),
        ('p.csv', '1,2,3\n4,five,6\n', "'4,five,6' in row 2"),
        ('p.csv', '1,2,3\n4,5\n', 'expected the same count'),
        ('p.csv', '1,2,3\n4,nan,6\n', 'NaN'),
        ('p.csv', '1,2,3,4\n', 'expected rows of 2 or 3'),
        ('p.csv', 'a,b,c\n1,2,3\n', 'expected x,y,z'),
        ('p.csv', 'x,y,z\n1,2\n', 'fewer columns'),
        ('p.mrk.json', '{}', 'no control points'),
        ('p.mrk.json', 'not json', 'no control points'),
        ('p.fcsv', '# CoordinateSystem = MNI\n1,2,3,4\n', "coordinate system 'mni'"),
        ('p.fcsv', 'id,1\n', 'expected rows of 2 or 3'),
    ],
)
def test_bad_files(tmp_path, name, text, words):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_landmarks(path)
    message = str(caught.value)
    assert message.startswith(f'{path}: ') and words in message and 'expected' in message and '\n' not in message


def test_binary_file(tmp_path):
    (tmp_path / 'p.csv').write_bytes(b'\x89PNG\xff\xfe\x00')
    with pytest.raises(DataError, match='not text'):
        read_landmarks(tmp_path / 'p.csv')


def test_bad_arguments(tmp_path):
    with pytest.raises(DataError, match='expected ras or lps'):
        write_landmarks_world(tmp_path / 'p.csv', POINTS, frame='voxel')
    with pytest.raises(DataError, match='2 names were given for 3'):
        write_landmarks_world(tmp_path / 'p.csv', POINTS, names=['a', 'b'])
    with pytest.raises(DataError, match="frame 'mni'"):
        read_landmarks(tmp_path / 'p.csv', frame='mni')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('ndim', [2, 3])
def test_known_translation_both_ways(ndim):
    """Displacement of +2 voxels along i, then 10 mm along world x: fixed points go forward, moving points come back."""
    grid = oblique((20, 16, 12)[:ndim], flips=(0,))
    displacement = np.zeros((ndim, *grid.shape), np.float32)
    displacement[0] = 2
    affine = np.eye(ndim + 1)
    affine[:ndim, :ndim] = rotation(ndim, 30.0)
    affine[0, ndim] = 10
    fixed = grid.voxel_to_world(np.array([[5.0, 6.0, 7.0], [9.5, 8.25, 3.0]])[:, :ndim])
    step = 2 * grid.affine[:ndim, 0]
    moving = (fixed + step) @ rotation(ndim, 30.0).T + affine[:ndim, ndim]
    np.testing.assert_allclose(fixed_to_moving(fixed, displacement, grid, affine), moving, atol=1e-6)
    np.testing.assert_allclose(moving_to_fixed(moving, -displacement, grid, affine), fixed, atol=1e-6)
    np.testing.assert_allclose(fixed_to_moving(fixed, displacement, grid), fixed + step, atol=1e-6)


def test_landmark_follows_the_image():
    """A bright voxel of the moving image and its landmark arrive at the same place of the warped image."""
    grid = oblique((20, 16, 12))
    array = np.zeros(grid.shape, np.float32)
    array[13, 5, 6] = 1
    displacement = np.zeros((3, *grid.shape), np.float32)
    displacement[0], displacement[1] = 3, -2
    moving = smooth_image(grid)
    warped = warp_to_fixed(type(moving)(array, grid), displacement, grid).array
    arrived = np.array(np.unravel_index(warped.argmax(), warped.shape))
    there = moving_to_fixed(grid.voxel_to_world([[13, 5, 6]]), -displacement, grid)
    np.testing.assert_allclose(grid.world_to_voxel(there)[0], arrived, atol=1e-5)
    back = fixed_to_moving(grid.voxel_to_world([arrived]), displacement, grid)
    np.testing.assert_allclose(grid.world_to_voxel(back)[0], [13, 5, 6], atol=1e-5)


def test_lps_csv_is_what_simpleitk_maps(tmp_path):
    grid = oblique()
    transform = sitk.TranslationTransform(3, (1.0, 2.0, 3.0))
    write_landmarks_world(tmp_path / 'p.csv', grid.voxel_to_world([[4, 5, 6]]), frame='lps')
    lps = np.loadtxt(tmp_path / 'p.csv', delimiter=',', skiprows=1)
    image = smooth_image(grid).to_sitk()
    np.testing.assert_allclose(lps, image.TransformIndexToPhysicalPoint((4, 5, 6)), atol=1e-9)
    np.testing.assert_allclose(transform.TransformPoint(lps.tolist()), lps + [1, 2, 3])
