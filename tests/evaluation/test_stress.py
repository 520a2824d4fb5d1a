"""Stress tests: deformations of known size, and what perfect and idle models score."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from scipy.interpolate import BSpline
from scipy.ndimage import gaussian_filter

from mmreg.commands import stress
from mmreg.errors import InputError
from mmreg.evaluation.functional.field_error import lengths
from mmreg.evaluation.stress import deformations, harness
from mmreg.spatial import compose
from tests.golden.fill import image, labels

ROOT = Path(__file__).parents[2]


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize('spacing', [(1.0, 2.0), (1.0, 1.5, 3.0)])
def test_translations_have_the_asked_length_and_one_direction_per_case(spacing):
    found = deformations.translation_vectors((0, 5, 10), 4, spacing, _generator())
    mm = found * torch.tensor(spacing)
    np.testing.assert_allclose(mm.norm(dim=-1), np.repeat([[0], [5], [10]], 4, 1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(2 * found[1], found[2], rtol=1e-6)
    assert not torch.allclose(found[1, 0], found[1, 1])


@pytest.mark.parametrize('size', [(30, 26), (20, 18, 16)])
@pytest.mark.parametrize('statistic', ['mean', 'p95', 'max'])
def test_velocity_fields_have_the_asked_size_and_an_inverse(size, statistic):
    spacing = (1.0, 1.5, 2.0)[: len(size)]
    recipe = deformations.VelocityRecipe(statistic=statistic)
    forward, inverse = deformations.velocity_fields(size, spacing, 0.8, _generator(), recipe)
    found = deformations.STATISTICS[statistic](lengths(forward[0], spacing))
    assert found == pytest.approx(0.8, rel=0.01)
    loop = compose(inverse, forward, padding='border')[0]
    inner = (slice(None), *(slice(5, -5),) * len(size))
    assert float(loop[inner].norm(dim=0).mean()) < 0.1 * 0.8
    assert float(deformations.velocity_fields(size, spacing, 0.0, _generator(), recipe)[0].abs().max()) == 0


def test_fields_fade_outside_the_mask():
    mask = torch.zeros(40, 40)
    mask[14:26, 14:26] = 1
    recipe = deformations.VelocityRecipe(mask_smoothing=1.0)
    forward, _ = deformations.velocity_fields((40, 40), (1.0, 1.0), 2.0, _generator(), recipe, mask)
    size = lengths(forward[0])
    assert deformations.quantile(size[mask > 0], 0.95) == pytest.approx(2.0, rel=0.01)
    assert float(size[:8].max()) == 0


def test_bspline_is_scipys_on_clamped_coefficients():
    control = np.random.default_rng(0).normal(size=6)
    padded = np.pad(control, 3, mode='edge')
    spline = BSpline(np.arange(len(padded) + 4) - 5.0, padded, 3)
    found = deformations.bspline_upsample(torch.from_numpy(control)[None, None], (21,))
    np.testing.assert_allclose(found[0, 0], spline(np.arange(21) * 5 / 20), atol=1e-6)


def test_smoothing_is_a_zero_padded_gaussian():
    x = np.random.default_rng(0).normal(size=(17, 15))
    found = deformations.smooth(torch.from_numpy(x)[None, None], 1.5)[0, 0]
    expected = gaussian_filter(x, 1.5, mode='constant', radius=round(4.5))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_quantile_is_numpys():
    values = torch.rand(101, generator=_generator())
    for share in (0, 0.3, 0.95, 1):
        assert deformations.quantile(values, share) == pytest.approx(np.quantile(values, share), rel=1e-5)


@pytest.mark.parametrize('shape', [(28, 24), (22, 20, 18)])
def test_a_perfect_model_scores_zero_and_an_idle_one_the_misalignment(shape):
    ndim = len(shape)
    spacing = (1.0, 2.0, 1.5)[:ndim]
    marks = torch.from_numpy(labels(0, shape, 4, sigma=3.0)).to(torch.int16)[None]
    case = harness.StressCase('one', torch.from_numpy(image(0, shape))[None], spacing, marks)
    plan = harness.StressPlan({'translation': (0.0, 2.0), 'svf': (1.5,)}, seed=3, weight_by_foreground=False)
    truth = {}
    directions = deformations.translation_vectors((1.0,), 1, (1.0,) * ndim, _generator(3))[0, 0] / torch.tensor(spacing)
    for pair in harness.stressed_pairs(case, 0, directions, plan):
        truth[pair.moving.sum().item()] = pair.true
    models = {
        'perfect': lambda fixed, moving, spacing: truth[moving.sum().item()],
        'idle': lambda fixed, moving, spacing: torch.zeros(ndim, *fixed.shape[1:]),
    }
    results = list(harness.run([case], 1, ndim, plan, models))
    assert [(r.kind, r.level) for r in results[::2]] == [('translation', 0), ('translation', 2), ('svf', 1.5)]
    for perfect, idle in zip(results[::2], results[1::2]):
        assert perfect.values['epe'] == 0 and perfect.values['epe_foreground_p100'] == 0
        assert idle.values['epe'] == pytest.approx(idle.values['initial_epe'])
        assert idle.values['dice'] == idle.values['initial_dice'] <= perfect.values['dice']
    assert results[3].values['epe'] == pytest.approx(2.0, rel=1e-5)
    assert results[2].values['dice'] > 0.8 > results[3].values['dice']
    assert results[4].values['dice'] > results[5].values['dice']


def test_wrong_shapes_and_unknown_kinds_are_refused():
    case = harness.StressCase('one', torch.rand(1, 12, 12), (1.0, 1.0))
    plan = harness.StressPlan({'translation': (1.0,)})
    with pytest.raises(InputError, match='case one'):
        list(harness.run([case], 1, 2, plan, {'bad': lambda *a: torch.zeros(2, 5, 5)}))
    with pytest.raises(InputError, match='rotation'):
        harness.StressPlan({'rotation': (1.0,)})
    with pytest.raises(InputError, match='control'):
        deformations.VelocityRecipe(control=1)


def _config(folder: Path) -> Path:
    """A small model and a list of two pairs of 2-D images."""
    from mmreg.io import Geometry, Volume, write_volume

    shape = (48, 40)
    for seed in (0, 1):
        write_volume(folder / f'{seed}.nii.gz', Volume(image(seed, shape), Geometry(shape, np.diag([2.0, 1.0, 1.0]))))
    (folder / 'pairs.csv').write_text('fixed,moving\n0.nii.gz,1.nii.gz\n1.nii.gz,0.nii.gz\n')
    model = Config.fromfile(ROOT / 'configs/_base_/models/eoir.py').model
    model.ndim = 2
    model.backbone.encoder.channels = 4
    dataset = {'type': 'PairListDataset', 'ann_file': 'pairs.csv', 'data_root': str(folder)}
    dataset['preprocess'] = [{'type': 'LoadVolumes'}, {'type': 'MinMax'}]
    config = Config({'default_scope': 'mmreg', 'model': model, 'test_dataloader': {'dataset': dataset}})
    config.dump(folder / 'config.py')
    return folder / 'config.py'


def test_the_tool_writes_tables_and_a_plot(tmp_path, capsys):
    config, out = str(_config(tmp_path)), tmp_path / 'out'
    options = ['-o', str(out), '--translation', '0', '3', '--svf', '2', '--device', 'cpu']
    tool = stress
    assert tool.main(['--model', config, '--name', 'a', '--model', config, '--name', 'b', *options]) == 0
    with (out / 'stress.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 3 and {r['model'] for r in rows} == {'a', 'b'}
    moved = [r for r in rows if r['level_mm'] == '3.0']
    assert all(float(r['initial_epe']) == pytest.approx(3.0, rel=1e-4) for r in moved)
    means = json.loads((out / 'stress.json').read_text(encoding='utf-8'))['means']
    assert [(m['kind'], m['level_mm']) for m in means[::2]] == [
        ('translation', 0.0),
        ('translation', 3.0),
        ('svf', 2.0),
    ]
    assert (out / 'stress.png').stat().st_size > 5000
    assert 'translation 3 mm' in capsys.readouterr().out
    assert tool.main(['--model', config, '--model', config, *options]) != 0
    assert 'different names' in capsys.readouterr().err
    assert tool.main(['--model', str(tmp_path / 'none.py'), *options]) != 0
