"""How large results are: files of ITK's form, told before a list begins, and refused where the disk is too small."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.commands.register import main
from mmreg.errors import DataError
from mmreg.io import Geometry, Transform, displacement_transform, read_transform, write_transform, write_volume
from mmreg.io.displacement import fine_step
from mmreg.registration.cohort.cases import read_cases
from mmreg.registration.cohort.disk import check_disk
from mmreg.registration.cohort.job import CohortJob
from mmreg.registration.cohort.settings import CohortSettings
from mmreg.registration.options import OUTPUT_NAMES, RunOptions
from mmreg.registration.results.sizes import SIZES, in_words, result_bytes

from .phantoms import centred, draw, pose, write_preset

ROOT = Path(__file__).parents[2]


def smooth_field(shape):
    axes = np.stack(np.meshgrid(*[np.linspace(0, 6, n) for n in shape], indexing='ij'))
    return (2 * np.sin(axes) + np.cos(2 * axes[::-1])).astype(np.float32)


def test_fields_in_hdf5_are_small_and_itk_reads_them(tmp_path):
    pytest.importorskip('h5py')
    geometry = Geometry.from_parts((40, 36, 30), (1.5, 1.2, 2.0), (5.0, -3.0, 1.0))
    affine = np.array([[1.0, 0.1, 0, 3], [0, 0.9, 0, -2], [0, 0, 1.1, 4], [0, 0, 0, 1]])
    transform = displacement_transform(smooth_field(geometry.shape), geometry, affine, step=fine_step(geometry))
    write_transform(tmp_path / 'small.h5', transform)
    sitk.WriteTransform(transform.itk, str(tmp_path / 'large.h5'))
    assert (tmp_path / 'small.h5').stat().st_size < 0.25 * (tmp_path / 'large.h5').stat().st_size
    points = np.random.default_rng(0).uniform([0, -3, 1], [50, 35, 55], (300, 3))
    alone = Transform(sitk.ReadTransform(str(tmp_path / 'small.h5')))
    np.testing.assert_array_equal(alone.transform_points(points), transform.transform_points(points))
    np.testing.assert_allclose(read_transform(tmp_path / 'small.h5').transform_points(points),
                               transform.transform_points(points))  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ['large.h5', 'small.h5']


def test_rounding_is_below_a_five_hundredth_of_a_voxel():
    geometry = Geometry.from_parts((12, 11, 10), (0.9, 1.7, 3.3))
    field = smooth_field(geometry.shape)
    rounded, exact = (displacement_transform(field, geometry, step=step) for step in (fine_step(geometry), None))
    grid = np.random.default_rng(0).uniform(1, 9, (200, 3)) * geometry.spacing
    off = np.abs(rounded.transform_points(grid) - exact.transform_points(grid))
    assert 0 < off.max() <= 0.9 / 512 * 1.001


def test_without_h5py_files_are_larger_but_there(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'h5py', None)
    geometry = Geometry.from_parts((20, 18, 16), (1.0, 1.0, 1.0))
    transform = displacement_transform(smooth_field(geometry.shape), geometry)
    write_transform(tmp_path / 'a.h5', transform)
    points = np.full((1, 3), 7.3)
    np.testing.assert_allclose(
        read_transform(tmp_path / 'a.h5').transform_points(points), transform.transform_points(points)
    )


def test_every_output_has_a_size_and_a_line_in_the_docs():
    assert set(SIZES) == set(OUTPUT_NAMES)
    page = (ROOT / 'docs/options.md').read_text(encoding='utf-8').partition('## What is written')[2]
    brain = Geometry.from_parts((80, 96, 112), (2.0, 2.0, 2.0))
    for name in OUTPUT_NAMES:
        line = next(line for line in page.splitlines() if line.startswith(f'| `{name}` |'))
        told = in_words(result_bytes(brain, [name]) - result_bytes(brain, []))
        assert line.endswith(f'| {told} |') or SIZES[name] == (0.0, 0.0), (line, told)
    assert result_bytes(brain) < 25e6


@pytest.mark.parametrize(('count', 'text'), [(10, '1 kB'), (4.2e4, '42 kB'), (1.24e6, '1.2 MB'), (9.96e9, '10 GB')])
def test_in_words(count, text):
    assert in_words(count) == text


@pytest.fixture
def listed(tmp_path):
    """A job and its cases."""
    for name in 'ab':
        write_volume(tmp_path / f'{name}.nii.gz', draw(centred((20, 18, 16), (4.0, 4.0, 4.0)), pose(0, (1, 0, 0))))
    (tmp_path / 'pairs.csv').write_text('fixed,moving\na.nii.gz,b.nii.gz\nb.nii.gz,a.nii.gz\n')
    write_preset(tmp_path, '\noptimisation = dict(levels=[dict(scale=1, iterations=1)])\naffine = None\n')
    return CohortJob(RunOptions(), CohortSettings(tmp_path / 'new/out')), read_cases(tmp_path / 'pairs.csv')


def test_a_list_says_what_it_needs(listed):
    told, (job, cases) = [], listed
    needed = check_disk(job, cases, told.append)
    assert needed == pytest.approx(2 * result_bytes(Geometry.from_parts((20, 18, 16), (4.0, 4.0, 4.0))))
    assert len(told) == 1 and told[0].startswith('2 pairs: about ') and told[0].endswith(' are free')
    assert check_disk(replace(job, how=replace(job.how, outputs=('metrics',))), cases) < 0.1 * needed
    assert not job.how.out_dir.exists()


def test_a_list_without_room_does_not_begin(listed, monkeypatch, capsys):
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    job, cases = listed
    with pytest.raises(DataError, match=r'new/out: found 1 kB of free disk, expected about .* for 2 pairs'):
        check_disk(job, cases)
    folder = job.how.out_dir.parents[1]
    words = ['--pairs', folder / 'pairs.csv', '-o', folder / 'out', '--preset', folder / 'tiny.py', '--device', 'cpu']
    assert main([*map(str, words)]) == 2
    assert 'of free disk' in capsys.readouterr().err and not (folder / 'out').exists()
    for case in cases:
        (folder / 'out' / case.case_id).mkdir(parents=True)
        (folder / 'out' / case.case_id / 'plan.json').write_text('{}')
    assert check_disk(replace(job, how=replace(job.how, out_dir=folder / 'out')), cases) == 0, (
        'finished cases take their own places again'
    )
