"""Landmark files of every kind, and pairs by name."""

import json

import numpy as np
import pytest

from mmreg.errors import DataError, DataWarning
from mmreg.io import Landmarks, read_landmarks
from mmreg.io.landmarks import paired

POINTS = [[10.5, -20.25, 30.0], [1.0, 2.0, 3.0]]
LPS = [[-10.5, 20.25, 30.0], [-1.0, -2.0, 3.0]]


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('a.csv', 'x;y;z\n10,5;-20,25;30,0\n1;2;3\n'),
        ('a.csv', 'x\ty\tz\n10.5\t-20.25\t30\n1\t2\t3\n'),
        ('a.tsv', 'name\tx\ty\tz\nA\t10.5\t-20.25\t30\nB\t1\t2\t3\n'),
        ('a.csv', 'x, y, z\r\n10.5, -20.25, 30\r\n1, 2, 3\r\n'),
        ('a.csv', 'label,r,a,s,defined,selected,visible,locked\nA,10.5,-20.25,30,1,1,1,0\nB,1,2,3,1,1,1,0\n'),
        ('a.csv', 'label,l,p,s,defined\nF-1,-10.5,20.25,30,1\nF-2,-1,-2,3,1\n'),
        ('a.txt', 'point\n2\n-10.5 20.25 30\n-1 -2 3\n'),
    ],
)  # fmt: skip
def test_millimetres(tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode())
    found = read_landmarks(tmp_path / name)
    assert found.frame == 'ras'
    np.testing.assert_allclose(found.points, POINTS)


def test_points_that_were_never_placed_in_a_table(tmp_path):
    (tmp_path / 'a.csv').write_text('label,r,a,s,defined\nA,0,0,0,0\nB,1,2,3,1\n')
    with pytest.warns(DataWarning, match='1 of 2 points were never placed'):
        found = read_landmarks(tmp_path / 'a.csv')
    assert found.names == ('B',) and found.points.tolist() == [[1, 2, 3]]


def test_dirlab_counts_voxels_from_one(tmp_path):
    (tmp_path / 'dirlab.txt').write_text('100\t200\t30\n1\t2\t3\n')
    with pytest.warns(DataWarning, match='counted from 1, as DIR-Lab does'):
        found = read_landmarks(tmp_path / 'dirlab.txt')
    assert found.frame == 'voxel' and found.points.tolist() == [[99, 199, 29], [0, 1, 2]]
    assert read_landmarks(tmp_path / 'dirlab.txt', 'voxel').points.tolist() == [[100, 200, 30], [1, 2, 3]]
    (tmp_path / 'l2r.csv').write_text('100,200,30\n1,2,3\n')
    assert read_landmarks(tmp_path / 'l2r.csv').points.tolist() == [[100, 200, 30], [1, 2, 3]]


def test_numbers_that_may_be_anything_are_asked_about(tmp_path):
    (tmp_path / 'spaces.txt').write_text('10.5 -20.25 30\n1 2 3\n')
    with pytest.raises(DataError, match='--landmark-frame ras, lps, voxel'):
        read_landmarks(tmp_path / 'spaces.txt')
    np.testing.assert_allclose(read_landmarks(tmp_path / 'spaces.txt', 'ras').points, POINTS)
    np.testing.assert_allclose(read_landmarks(tmp_path / 'spaces.txt', 'lps').points, LPS)


def test_indices_of_elastix(tmp_path):
    (tmp_path / 'a.txt').write_text('index\n1\n4 5 6\n')
    found = read_landmarks(tmp_path / 'a.txt')
    assert found.frame == 'voxel' and found.points.tolist() == [[4, 5, 6]]
    (tmp_path / 'a.txt').write_text('point\n2\n4 5 6\n')
    with pytest.raises(DataError, match='found 1 points, expected 2'):
        read_landmarks(tmp_path / 'a.txt')


def markup(points, status=None, **fields):
    controls = [{'label': label, 'position': place} for label, place in points]
    for control, one in zip(controls, status or ()):
        control['positionStatus'] = one
    return {'type': 'Fiducial', 'coordinateSystem': 'RAS', 'controlPoints': controls, **fields}


def write(path, *markups):
    path.write_text(json.dumps({'markups': list(markups)}))
    return path


@pytest.mark.parametrize('status', ['undefined', 'preview', 'missing'])
def test_undefined_points_of_a_markup(tmp_path, status):
    path = write(tmp_path / 'a.mrk.json', markup([('A', [0, 0, 0]), ('B', [1, 2, 3])], [status, 'defined']))
    with pytest.warns(DataWarning, match='1 of 2 points were never placed'):
        assert read_landmarks(path).names == ('B',)


@pytest.mark.parametrize('unit', ['cm', ['cm', 'UCUM', 'centimeter'], '["cm","UCUM","centimeter"]'])
def test_units_and_several_markups(tmp_path, unit):
    if isinstance(unit, str) and unit.startswith('['):
        unit = json.loads(unit)
    second = markup([('B', [1, 2, 3])], coordinateSystem='LPS', coordinateUnits=unit)
    found = read_landmarks(write(tmp_path / 'a.mrk.json', markup([('A', [1, 2, 3])]), second))
    assert found.points.tolist() == [[1, 2, 3], [-10, -20, 30]] and found.names == ('A', 'B')
    with pytest.raises(DataError, match="units 'parsec'"):
        read_landmarks(write(tmp_path / 'a.mrk.json', markup([('A', [1, 2, 3])], coordinateUnits='parsec')))


def test_points_of_freesurfer(tmp_path):
    content = {'data_type': 'fs_pointset', 'points': [{'coordinates': {'x': 1, 'y': 2, 'z': 3}}]}
    (tmp_path / 'a.json').write_text(json.dumps({**content, 'vox2ras': 'scanner_ras'}))
    assert read_landmarks(tmp_path / 'a.json').points.tolist() == [[1, 2, 3]]
    (tmp_path / 'a.json').write_text(json.dumps({**content, 'vox2ras': 'tkreg'}))
    with pytest.raises(DataError, match='expected scanner_ras'):
        read_landmarks(tmp_path / 'a.json')


def landmarks(names, start=0):
    points = np.array([[float(ord(name[0])), start, 0] if name else [0, 0, 0] for name in names])
    return Landmarks(points, 'ras', tuple(names))


@pytest.mark.parametrize(('order', 'told'), [('CAB', '3 pairs'), ('CB', '2 pairs .* 1 without a partner')])
def test_pairs_by_name(order, told):
    with pytest.warns(DataWarning, match=told):
        fixed, moving = paired(landmarks('ABC'), landmarks(order), ('fixed', 'moving'))
    assert fixed.names == moving.names == tuple(sorted(order))
    np.testing.assert_array_equal(fixed.points, moving.points)


def test_pairs_by_row():
    for first, second in (('ABC', 'ABC'), ('AAB', 'ABA'), ('AB', 'CD'), ((), ())):
        one = landmarks(first) if first else Landmarks(np.zeros((2, 3)), 'ras')
        two = landmarks(second) if second else Landmarks(np.zeros((2, 3)), 'ras')
        fixed, moving = paired(one, two, ('fixed', 'moving'))
        assert fixed is one and moving is two
    with pytest.raises(DataError, match='has 2 points and moving 3, expected pairs'):
        paired(Landmarks(np.zeros((2, 3)), 'ras'), Landmarks(np.zeros((3, 3)), 'ras'), ('fixed', 'moving'))


@pytest.mark.parametrize('position', [[], [1.0], [1.0, 2.0, 3.0, 4.0], 'abc', {}, [None, 1, 2], 7])
@pytest.mark.parametrize('system', ['LPS', 'RAS'])
def test_a_position_that_is_none(tmp_path, position, system):
    path = write(tmp_path / 'a.mrk.json', markup([('A', [1, 2, 3]), ('B', position)], coordinateSystem=system))
    with pytest.raises(DataError, match=r'a\.mrk\.json: found'):
        read_landmarks(path)
