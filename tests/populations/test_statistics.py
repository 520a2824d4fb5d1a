"""Local volumes of a cohort: maps from known transforms, and a test that keeps its promise."""

import csv
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mmreg.cli import main
from mmreg.io import Geometry, Volume, affine_transform, read_image, write_transform, write_volume
from mmreg.populations.statistics.compare import cohort_statistics
from mmreg.populations.statistics.permutation import two_groups
from mmreg.populations.statistics.volumes import TemplateSpace


def _space(folder, scales):
    """A template whose scans are larger or smaller by a factor per axis."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 16)] * 2, indexing='ij'))
    image = 100.0 * (np.sqrt((grid**2).sum(0)) < 0.8)
    geometry = Geometry.from_parts((16, 16), (2.0, 2.0), (-15.0, -15.0))
    write_volume(folder / 'template.nii.gz', Volume(image.astype(np.float32), geometry))
    for number, scale in enumerate(scales):
        matrix = np.diag([scale, scale, 1.0])
        write_transform(folder / 'transforms' / f'scan{number}' / 'transform.h5', affine_transform(matrix))
    return folder


def test_maps_and_regions_of_known_sizes(tmp_path):
    scales = [1.0, 1.1, 0.9]
    folder = _space(tmp_path / 'template', scales)
    assert main(['statistics', str(folder), '-o', str(tmp_path / 'out')]) == 0
    expected = 2 * np.log(scales)
    for number, value in enumerate(expected):
        found = read_image(tmp_path / 'out' / 'jacobians' / f'scan{number}.nii.gz', check=False).array
        np.testing.assert_allclose(found, value, atol=1e-5)
    mean = read_image(tmp_path / 'out' / 'mean.nii.gz', check=False).array
    np.testing.assert_allclose(mean, expected.mean(), atol=1e-5)
    spread = read_image(tmp_path / 'out' / 'sd.nii.gz', check=False).array
    np.testing.assert_allclose(spread, np.std(expected, ddof=1), atol=1e-5)
    rows = list(csv.DictReader((tmp_path / 'out' / 'regions.csv').read_text(encoding='utf-8').splitlines()))
    volumes = [float(row['volume_ml']) for row in rows]
    np.testing.assert_allclose(np.array(volumes) / volumes[0], np.square(scales), rtol=1e-5)


def test_two_groups(tmp_path, capsys):
    folder = _space(tmp_path / 'template', [1.0, 1.01, 0.99, 1.2, 1.21, 1.19])
    lines = [f'scan{n},{"small" if n < 3 else "tall"}' for n in range(6)]
    (tmp_path / 'groups.csv').write_text('scan_id,group\n' + '\n'.join(lines) + '\n')
    words = ['statistics', str(folder), '-o', str(tmp_path / 'out'), '--groups', str(tmp_path / 'groups.csv')]
    assert main(words) == 0
    p = read_image(tmp_path / 'out' / 'p_fwe.nii.gz', check=False).array
    t = read_image(tmp_path / 'out' / 't.nii.gz', check=False).array
    assert p.min() == pytest.approx(2 / 20) and p[0, 0] == 1 and t.max() > 10
    row = next(csv.DictReader((tmp_path / 'out' / 'groups.csv').read_text(encoding='utf-8').splitlines()))
    assert float(row['difference_percent']) == pytest.approx(100 * (1.2 / 1.0) ** 2 - 100, abs=0.5)
    assert '20 permutations' in capsys.readouterr().out and (tmp_path / 'out' / 'index.html').is_file()


def test_the_family_of_errors_is_kept_below_its_level():
    """Of data without any difference, one in twenty sets at most shows one; the test is not blind either."""
    generator = np.random.default_rng(0)
    members = np.arange(12) >= 6
    false = 0
    for trial in range(60):
        values = generator.normal(size=(12, 200))
        false += two_groups(values.__getitem__, 200, members, 100, trial)[1].min() <= 0.05
    assert false <= 8  # 3 expected; 9 or more happen once in 250 times
    values = generator.normal(size=(12, 200))
    values[members, 7] += 6
    t, p, count = two_groups(values.__getitem__, 200, members, 400, 1)
    assert count == 400 and p.argmin() == 7 and p[7] <= 0.01 and t[7] > 5


def test_t_is_that_of_scipy():
    from scipy.stats import ttest_ind

    generator = np.random.default_rng(2)
    values, members = generator.normal(size=(9, 30)), np.arange(9) >= 4
    t, _, _ = two_groups(values.__getitem__, 30, members, 50)
    np.testing.assert_allclose(t, ttest_ind(values[members], values[~members]).statistic, rtol=1e-9)


@pytest.mark.parametrize(
    'groups, told',
    [
        ('scan_id,group\nscan0,a\n', 'no group of scan1'),
        ('scan_id,group\nscan0,a\nscan1,a\nscan2,a\nscan3,a\n', 'two groups'),
        ('scan,team\nscan0,a\n', 'expected scan_id and group'),
        ('scan_id,group\nscan0,a\nscan0,b\n', 'twice'),
    ],
)
def test_groups_that_cannot_be_compared(groups, told, tmp_path, capsys):
    folder = _space(tmp_path / 'template', [1.0, 1.1, 0.9, 1.0])
    (tmp_path / 'groups.csv').write_text(groups)
    words = ['statistics', str(folder), '-o', str(tmp_path / 'out'), '--groups', str(tmp_path / 'groups.csv')]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert told in error and 'Traceback' not in error and not (tmp_path / 'out').exists()


def test_a_folder_without_template(tmp_path, capsys):
    assert main(['statistics', str(tmp_path), '-o', str(tmp_path / 'out')]) == 2
    assert 'a folder of `mmreg template`' in capsys.readouterr().err


def test_what_is_mapped_stays_mapped(tmp_path, monkeypatch):
    """Stopped at the third scan, it goes on there; a map from another transform is made again."""
    folder, out = _space(tmp_path / 'template', [1.0, 1.1, 0.9, 1.05]), tmp_path / 'out'
    made, true = [], TemplateSpace.log_jacobian

    def mapped(self, scan_id, smooth_mm=0.0):
        if len(made) == 2 and not (out / 'mean.nii.gz').exists():
            made.clear()
            raise KeyboardInterrupt
        made.append(scan_id)
        return true(self, scan_id, smooth_mm)

    monkeypatch.setattr(TemplateSpace, 'log_jacobian', mapped)

    def run(*words):
        made.clear()
        return main(['statistics', str(folder), '-o', str(out), *words]), list(made)

    assert run()[0] == 130 and sorted(p.name for p in (out / 'jacobians').glob('*.gz')) == [
        'scan0.nii.gz', 'scan1.nii.gz',
    ]  # fmt: skip
    assert run() == (0, ['scan2', 'scan3'])
    whole = {path.name: path.read_bytes() for path in out.rglob('*.gz')}
    assert run() == (0, [])
    assert {path.name: path.read_bytes() for path in out.rglob('*.gz')} == whole
    write_transform(folder / 'transforms' / 'scan1' / 'transform.h5', affine_transform(np.diag([1.2, 1.2, 1.0])))
    (out / 'jacobians' / 'scan3.nii.gz').write_bytes(b'half')
    assert run() == (0, ['scan1', 'scan3'])
    assert run('--smooth', '2') == (0, ['scan0', 'scan1', 'scan2', 'scan3'])


def test_a_killed_run_goes_on(tmp_path):
    """SIGKILL in the middle: what is mapped is kept, and all files are those of a run that nobody stopped."""
    folder = _space(tmp_path / 'template', [1.0, 1.1, 0.9, 1.05, 0.95, 1.02])
    table = tmp_path / 'groups.csv'
    table.write_text('scan_id,group\n' + ''.join(f'scan{n},{"ab"[n % 2]}\n' for n in range(6)))
    words = ['statistics', str(folder), '--groups', str(table), '-o']
    assert main([*words, str(tmp_path / 'whole')]) == 0
    out = tmp_path / 'out'
    process = subprocess.Popen([sys.executable, '-c', _SLOWLY, *words, str(out)])
    try:
        end = time.monotonic() + 300
        while len(list((out / 'jacobians').glob('scan*.nii.gz'))) < 2:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.02)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL and not (out / 'mean.nii.gz').exists()
    kept = json.loads((out / 'jacobians' / 'made_from.json').read_text(encoding='utf-8'))['maps']
    ages = {name: (out / 'jacobians' / f'{name}.nii.gz').stat().st_mtime_ns for name in kept}
    assert len(ages) >= 1 and main([*words, str(out)]) == 0
    assert {name: (out / 'jacobians' / f'{name}.nii.gz').stat().st_mtime_ns for name in kept} == ages
    whole = {path.relative_to(tmp_path / 'whole') for path in (tmp_path / 'whole').rglob('*') if path.is_file()}
    assert whole == {path.relative_to(out) for path in out.rglob('*') if path.is_file()}
    for name in whole:
        assert (out / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes(), name


_SLOWLY = """
import sys, time
from mmreg.cli import main
from mmreg.populations.statistics.volumes import TemplateSpace
mapped = TemplateSpace.log_jacobian
def slowly(*args):
    time.sleep(0.5)
    return mapped(*args)
TemplateSpace.log_jacobian = slowly
sys.exit(main(sys.argv[1:]))
"""


def test_progress_is_told(tmp_path):
    folder, told = _space(tmp_path / 'template', [1.0, 1.1, 0.9, 1.05]), []
    groups = dict(zip((f'scan{n}' for n in range(4)), 'aabb'))
    space = TemplateSpace.read(folder)
    cohort_statistics(space, tmp_path / 'out', groups, told=lambda *what: told.append(what))
    assert told[:4] == [('maps of volume', n, 4) for n in range(1, 5)]
    assert told[-1] == ('voxels compared', space.mask.sum(), space.mask.sum())
