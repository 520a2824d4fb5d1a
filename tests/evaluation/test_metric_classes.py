"""The metrics as MMEngine's evaluator drives them, on pairs with known answers."""

import csv
import json
import math

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement

import mmreg.evaluation  # noqa: F401  (registers the metrics)
from mmreg.errors import InputError
from mmreg.evaluation.functional.overlap import dice
from mmreg.evaluation.metrics.base import name_apart
from mmreg.registry import METRICS
from mmreg.spatial import invert, scaling_and_squaring, warp, warp_labels
from mmreg.structures import RegSample
from tests.golden.fill import flow, image, labels

SHAPES = [(24, 20), (16, 14, 12)]


def _pair(shape, seed=0, field=None):
    """A predicted sample whose moving image is the fixed one moved by the inverse of a known field."""
    ndim = len(shape)
    if field is None:
        # Nothing moves at the border, where zeros would come in.
        window = np.prod(np.meshgrid(*(np.sin(np.pi * np.arange(n) / (n - 1)) for n in shape), indexing='ij'), axis=0)
        velocity = torch.from_numpy(flow(seed, shape, 4.0) * window.astype(np.float32))[None]
        field, back = scaling_and_squaring(velocity)[0], scaling_and_squaring(-velocity)[0]
    else:
        back = -field
    fixed = torch.from_numpy(image(seed, shape))[None]
    fixed_labels = torch.from_numpy(labels(seed, shape, 4, sigma=3.0))[None]
    moving_labels = warp_labels(fixed_labels[None], back[None])[0]
    moving = warp(fixed[None], back[None])[0]
    points = torch.tensor([[5.0] * ndim, [7.0] * ndim, [4.0, *[8.0] * (ndim - 1)]])
    sample = RegSample(metainfo={'case_id': f'case{seed}', 'spacing': (2.0, *(1.0,) * (ndim - 1))})
    sample.set_data({
        'fixed_labels': fixed_labels,
        'moving_labels': moving_labels,
        'fixed_landmarks': points,
        'moving_landmarks': points + 1.0,
        'true_displacement': field,
        'fixed': fixed,
        'moving': moving,
        'pred': BaseDataElement(displacement=field, warped=warp(moving[None], field[None])[0]),
    })  # fmt: skip
    return sample


def _evaluate(metrics, samples):
    evaluator = Evaluator([METRICS.build(metric) for metric in metrics])
    for sample in samples:
        evaluator.process(data_samples=[sample], data_batch={'inputs': {}})
    return evaluator.evaluate(len(samples))


@pytest.mark.parametrize('shape', SHAPES)
def test_all_metrics_together_have_unique_keys_and_sensible_numbers(shape):
    types = [
        'DiceMetric', 'LUMIRDice', {'type': 'DiceMetric', 'warp': 'linear'}, 'JacobianMetric',
        {'type': 'SurfaceMetric', 'scores': ['hd95', 'assd', 'nsd']}, 'TREMetric', 'IntensityMetric',
        'InverseConsistencyMetric', 'FieldError', 'ContourMetric',
    ]  # fmt: skip
    metrics = [dict(type=t) if isinstance(t, str) else t for t in types]
    found = _evaluate([dict(m) for m in metrics], [_pair(shape, 0), _pair(shape, 1)])
    assert all(key.startswith('reg/') and isinstance(value, float) for key, value in found.items())
    assert found['reg/dice'] > found['reg/initial_dice'] and found['reg/dice'] > 0.8
    assert found['reg/assd'] < found['reg/initial_assd']
    assert found['reg/nsd'] > found['reg/initial_nsd']
    assert found['reg/mse'] < found['reg/initial_mse'] and found['reg/ssim'] > found['reg/initial_ssim']
    assert found['reg/folds_percent'] == found['reg/ndv_percent'] == 0 < found['reg/sdlogj']
    assert found['reg/epe'] == 0 < found['reg/initial_epe']
    assert found['reg/inverse_error'] < 0.3
    assert found['reg/dice_lumir'] < found['reg/dice']
    assert 'reg/dice_linear' in found and 'reg/mcd' in found


def test_dice_is_the_mean_over_cases_of_the_mean_over_labels(tmp_path):
    samples = [_pair(SHAPES[1], seed) for seed in (0, 1, 2)]
    config = {'type': 'DiceMetric', 'labels': 4, 'output_dir': str(tmp_path), 'per_item': True}
    found = _evaluate([config], samples)
    expected = np.array([
        dice(warp_labels(s.moving_labels[None], s.pred.displacement[None])[0], s.fixed_labels, [1, 2, 3])
        for s in samples
    ])  # fmt: skip
    assert found['reg/dice'] == pytest.approx(expected.mean(1).mean())
    assert found['reg/dice_sd'] == pytest.approx(expected.mean(1).std())
    assert found['reg/dice_2'] == pytest.approx(expected[:, 1].mean())
    rows = list(csv.DictReader((tmp_path / 'dice.csv').read_text(encoding='utf-8').splitlines()))
    assert len(rows) == 9
    assert {r['case_id'] for r in rows} == {'case0', 'case1', 'case2'}
    assert [float(r['value']) for r in rows[:3]] == pytest.approx(expected[0])
    assert float(rows[0]['initial']) < float(rows[0]['value'])
    content = json.loads((tmp_path / 'dice.json').read_text(encoding='utf-8'))
    assert 'nearest' in content['settings'] and 'background excluded' in content['settings']
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith('.')] == []


def test_metrics_of_one_kind_do_not_overwrite_each_other(tmp_path):
    folder = {'output_dir': str(tmp_path)}
    configs = [{'type': 'DiceMetric', **more, **folder} for more in ({}, {'warp': 'linear'}, {'prefix': 'organs'})]
    found = _evaluate(configs, [_pair(SHAPES[0])])
    assert {'reg/dice', 'reg/dice_linear', 'organs/dice'} <= found.keys()
    assert {path.name for path in tmp_path.glob('*.csv')} == {'dice.csv', 'dice_linear.csv', 'organs_dice.csv'}


def test_metrics_of_one_class_have_files_of_their_own(tmp_path):
    """Three of one class and prefix, told apart by what they return alone."""
    configs = [
        {'type': 'SurfaceMetric', 'scores': (score,), 'output_dir': str(tmp_path)} for score in ('hd95', 'assd', 'nsd')
    ]
    evaluator = Evaluator([METRICS.build(config) for config in configs])
    name_apart(evaluator.metrics)
    evaluator.process(data_samples=[_pair(SHAPES[1])], data_batch={'inputs': {}})
    evaluator.evaluate(1)
    found = {path.stem: json.loads(path.read_text(encoding='utf-8'))['metrics'] for path in tmp_path.glob('*.json')}
    assert sorted(found) == ['surface', 'surface_2', 'surface_3']
    assert [next(iter(found[name])) for name in sorted(found)] == ['hd95', 'assd', 'nsd']


def test_missing_labels_are_nan_and_counted(tmp_path):
    sample = _pair(SHAPES[1])
    sample.moving_labels = torch.where(sample.moving_labels == 2, 0, sample.moving_labels)
    config = {'type': 'SurfaceMetric', 'labels': [1, 2, 3, 9], 'output_dir': str(tmp_path)}
    found = _evaluate([config], [sample])
    assert found['reg/hd95_missing'] == 2 and math.isfinite(found['reg/hd95'])
    assert (
        json.loads((tmp_path / 'surface.json').read_text(encoding='utf-8'))['cases'][0]['scores']['hd95']['9'] is None
    )


def test_predicted_labels_are_taken_only_when_the_mode_is_known():
    sample = _pair(SHAPES[0])
    sample.pred.warped_labels = torch.zeros_like(sample.fixed_labels)
    assert _evaluate([{'type': 'DiceMetric'}], [sample])['reg/dice'] > 0.8
    sample.set_metainfo({'label_warp': 'nearest'})
    assert _evaluate([{'type': 'DiceMetric'}], [sample])['reg/dice'] == 0
    assert _evaluate([{'type': 'DiceMetric', 'warp': 'linear'}], [sample])['reg/dice_linear'] > 0.8


def test_tre_of_a_known_translation_in_mm():
    shape = SHAPES[1]
    sample = _pair(shape, field=torch.full((3, *shape), 1.0))
    found = _evaluate([{'type': 'TREMetric'}], [sample])
    assert found['reg/tre'] == pytest.approx(0, abs=1e-6)
    assert found['reg/initial_tre'] == pytest.approx(math.sqrt(4 + 1 + 1))
    voxel = _evaluate([{'type': 'TREMetric', 'unit': 'voxel'}], [sample])
    assert voxel['reg/initial_tre_voxel'] == pytest.approx(math.sqrt(3))
    sample.pred.warped_landmarks = sample.moving_landmarks + torch.tensor([1.0, 0, 0])
    assert _evaluate([{'type': 'TREMetric'}], [sample])['reg/tre'] == pytest.approx(2)


def test_field_error_of_a_known_offset():
    sample = _pair(SHAPES[1])
    sample.pred.displacement = sample.true_displacement + torch.tensor([1.0, 0, 2.0]).view(3, 1, 1, 1)
    found = _evaluate([{'type': 'FieldError'}], [sample])
    assert found['reg/epe'] == pytest.approx(math.hypot(2, 2), rel=1e-5)
    assert found['reg/epe_p95'] == pytest.approx(math.hypot(2, 2), rel=1e-5)


def test_inverse_consistency_prefers_the_predicted_inverse():
    sample = _pair(SHAPES[0])
    sample.pred.inverse_displacement = invert(sample.pred.displacement[None])[0][0] + 3.0
    assert _evaluate([{'type': 'InverseConsistencyMetric'}], [sample])['reg/inverse_error'] > 3
    del sample.pred.inverse_displacement
    assert _evaluate([{'type': 'InverseConsistencyMetric'}], [sample])['reg/inverse_error'] < 0.3
    with pytest.raises(InputError, match='case0.*inverse_displacement'):
        _evaluate([{'type': 'InverseConsistencyMetric', 'invert_missing': False}], [sample])


def test_jacobian_conventions_have_their_own_keys_and_masks_restrict():
    sample = _pair(SHAPES[1])
    sample.pred.displacement = torch.from_numpy(flow(10, SHAPES[1], 9.0, sigma=2.0))
    published = _evaluate([{'type': 'JacobianMetric', 'convention': 'learn2reg'}], [sample])
    exact = _evaluate([{'type': 'JacobianMetric', 'scores': ['sdlogj']}], [sample])
    assert 0 < published['reg/sdlogj_learn2reg'] < exact['reg/sdlogj']
    assert published['reg/folds_percent'] > 0 and published['reg/ndv_percent'] > 0
    assert 'reg/folds_percent' not in exact
    sample.fixed_mask = torch.zeros(1, *SHAPES[1])
    sample.fixed_mask[:, :8] = 1
    masked = _evaluate([{'type': 'JacobianMetric', 'mask': 'fixed_mask'}], [sample])
    assert masked['reg/ndv_percent'] != published['reg/ndv_percent']


def test_images_come_from_the_batch_where_the_sample_has_none():
    sample = _pair(SHAPES[0])
    fixed, moving = sample.fixed, sample.moving
    del sample.fixed, sample.moving
    metric = METRICS.build({'type': 'IntensityMetric', 'scores': ['mse']})
    metric.process({'inputs': {'fixed': [fixed], 'moving': torch.stack([moving])}}, [sample.to_dict()])
    assert metric.evaluate(1)['reg/initial_mse'] == pytest.approx(float(((fixed - moving) ** 2).mean()), rel=1e-5)
    metric.process({}, [{**sample.to_dict(), 'fixed': fixed, 'moving': moving}])
    with pytest.raises(InputError, match='case0 carries no moving image'):
        metric.process({}, [sample.to_dict()])


@pytest.mark.parametrize(
    ('config', 'words'),
    [
        ({'type': 'DiceMetric', 'warp': 'cubic'}, 'cubic'),
        ({'type': 'SurfaceMetric', 'scores': ['hd50']}, 'hd50'),
        ({'type': 'JacobianMetric', 'convention': 'x'}, "convention='x'"),
        ({'type': 'IntensityMetric', 'scores': ['mae']}, 'mae'),
        ({'type': 'TREMetric', 'unit': 'cm'}, 'cm'),
    ],
)
def test_unknown_options_are_refused(config, words):
    with pytest.raises(InputError, match=words):
        METRICS.build(config)


def test_a_sample_without_labels_is_named():
    sample = _pair(SHAPES[0])
    del sample.moving_labels
    with pytest.raises(InputError, match='case0 carries no moving_labels'):
        _evaluate([{'type': 'DiceMetric'}], [sample])


def test_labels_are_named_where_the_data_set_names_them(tmp_path):
    metric = METRICS.build({'type': 'DiceMetric', 'output_dir': str(tmp_path)})
    metric.dataset_meta = {'label_names': ('first', 'second')}
    metric.process({}, [_pair(SHAPES[0]).to_dict()])
    metric.evaluate(1)
    rows = list(csv.DictReader((tmp_path / 'dice_by_name.csv').read_text(encoding='utf-8').splitlines()))
    assert [(row['label'], row['name']) for row in rows] == [('1', 'first'), ('2', 'second')]
    values = json.loads((tmp_path / 'dice.json').read_text(encoding='utf-8'))['cases'][0]['scores']['dice']
    assert float(rows[0]['mean']) == pytest.approx(values['1'])


def test_any_label_may_be_named():
    metric = METRICS.build({'type': 'DiceMetric'})
    metric.dataset_meta = {'label_names': {2: 'second'}}
    metric.process({}, [_pair(SHAPES[0]).to_dict()])
    metric.evaluate(1)
    assert [line[:3] for line in metric.by_name] == [('dice', '2', 'second')]


@pytest.mark.parametrize('name', ['AbdomenCTCTDataset', 'ACDCDataset', 'OASISDataset', 'ACDCCineDataset'])
def test_data_sets_name_their_labels(name):
    from mmreg.plugins import register_all_modules
    from mmreg.registry import DATASETS

    register_all_modules()
    names = DATASETS.get(name).METAINFO['label_names']
    assert len(names) == {'AbdomenCTCTDataset': 13, 'OASISDataset': 35}.get(name, 3) and 'background' not in names
