"""Templates: nearer to the shape the scans were made from than any scan; resumable; honest about failures."""

import csv
import os
from dataclasses import replace

import numpy as np
import pytest

from mmreg.cli import main
from mmreg.errors import ConfigError, DataError
from mmreg.io import Geometry, Volume, affine_transform, read_image, read_labels, resample_to, write_volume
from mmreg.populations.affine_means import centred, common_grid, mean_affine, power_of
from mmreg.populations.averages import ImageAverage, intensity_scale
from mmreg.populations.fields import composed, inverted, mirrored
from mmreg.populations.sampling import sampled_on
from mmreg.populations.scans import read_scans
from mmreg.populations.template.build import build_template
from mmreg.populations.template.settings import TemplateSettings
from mmreg.registration.cohort.engines.base import LocalEngine
from mmreg.transforms.files import load_transform
from mmreg.utils.text_files import read_json

from .made import QUICK, group

SHORT = TemplateSettings(rounds=2, affine_rounds=1, align='rigid', schedule=(1.0,))


class Counting(LocalEngine):
    """Counts the cases that are really registered."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.done, self.stop_after = 0, stop_after

    def run(self, job, cases, report=lambda outcome: None):
        def told(outcome):
            self.done += outcome.status == 'done'
            report(outcome)
            if self.done == self.stop_after:
                raise KeyboardInterrupt

        return super().run(job, cases, told)


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp('template')
    images, labels, truth = group(folder, count=4)
    scans = read_scans(images, labels)
    return folder, scans, truth, build_template(scans, folder / 'out', SHORT, QUICK)


def _rows(path):
    return list(csv.DictReader(path.read_text(encoding='utf-8').splitlines()))


def _likeness(volume, truth):
    there = resample_to(volume, truth.geometry).array
    return np.corrcoef(there.ravel(), truth.array.ravel())[0, 1]


def test_nearer_to_the_truth_than_the_best_scan(built):
    _, scans, truth, result = built
    best = max(_likeness(scan.read(), truth) for scan in scans)
    assert _likeness(result.template, truth) > best + 0.005
    assert result.failures == {}


def test_its_shape_is_the_mean_of_the_scans(built):
    """The mean of the displacements from the template is much smaller than each of them."""
    folder, scans, _, result = built
    grid = result.template.geometry
    fields = []
    for scan in scans:
        transform = load_transform(folder / 'out' / 'transforms' / scan.scan_id)
        affine = load_transform(folder / 'out' / 'rounds' / 'affines' / f'{scan.scan_id}.tfm').affine
        points = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing='ij'), -1).reshape(-1, grid.ndim)
        world = grid.voxel_to_world(points)
        there = transform.transform_points(world)
        back = np.linalg.inv(affine)
        fields.append(there @ back[:-1, :-1].T + back[:-1, -1] - world)
    lengths = np.sqrt(np.square(fields).sum(-1).mean(-1))
    assert np.sqrt(np.square(np.mean(fields, 0)).sum(-1).mean()) < 0.3 * lengths.mean()


def test_scans_of_one_grid_keep_it(built):
    _, scans, _, result = built
    shared = scans[0].geometry
    assert result.template.geometry.same_grid(shared)
    boxes = [shared, Geometry.from_parts(shared.shape, shared.spacing, shared.origin + np.array([0.5, 0.0]))]
    assert not common_grid(boxes, [np.eye(3)] * 2, None).same_grid(shared, 1e-6)
    assert common_grid([shared] * 2, [np.eye(3)] * 2, 2.0).spacing == (2.0, 2.0)


def test_a_spline_keeps_details_and_the_range_of_the_image():
    stripes = 5 + 5 * np.sin(np.pi / 2 * np.arange(32))[:, None] * np.ones((1, 8))
    stripes[16:] = 0
    image = Volume(stripes.astype(np.float32), Geometry.from_parts(stripes.shape))
    half = Geometry.from_parts((31, 7), origin=(0.5, 0.5))
    there = affine_transform(np.eye(3))
    (sharp, covered), (blurred, _) = (sampled_on(image, half, there, mode) for mode in ('spline', 'linear'))
    assert sharp.min() >= 0 and sharp.max() <= 10 and covered.all()
    assert np.ptp(sharp[4:12]) > 1.2 * np.ptp(blurred[4:12])


def test_the_second_affine_round_sets_out_from_the_first(built, tmp_path):
    _, scans, *_ = built
    settings = TemplateSettings(rounds=0, affine_rounds=2, align='rigid', keep_rounds=True)
    build_template(scans, tmp_path / 'out', settings, replace(QUICK, preset=None, cfg_options=None))
    rounds = tmp_path / 'out' / 'rounds'
    found = [read_json(rounds / name / 'scans' / scans[0].scan_id / 'plan.json') for name in ('01_affine', '02_affine')]
    starts = [plan['alignment']['start'] for plan in found]
    assert starts[0] != 'given' and starts[1].startswith('given')
    chosen = read_json(rounds / 'preset.json')
    assert [plan['preset']['name'] for plan in found] == [chosen['name']] * 2 and chosen['reasons']


def test_labels_are_voted_and_probable(built):
    folder, *_ = built
    voted = read_labels(folder / 'out' / 'labels.nii.gz').array
    shares = [read_image(folder / 'out' / 'probabilities' / f'label_{n}.nii.gz', check=False).array for n in (1, 2)]
    assert set(np.unique(voted)) == {0, 1, 2}
    assert min(s.min() for s in shares) >= 0 and np.sum(shares, 0).max() <= 1 + 1e-5
    for value, share in zip((1, 2), shares):
        assert (share[voted == value] >= 0.33).all()


def test_transforms_lead_there_and_back(built):
    folder, scans, _, result = built
    transform = load_transform(folder / 'out' / 'transforms' / scans[0].scan_id)
    points = np.array([[4.0, 6.0], [-12.0, 10.0], [0.0, 0.0]])
    back = transform.inverse().transform_points(transform.transform_points(points))
    np.testing.assert_allclose(back, points, atol=0.1)


def test_page_and_tables(built):
    folder, scans, _, result = built
    page = (folder / 'out' / 'index.html').read_text(encoding='utf-8')
    assert 'Convergence' in page and '<script' not in page and scans[0].scan_id in page
    rows = _rows(folder / 'out' / 'convergence.csv')
    assert [row['kind'] for row in rows] == ['affine', 'deformable', 'deformable']
    assert float(rows[-1]['shape_change_mm']) < float(rows[1]['shape_change_mm'])


def test_a_rerun_registers_nothing(built):
    folder, scans, *_ = built
    engine = Counting()
    before = (folder / 'out' / 'template.nii.gz').read_bytes()
    build_template(scans, folder / 'out', SHORT, QUICK, engine=engine)
    assert engine.done == 0 and (folder / 'out' / 'template.nii.gz').read_bytes() == before


def test_interrupted_anywhere_it_goes_on(built, tmp_path):
    folder, scans, _, result = built
    total = 0
    for stop in (2, 3, 4):
        engine = Counting(stop_after=stop)
        with pytest.raises(KeyboardInterrupt):
            build_template(scans, tmp_path / 'out', SHORT, QUICK, engine=engine)
        total += engine.done
    engine = Counting()
    again = build_template(scans, tmp_path / 'out', SHORT, QUICK, engine=engine)
    assert total + engine.done == 3 * len(scans)
    np.testing.assert_array_equal(again.template.array, result.template.array)


def test_a_scan_that_fails_is_listed_and_the_others_go_on(built, tmp_path):
    folder, scans, *_ = built
    images = [str(scan.image) for scan in scans[:3]]
    broken = tmp_path / 'flat.nii.gz'
    write_volume(broken, Volume(np.zeros((8, 8), np.float32), Geometry.from_parts((8, 8))))
    settings = TemplateSettings(rounds=0, affine_rounds=1, align='rigid')
    result = build_template(read_scans([*images, broken]), tmp_path / 'out', settings, QUICK)
    assert list(result.failures) == ['flat']
    rows = _rows(tmp_path / 'out' / 'failures.csv')
    assert rows[0]['scan_id'] == 'flat' and rows[0]['reason']


def test_symmetric_is_its_own_mirror_image(built, tmp_path):
    _, scans, truth, _ = built
    settings = TemplateSettings(rounds=1, affine_rounds=1, align='rigid', schedule=(1.0,), symmetric=True)
    found = build_template(scans[:3], tmp_path / 'out', settings, QUICK).template
    np.testing.assert_allclose(found.array, found.array[::-1], atol=1e-3)
    assert abs(found.geometry.centre[0]) < 1e-6
    assert _likeness(found, truth) > 0.9


def test_a_start_gives_the_grid_and_a_median_forgets_an_outlier(built, tmp_path):
    _, scans, truth, _ = built
    start = tmp_path / 'start.nii.gz'
    write_volume(start, truth)
    settings = TemplateSettings(rounds=0, affine_rounds=1, align='rigid', start=str(start), average='median')
    found = build_template(scans, tmp_path / 'out', settings, QUICK).template
    assert found.geometry.same_grid(truth.geometry)


def test_three_dimensions_from_the_command_line(tmp_path):
    images, labels, truth = group(tmp_path, count=2, ndim=3, size=20)
    words = ['template', *map(str, images), '-o', str(tmp_path / 'out'), '--labels', *map(str, labels)]
    assert main([*words, '--rounds', '1', '--affine-rounds', '1', '--align', 'rigid', '--preset', 'generic']) == 0
    assert read_image(tmp_path / 'out' / 'template.nii.gz').ndim == 3
    assert (tmp_path / 'out' / 'plan.json').is_file()


@pytest.mark.parametrize(
    'words, told',
    [
        (['one.nii.gz'], 'found 1 scan'),
        (['one.nii.gz', 'missing.nii.gz'], 'missing.nii.gz'),
        (['one.nii.gz', 'flat.nii.gz'], 'in 2-D among 3-D'),
        (['one.nii.gz', 'one.nii.gz'], "named 'one'"),
        (['one.nii.gz', 'two.nii.gz', '--rounds', '-1'], 'rounds is -1'),
        (['one.nii.gz', 'two.nii.gz', '--labels', 'one.nii.gz'], 'found 1 files for 2 scans'),
        (['one.nii.gz', 'two.nii.gz', '--labels', 'one.nii.gz', 'missing.nii.gz'], 'missing.nii.gz: found no such'),
        (['one.nii.gz', 'two.nii.gz', '--labels', 'one.nii.gz', 'flat.nii.gz'], 'found labels in 2-D, expected 3-D'),
        (['one.nii.gz', 'two.nii.gz', '--labels', 'one.nii.gz', 'pipe.nii.gz'], 'pipe.nii.gz: found a pipe'),
        (['one.nii.gz', 'pipe.nii.gz'], 'pipe.nii.gz: found a pipe'),
        (['one.nii.gz', 'two.nii.gz', '--start', 'flat.nii.gz'], 'found 2-D as start, expected 3-D'),
        (['one.nii.gz', 'two.nii.gz', 'ct.nii.gz'], 'found ct in Hounsfield units among 2 others'),
        (['one.nii.gz', 'two.nii.gz', '--label-names', 'missing.txt'], 'missing.txt: found no such file'),
        (['frames.csv'], 'found the frame 7 asked for, expected 1 to 1'),
        (['strange.csv'], 'unknown columns'),
        (['weights.csv'], "weight '-1'"),
        (['one.nii.gz', 'two.nii.gz', '--engine', 'slurm'], 'sbatch'),
        (['one.nii.gz', 'two.nii.gz', '--dask-scheduler', 'tcp://x:1'], '--engine dask'),
    ],
)
def test_wrong_input_is_one_sentence(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cube, square = (np.arange(6.0**n, dtype=np.float32).reshape((6,) * n) for n in (3, 2))
    for name, array in (('one', cube), ('two', cube), ('flat', square)):
        write_volume(f'{name}.nii.gz', Volume(array, Geometry.from_parts(array.shape)))
    write_volume('ct.nii.gz', Volume(cube - 1000, Geometry.from_parts(cube.shape)))
    os.mkfifo('pipe.nii.gz')
    (tmp_path / 'frames.csv').write_text('image,frame\none.nii.gz,7\ntwo.nii.gz,1\n')
    (tmp_path / 'strange.csv').write_text('image,colour\none.nii.gz,red\n')
    (tmp_path / 'weights.csv').write_text('image,weight\none.nii.gz,-1\ntwo.nii.gz,1\n')
    assert main(['template', *words, '-o', 'out']) == 2
    error = capsys.readouterr().err
    assert told in error and error.count('\n') == 1 and not (tmp_path / 'out').exists()


def test_mean_affine_is_the_middle():
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    half = mean_affine([np.eye(3), turn], [1, 1])
    np.testing.assert_allclose(half[:2, :2], np.array([[1, -1], [1, 1]]) / np.sqrt(2), atol=1e-9)
    np.testing.assert_allclose(power_of(turn, 0.5), half, atol=1e-9)
    seen = centred([np.eye(3), turn, half], [1, 1, 1])
    np.testing.assert_allclose(mean_affine(seen, [1, 1, 1]), np.eye(3), atol=1e-9)
    with pytest.raises(DataError, match='180 degrees or mirrors'):
        mean_affine([np.diag([-1.0, 1, 1]), np.eye(3)], [1, 1])


def test_fields_of_a_group():
    generator = np.random.default_rng(0)
    from scipy.ndimage import gaussian_filter

    field = np.stack([gaussian_filter(generator.normal(size=(24, 20)), 4) * 8 for _ in range(2)]).astype(np.float32)
    there_and_back = composed(field, inverted(field))
    assert np.abs(there_and_back[:, 4:-4, 4:-4]).max() < 0.02
    np.testing.assert_array_equal(mirrored(mirrored(field)), field)


def test_averages(tmp_path):
    images = [np.full((3, 3), value, np.float32) for value in (1.0, 2.0, 30.0)]
    covered = np.ones((3, 3), bool)
    hole = covered.copy()
    hole[0, 0] = False
    with ImageAverage('median', tmp_path) as median, ImageAverage('mean') as mean:
        for image, where in zip(images, (covered, covered, hole)):
            median.add(image, where)
            mean.add(image, where, 2.0)
        assert median.result()[1, 1] == 2 and median.result()[0, 0] == 1.5
        assert mean.result()[1, 1] == 11 and mean.result()[0, 0] == 1.5
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match='mean, median'):
        ImageAverage('mode')
    assert intensity_scale(np.array([-1000.0, 0, 40])) == 1
