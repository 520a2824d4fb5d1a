"""Each mistake of a user, through the real command: one sentence, an exit code, and nothing left behind."""

import gzip
import pickle
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from mmreg.apis import init_model
from mmreg.io import Geometry, Volume, write_volume
from tests.io.helpers import smooth_image

from .conftest import PLUGIN

GRID = Geometry.from_parts((16, 16, 16), (1.0, 1.5, 2.0))


@pytest.fixture
def good(tmp_path):
    """Files that work: images, labels, landmarks."""
    folder = tmp_path / 'data'
    folder.mkdir()
    labels = np.zeros(GRID.shape, np.uint8)
    labels[4:8, 4:8, 4:8], labels[9:12, 4:8, 4:8] = 1, 2
    for name, seed in (('fixed', 0), ('moving', 1)):
        write_volume(folder / f'{name}.nii.gz', smooth_image(GRID, seed))
        write_volume(folder / f'{name}_labels.nii.gz', Volume(labels, GRID))
        (folder / f'{name}_points.csv').write_text('1,2,3\n4,5,6\n')
    return folder


@pytest.fixture
def refused(command, tmp_path, capfd):
    """Run the command, expect one sentence with these words and no trace of output."""

    def check(*arguments, words, **head):
        before = sorted(tmp_path.rglob('*'))
        code = command(*arguments, '--out', tmp_path / 'out', **head)
        out, err = capfd.readouterr()
        lines = err.strip().splitlines()
        assert code == 2 and (out == '' or re.fullmatch('registering [^\n]+\n', out)), out
        assert len(lines) == 1 and lines[0].startswith('mmreg: error: '), err
        assert words in lines[0], err
        after = [path for path in sorted(tmp_path.rglob('*')) if path.name != 'config.py']
        assert after == [path for path in before if path.name != 'config.py']

    return check


def pair(folder, **changed):
    files = {'fixed': folder / 'fixed.nii.gz', 'moving': folder / 'moving.nii.gz', **changed}
    return [x for key, value in files.items() for x in (f'--{key.replace("_", "-")}', value)]


def labelled(folder, **changed):
    files = {f'{role}_labels': folder / f'{role}_labels.nii.gz' for role in ('fixed', 'moving')}
    return pair(folder, **{**files, **changed})


def save(path, array, grid=GRID):
    write_volume(path, Volume(array, grid))
    return path


def patched(source, target, code, offset, value):
    """A NIfTI file with one header field changed."""
    raw = bytearray(gzip.decompress(source.read_bytes()))
    struct.pack_into(code, raw, offset, value)
    target.write_bytes(gzip.compress(bytes(raw)))
    return target


def test_the_good_files_work(command, good, tmp_path, capfd):
    points = {f'{role}_landmarks': good / f'{role}_points.csv' for role in ('fixed', 'moving')}
    assert command(*labelled(good, **points), '--out', tmp_path / 'out') == 0
    names = {path.name for path in (tmp_path / 'out').iterdir()}
    assert {'warped.nii.gz', 'displacement.nii.gz', 'transform.h5', 'inverse_transform.h5', 'warped_labels.nii.gz',
            'landmarks_in_moving.csv', 'landmarks_in_moving_voxel.csv', 'landmarks_in_fixed.csv', 'metrics.csv',
            'metrics.json', 'overview.png', 'plan.json'} <= names  # fmt: skip
    assert 'dice' in capfd.readouterr().out


def test_missing_file(refused, good):
    refused(*pair(good, moving=good / 'absent.nii.gz'), words='absent.nii.gz: found no such file')


def test_truncated_gz(refused, good):
    cut = good / 'cut.nii.gz'
    cut.write_bytes((good / 'moving.nii.gz').read_bytes()[:2000])
    refused(*pair(good, moving=cut), words='cut.nii.gz: found a truncated')


@pytest.mark.parametrize('name', ['text.nii.gz', 'text.nrrd', 'text.mha', 'text.txt'])
def test_not_an_image(refused, good, name):
    (good / name).write_text('this is no image\n' * 50)
    refused(*pair(good, fixed=good / name), words=name)


def test_four_dimensions(refused, good):
    image = sitk.JoinSeries([sitk.GetImageFromArray(np.random.rand(9, 9, 9).astype(np.float32))] * 3)
    sitk.WriteImage(image, str(good / 'series.nii.gz'))
    refused(*pair(good, moving=good / 'series.nii.gz'), words='found a 4-D image')


def test_two_dimensions_for_a_model_of_three(refused, good):
    flat = smooth_image(Geometry.from_parts((20, 20)))
    write_volume(good / 'flat.nii.gz', flat)
    files = dict(fixed=good / 'flat.nii.gz', moving=good / 'flat.nii.gz')
    refused(*pair(good, **files), words='found a 2-D image, expected 3-D')


@pytest.mark.parametrize(('value', 'words'), [(np.nan, 'NaN or infinite'), (np.inf, '1 voxels that are infinite')])
def test_not_finite(refused, good, value, words):
    array = smooth_image(GRID).array.copy()
    array[3, 4, 5] = value
    refused(*pair(good, moving=save(good / 'nan.nii.gz', array)), words=words)


def test_constant(refused, good):
    flat = save(good / 'flat.nii.gz', np.full(GRID.shape, 7, np.float32))
    refused(*pair(good, fixed=flat), words='constant image (every voxel is 7)')


def test_empty_labels(refused, good):
    empty = save(good / 'empty.nii.gz', np.zeros(GRID.shape, np.uint8))
    refused(*labelled(good, moving_labels=empty), words='empty label map')


def test_different_label_sets(refused, command, good, tmp_path):
    labels = np.zeros(GRID.shape, np.uint8)
    labels[4:8, 4:8, 4:8], labels[9:12, 4:8, 4:8] = 1, 3
    other = save(good / 'other.nii.gz', labels)
    refused(*labelled(good, moving_labels=other), words='different label sets ([3] only in')
    labels[labels == 1] = 4
    strange = save(good / 'strange.nii.gz', labels)
    overlap = ['--label-sets', 'overlap']
    refused(*labelled(good, moving_labels=strange), *overlap, words='that share labels')
    assert command(*labelled(good, moving_labels=other), *overlap, '--out', tmp_path / 'overlap') == 0
    assert command(*labelled(good, moving_labels=other), '--labels', 1, '--out', tmp_path / 'one') == 0


def test_labels_on_another_grid(refused, good):
    shifted = Geometry.from_parts((16, 16, 16), (1.0, 1.5, 2.0), (0.0, 0.0, 3.0))
    labels = save(good / 'shifted.nii.gz', np.ones(GRID.shape, np.uint8), shifted)
    refused(*labelled(good, fixed_labels=labels), words='expected the grid of')


def test_labels_that_are_no_whole_numbers(refused, good):
    refused(*labelled(good, fixed_labels=good / 'fixed.nii.gz'), words='expected whole numbers')


def test_zero_spacing(refused, good):
    broken = patched(good / 'moving.nii.gz', good / 'zero.nii.gz', '<f', 80, 0.0)
    refused(*pair(good, moving=broken), words='spacing')


def test_geometry_that_cannot_be_inverted(refused, good):
    broken = good / 'flat.nii.gz'
    raw = bytearray(gzip.decompress((good / 'moving.nii.gz').read_bytes()))
    struct.pack_into('<hh', raw, 252, 0, 1)  # qform off, sform on
    struct.pack_into('<12f', raw, 280, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0)  # two axes in one direction
    broken.write_bytes(gzip.compress(bytes(raw)))
    refused(*pair(good, moving=broken), words='flat.nii.gz')


def test_no_overlap(refused, good):
    far = smooth_image(Geometry.from_parts((16, 16, 16), origin=(500.0, 0, 0)))
    write_volume(good / 'far.nii.gz', far)
    refused(*pair(good, moving=good / 'far.nii.gz'), words='nothing in common')


def test_landmarks(refused, good):
    (good / 'more.csv').write_text('1,2,3\n4,5,6\n7,8,9\n')
    points = dict(fixed_landmarks=good / 'fixed_points.csv', moving_landmarks=good / 'more.csv')
    refused(*pair(good, **points), words='fixed_landmarks has 2 points and moving_landmarks 3')
    (good / 'flat.csv').write_text('1,2\n4,5\n')
    refused(*pair(good, fixed_landmarks=good / 'flat.csv'), words='expected 3')


def test_checkpoint_of_another_architecture(refused, config, good):
    torch.save(init_model(config(), device='cpu').state_dict(), good / 'other.pth')
    words = 'belongs to another architecture'
    refused(*pair(good), '--checkpoint', good / 'other.pth', words=words, amplitude=1.0)


class _Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    'save_it', [torch.save, lambda x, p: Path(p).write_bytes(pickle.dumps(x))], ids=['torch', 'pickle']
)
def test_pickle_with_code(refused, good, tmp_path, save_it):
    trap = tmp_path / 'was_executed'
    save_it({'state_dict': _Attack(trap)}, good / 'evil.pth')
    refused(*pair(good), '--checkpoint', good / 'evil.pth', words='evil.pth')
    assert not trap.exists()


def test_checkpoint_that_is_none(refused, good):
    refused(*pair(good), '--checkpoint', good / 'absent.pth', words='no such checkpoint')
    (good / 'text.pth').write_text('weights')
    refused(*pair(good), '--checkpoint', good / 'text.pth', words='is not a checkpoint')


@pytest.mark.parametrize('affine', [np.zeros((4, 4)), np.eye(3)], ids=['zero', 'too small'])
def test_affine(refused, good, affine):
    np.savetxt(good / 'affine.txt', affine)
    refused(*pair(good), '--affine', good / 'affine.txt', words='affine')


def test_options_that_contradict(refused, good, tmp_path):
    refused('--fixed', good / 'fixed.nii.gz', words='--fixed and --moving are missing')
    refused(*pair(good), '--pairs', good / 'list.csv', words='expected one pair or a list')
    refused(*pair(good), '--layout', 'learn2reg', words='--pairs LIST')
    refused(*pair(good), '--outputs', 'everything', words='--outputs everything is unknown')
    refused(*pair(good), '--cfg-options', 'model.backbon.levels=3', words="did you mean 'backbone'")


@pytest.mark.parametrize(
    ('name', 'text', 'words'),
    [
        ('list.csv', 'fixed,movin\na.nii.gz,b.nii.gz\n', "no 'moving'"),
        ('list.json', '{"training": [{"image": "a.nii.gz"}]}', 'found no pairs'),
        ('list.json', '{"pairs": ', 'not readable as JSON'),
        ('list.json', '[{"fixed": "a.nii.gz"}]', "no 'moving'"),
        ('list.csv', 'fixed,moving\na.nii.gz,b.nii.gz\na.nii.gz,b.nii.gz\n', "2 pairs named 'a_b'"),
        ('list.csv', 'fixed,moving,case_id\na.nii.gz,b.nii.gz,../x\n', 'cannot name a folder'),
        ('list.txt', 'a b', 'expected a pair list'),
    ],
)
def test_lists(refused, good, name, text, words):
    (good / name).write_text(text)
    refused('--pairs', good / name, words=words)


def test_out_is_a_file(command, good, tmp_path, capfd):
    (tmp_path / 'out').write_text('mine')
    assert command(*pair(good), '--out', tmp_path / 'out') == 2
    assert 'found a file' in capfd.readouterr().err
    assert (tmp_path / 'out').read_text(encoding='utf-8') == 'mine'


def test_as_a_process(good, command, tmp_path):
    """The script itself: what the shell sees."""
    command(*pair(good), '--out', tmp_path / 'written')  # leaves its config behind
    (good / 'cut.nii.gz').write_bytes((good / 'moving.nii.gz').read_bytes()[:2000])
    script = Path(__file__).parents[2] / 'tools' / 'inference.py'
    arguments = [tmp_path / 'config.py', *pair(good, moving=good / 'cut.nii.gz'), '--out', tmp_path / 'out']
    done = subprocess.run(
        [sys.executable, str(script), *map(str, arguments), '--plugin', str(PLUGIN)], capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stdout == 'registering cut.nii.gz to fixed.nii.gz\n'
    assert done.stderr.strip().splitlines() == [done.stderr.strip()]
    assert 'cut.nii.gz: found a truncated' in done.stderr
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('when', ['displace', 'save'])
def test_interruption(command, good, tmp_path, monkeypatch, capfd, number, when):
    """Ctrl-C and SIGTERM at any step: nothing new, nothing lost."""
    from mmreg.apis import RegistrationInferencer
    from mmreg.registration.results import outputs

    out = tmp_path / 'out'
    assert command(*pair(good), '--out', out, '--outputs', 'metrics') == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def interrupted(*arguments, **options):
        signal.raise_signal(number)

    if when == 'save':
        monkeypatch.setitem(outputs.OUTPUTS, 'overview', interrupted)
    else:
        monkeypatch.setattr(RegistrationInferencer, when, interrupted)
    assert command(*pair(good), '--out', out) == 130
    assert 'stopped by the user' in capfd.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ['config.py', 'data', 'out']
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
