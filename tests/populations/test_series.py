"""Series whose motion is known, in two and three dimensions."""

import csv

import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.cli import main
from mmreg.io import Geometry, Volume, affine_transform, read_image_header, read_labels, resample_to, write_volume
from mmreg.populations.series.motion import parameters, power_displacement

from .made import phantom


def _turned(ndim, degrees, shift):
    matrix = np.eye(ndim + 1)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix[:2, :2] = [[cos, -sin], [sin, cos]]
    matrix[0, -1] = shift
    return matrix


def _series(folder, ndim, size, count=4):
    """Frames that turn by 2 degrees and shift by 1 mm each; returns the files and the maps reference -> frame."""
    image, labels, geometry = phantom(ndim, size)
    files, maps = [], []
    for number in range(count):
        matrix = _turned(ndim, 2.0 * number, 1.0 * number)
        frame = resample_to(Volume(image, geometry), geometry, transform=affine_transform(np.linalg.inv(matrix)))
        files.append(folder / f'frame{number}.nii.gz')
        write_volume(files[-1], frame)
        maps.append(matrix)
    write_volume(folder / 'labels.nii.gz', Volume(labels, geometry))
    return files, maps


def _rows(path):
    return list(csv.DictReader(path.read_text(encoding='utf-8').splitlines()))


@pytest.mark.parametrize(
    'way', [['--to', 'reference'], ['--to', 'previous', '--cycle'], ['--to', 'mean', '--rounds', '1']]
)
def test_the_motion_of_frames(way, tmp_path):
    files, maps = _series(tmp_path, 2, 40)
    out = tmp_path / 'out'
    words = ['series', *map(str, files), '-o', str(out), *way, '--labels', str(tmp_path / 'labels.nii.gz')]
    assert main([*words, '--reference', '1'] if way[1] != 'mean' else words) == 0
    rows = _rows(out / 'motion.csv')
    turns = np.array([float(row['rotation_deg']) for row in rows])
    np.testing.assert_allclose(np.diff(turns), 2.0, atol=0.7)
    shifts = np.array([float(row['translation_x_mm']) for row in rows])
    np.testing.assert_allclose(np.diff(shifts), 1.0, atol=0.6)
    for name in ('aligned.nii.gz', 'mean.nii.gz', 'index.html', 'plan.json', 'label_volumes.csv'):
        assert (out / name).is_file(), name
    if way[1] == 'reference':
        there = read_labels(out / 'labels' / 'frame3.nii.gz').array
        truth = resample_to(
            read_labels(tmp_path / 'labels.nii.gz'), read_image_header(files[0]).geometry, 'nearest',
            transform=affine_transform(np.linalg.inv(maps[3])),
        ).array  # fmt: skip
        for value in (1, 2):
            a, b = truth == value, there == value
            assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.85


def test_a_frame_that_lies_across_is_told(tmp_path, capsys):
    image, _, geometry = phantom(2, 40)
    for number, degrees in enumerate((0.0, 90.0)):
        there = affine_transform(np.linalg.inv(_turned(2, degrees, 0.0)))
        write_volume(tmp_path / f'f{number}.nii.gz', resample_to(Volume(image, geometry), geometry, transform=there))
    words = ['series', *(str(tmp_path / f'f{number}.nii.gz') for number in range(2)), '-o', str(tmp_path / 'out')]
    assert main([*words, '--reference', '1']) == 0
    assert 'warning: f1 is turned by 90 degrees against the reference' in capsys.readouterr().out
    assert 'f1 is turned by 90 degrees' in (tmp_path / 'out' / 'index.html').read_text(encoding='utf-8')


def test_a_file_with_a_time_axis_keeps_its_time_step(tmp_path):
    files, _ = _series(tmp_path, 3, 20, count=3)
    joined = sitk.JoinSeries([sitk.ReadImage(str(file)) for file in files])
    joined.SetSpacing((*joined.GetSpacing()[:3], 2.5))
    sitk.WriteImage(joined, str(tmp_path / 'series.nii.gz'))
    out = tmp_path / 'out'
    assert main(['series', str(tmp_path / 'series.nii.gz'), '-o', str(out), '--motion', 'rigid']) == 0
    image = sitk.ReadImage(str(out / 'aligned.nii.gz'))
    assert image.GetSize() == (20, 20, 20, 3) and image.GetSpacing()[3] == 2.5
    assert [row['name'] for row in _rows(out / 'motion.csv')] == ['frame_0001', 'frame_0002', 'frame_0003']


def test_points_are_carried_by_a_deformation(tmp_path):
    files, maps = _series(tmp_path, 2, 40, count=2)
    (tmp_path / 'points.csv').write_text('name,x,y\na,10,12\nb,-20,-8\n')
    out = tmp_path / 'out'
    words = ['series', *map(str, files), '-o', str(out), '--motion', 'deformable', '--reference', '1']
    assert main([*words, '--landmarks', str(tmp_path / 'points.csv'), '--preset', 'generic']) == 0
    rows = [row for row in _rows(out / 'landmarks.csv') if row['name'] == 'frame1']
    found = np.array([[float(row['x']), float(row['y'])] for row in rows])
    truth = np.array([[10.0, 12], [-20, -8]]) @ maps[1][:2, :2].T + maps[1][:2, 2]
    assert np.linalg.norm(found - truth, axis=1).max() < 4


def test_visits_of_one_person(tmp_path):
    """A second visit whose body is 10 % larger along both axes: about 21 % more area, in half a year."""
    image, labels, geometry = phantom(2, 48)
    grown = affine_transform(np.diag([1 / 1.1, 1 / 1.1, 1.0]))
    for name, transform in (('one', None), ('two', grown)):
        write_volume(tmp_path / f'{name}.nii.gz', resample_to(Volume(image, geometry), geometry, transform=transform))
    (tmp_path / 'visits.csv').write_text('image,date\none.nii.gz,2020-01-01\ntwo.nii.gz,2020-07-01\n')
    out = tmp_path / 'out'
    assert main(['series', str(tmp_path / 'visits.csv'), '--longitudinal', '-o', str(out), '--preset', 'generic']) == 0
    rows = _rows(out / 'change.csv')
    assert float(rows[0]['change_percent']) == 0
    change = float(rows[1]['change_percent'])
    assert 12 < change < 28
    rate = 100 * ((1 + change / 100) ** (365.25 / 182) - 1)
    assert float(rows[1]['change_percent_per_year']) == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize(
    'words, told',
    [
        (['{0}'], 'found one frame'),
        (['{0}', '{1}', '--reference', '5'], 'reference is 5'),
        (['{0}', '{1}', '--cycle'], 'cycle was given'),
        (['{0}', '{1}', '--to', 'previous', '--reference', '2'], 'the chain begins there'),
        (['{0}', '{1}', '--labels', 'nothing.nii.gz'], 'nothing.nii.gz'),
        (['{0}', '{1}', '--labels', '{0}.3d.nii.gz'], 'found labels in 3-D, expected 2-D'),
        (['{0}', '{1}', '--longitudinal', '--motion', 'affine'], '--motion was given with --longitudinal'),
        (['{0}', '{1}', '{ct}'], 'in Hounsfield units among 2 others, expected one contrast'),
        (['{0}', '{1}', '--landmarks', 'nothing.csv'], 'nothing.csv: found no such file'),
    ],
)
def test_wrong_input_is_one_sentence(words, told, tmp_path, capsys):
    files, _ = _series(tmp_path, 2, 16, count=2)
    write_volume(f'{files[0]}.3d.nii.gz', Volume(np.ones((4, 4, 4), np.uint8), Geometry.from_parts((4, 4, 4))))
    ct = tmp_path / 'ct.nii.gz'
    write_volume(
        ct, Volume(np.linspace(-1000, 40, 256, dtype=np.float32).reshape(16, 16), Geometry.from_parts((16, 16)))
    )
    assert main(['series', *(word.format(*files, ct=ct) for word in words), '-o', str(tmp_path / 'out')]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count('\n') == 1 and not (tmp_path / 'out').exists()


def test_parameters_of_a_motion():
    matrix = _turned(3, 10.0, 3.0)
    assert parameters(matrix, np.zeros(3)) == pytest.approx([3, 0, 0, 0, 0, 10])
    assert power_displacement([0, 0, 0, 0, 0, 0], [1, -1, 0, 0, 0, 180 / np.pi], 3) == pytest.approx(52)
