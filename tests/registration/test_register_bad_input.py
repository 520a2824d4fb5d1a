"""Each mistake of a user of `mmreg register`: one sentence, exit code 2, and nothing left behind."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.commands.register import main
from mmreg.io import Geometry, Volume, write_volume
from tests.io.helpers import smooth_image

from .phantoms import write_preset

GRID = Geometry.from_parts((16, 16, 16), (1.0, 1.5, 2.0))


@pytest.fixture
def good(tmp_path):
    folder = tmp_path / 'data'
    folder.mkdir()
    labels = np.zeros(GRID.shape, np.uint8)
    labels[4:8, 4:8, 4:8] = 1
    for seed, name in enumerate(('fixed', 'moving')):
        write_volume(folder / f'{name}.nii.gz', smooth_image(GRID, seed))
        write_volume(folder / f'{name}_labels.nii.gz', Volume(labels, GRID))
    write_preset(folder)
    return folder


@pytest.fixture
def refused(tmp_path, capfd):
    """Run the command, expect one sentence with these words and no trace of output."""

    def check(*arguments, words, out=True):
        before = sorted(tmp_path.rglob('*'))
        code = main([*map(str, arguments), *(['-o', str(tmp_path / 'out')] if out else []), '--device', 'cpu'])
        err = capfd.readouterr().err
        lines = err.strip().splitlines()
        assert code == 2, err
        assert len(lines) == 1 and lines[0].startswith('mmreg: error: '), err
        assert words in lines[0], err
        assert sorted(tmp_path.rglob('*')) == before

    return check


def pair(folder, **changed):
    files = {'fixed': folder / 'fixed.nii.gz', 'moving': folder / 'moving.nii.gz'} | changed
    return [files['fixed'], files['moving'], '--preset', folder / 'tiny.py']


def save(path, array, grid=GRID):
    write_volume(path, Volume(array, grid))
    return path


def test_images(refused, good):
    refused(*pair(good, moving=good / 'absent.nii.gz'), words='absent.nii.gz: found no such file')
    cut = good / 'cut.nii.gz'
    cut.write_bytes((good / 'moving.nii.gz').read_bytes()[:2000])
    refused(*pair(good, fixed=cut), words='cut.nii.gz: found a truncated')
    (good / 'text.nrrd').write_text('this is no image\n' * 50)
    refused(*pair(good, fixed=good / 'text.nrrd'), words='text.nrrd')
    (good / 'empty').mkdir()
    refused(*pair(good, fixed=good / 'empty'), words='without a DICOM series')
    flat = save(good / 'flat.nii.gz', np.full(GRID.shape, 7, np.float32))
    refused(*pair(good, fixed=flat), words='constant image')
    array = smooth_image(GRID).array.copy()
    array[3, 4, 5] = np.nan
    refused(*pair(good, moving=save(good / 'nan.nii.gz', array)), words='NaN or infinite')


def test_dimensions_and_channels(refused, good):
    write_volume(good / 'plane.nii.gz', smooth_image(Geometry.from_parts((20, 20))))
    refused(*pair(good, moving=good / 'plane.nii.gz'), words='found a 2-D image, expected 3-D as')
    write_volume(good / 'two.nrrd', smooth_image(GRID, channels=2))
    refused(*pair(good, moving=good / 'two.nrrd'), words='found 2 channels, expected 1 as in')
    frames = sitk.JoinSeries([sitk.GetImageFromArray(np.random.rand(9, 9, 9).astype(np.float32))] * 12)
    sitk.WriteImage(frames, str(good / 'cine.nii.gz'))
    refused(*pair(good, fixed=good / 'cine.nii.gz', moving=good / 'cine.nii.gz'), words='one volume of a time series')


def test_what_comes_with_the_images(refused, good):
    shifted = Geometry.from_parts((16, 16, 16), (1.0, 1.5, 2.0), (0.0, 0.0, 3.0))
    elsewhere = save(good / 'elsewhere.nii.gz', np.ones(GRID.shape, np.uint8), shifted)
    refused(*pair(good), '--fixed-labels', elsewhere, words='expected the grid of')
    refused(*pair(good), '--moving-mask', elsewhere, words='expected the grid of')
    empty = save(good / 'empty.nii.gz', np.zeros(GRID.shape, np.uint8))
    refused(*pair(good), '--fixed-mask', empty, words='empty mask')
    refused(*pair(good), '--moving-labels', good / 'moving.nii.gz', words='expected whole numbers')
    (good / 'flat.csv').write_text('1,2\n4,5\n')
    refused(*pair(good), '--moving-landmarks', good / 'flat.csv', words='expected 3')


def test_affine(refused, good):
    refused(*pair(good), '--affine', 'rigit', words='affine: found no file rigit, expected one or auto')
    np.savetxt(good / 'zero.txt', np.zeros((4, 4)))
    refused(*pair(good), '--affine', good / 'zero.txt', words='invertible')
    far = smooth_image(Geometry.from_parts((16, 16, 16), origin=(500.0, 0, 0)))
    write_volume(good / 'far.nii.gz', far)
    refused(*pair(good, moving=good / 'far.nii.gz'), '--affine', 'none', words='nothing in common')


def test_presets(refused, good):
    two = [good / 'fixed.nii.gz', good / 'moving.nii.gz']
    refused(*two, '--preset', 'brain-t2', words="there is no such preset; did you mean 'brain_t1'?")
    refused(*two, '--preset', good / 'absent.py', words='there is no such config file')
    (good / 'model_only.py').write_text("model = dict(type='Registrar')\n")
    refused(*two, '--preset', good / 'model_only.py', words='has no key optimisation, expected a preset')
    (good / 'broken.py').write_text('model = dict(\n')
    refused(*two, '--preset', good / 'broken.py', words='broken.py, line')
    refused(*pair(good), '--cfg-options', 'optimisation.level=3', words="did you mean 'levels'")
    refused(*pair(good), '--cfg-options', 'model.flow_head.type=CoarseToFineHead', words='CoarseToFineHead')
    refused(*pair(good), '--cfg-options', '+optimisation.steps=3', words="optimisation has 'steps'")
    refused(*pair(good), '--cfg-options', '+affine.transfrom=rigid', words="affine has the keys ['transfrom']")
    refused(*pair(good), '--cfg-options', 'model.losses.similarity.type=MZE', words='MZE')
    refused(*pair(good), '--cfg-options', '+inference.spacing=-1', words='inference.spacing is -1')


def test_options_that_contradict(refused, good):
    refused(good / 'fixed.nii.gz', words='FIXED and MOVING are missing')
    refused(*pair(good), out=False, words='--out is missing')
    refused(*pair(good), '--pairs', good / 'list.csv', words='--pairs and FIXED were given')
    refused(*pair(good), '--refine', 5, words='--refine was given without --model')
    refused(*pair(good), '--checkpoint', good / 'x.pth', words='preset and a network were given')
    refused(*pair(good), '--model', good / 'x.py', words='--model and --preset were given')
    refused(*pair(good), '--refine', -1, words='--refine is -1')
    refused(*pair(good), '--batch-size', 0, words='--batch-size is 0')
    refused(*pair(good), '--outputs', 'everything', words='--outputs everything is unknown')
    refused(*pair(good), '--layout', 'lumir', words='--pairs LIST')
    refused(*pair(good), '--plugin', good / 'absent.py', words='there is no such file')


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('fixed,movin\na.nii.gz,b.nii.gz\n', "no 'moving'"),
        ('fixed,moving\na.nii.gz,b.nii.gz\na.nii.gz,b.nii.gz\n', "2 pairs named 'a_b'"),
        ('fixed,moving,case_id\na.nii.gz,b.nii.gz,../x\n', 'cannot name a folder'),
        ('', 'found no list of pairs'),
    ],
)
def test_lists(refused, good, text, words):
    (good / 'list.csv').write_text(text)
    refused('--pairs', good / 'list.csv', words=words)


def test_ranks(refused, good, monkeypatch):
    (good / 'list.csv').write_text('fixed,moving\nfixed.nii.gz,moving.nii.gz\n')
    monkeypatch.setenv('RANK', '3')
    monkeypatch.setenv('WORLD_SIZE', '2')
    refused('--pairs', good / 'list.csv', '--preset', good / 'tiny.py', words='RANK is 3 and WORLD_SIZE 2')
    monkeypatch.setenv('RANK', 'first')
    refused('--pairs', good / 'list.csv', '--preset', good / 'tiny.py', words='expected numbers')


def test_device(good, tmp_path, capfd):
    arguments = [*map(str, pair(good)), '-o', str(tmp_path / 'out')]
    assert main([*arguments, '--device', 'tpv']) == 2
    assert "device 'tpv' is unknown" in capfd.readouterr().err


def test_out_is_a_file(good, tmp_path, capfd):
    (tmp_path / 'out').write_text('mine')
    assert main([*map(str, pair(good)), '-o', str(tmp_path / 'out'), '--device', 'cpu']) == 2
    assert 'found a file' in capfd.readouterr().err
    assert (tmp_path / 'out').read_text(encoding='utf-8') == 'mine'


def test_the_good_files_work(good, tmp_path):
    assert main([*map(str, pair(good)), '-o', str(tmp_path / 'out'), '--device', 'cpu', '--outputs', 'metrics']) == 0
    assert json.loads((tmp_path / 'out' / 'plan.json').read_text(encoding='utf-8'))['preset']['name'] == 'tiny'
