"""Slices reported per volume."""

import numpy as np
import pytest
import torch

from mmreg.evaluation.functional.overlap import dice
from mmreg.registry import METRICS


def slices(labels, moved, volume):
    return [
        {
            'case_id': f'{volume}_{z}',
            'volume_id': volume,
            'spacing': (1.0, 1.0),
            'label_warp': 'nearest',
            'fixed_labels': torch.from_numpy(labels[..., z])[None],
            'moving_labels': torch.from_numpy(moved[..., z])[None],
            'pred': {
                'displacement': torch.zeros(2, *labels.shape[:2]),
                'warped_labels': torch.from_numpy(moved[..., z])[None],
            },
        }
        for z in range(labels.shape[-1])
    ]


@pytest.fixture
def volumes():
    rng = np.random.default_rng(0)
    made = {}
    for name, depth in (('a', 4), ('b', 3)):
        labels = rng.integers(0, 3, (9, 8, depth))
        moved = np.where(rng.random(labels.shape) < 0.8, labels, 0)
        labels[..., 0], moved[..., 0] = 0, 0  # an empty slice
        made[name] = (labels, moved)
    return made


def evaluate(metric, volumes):
    built = METRICS.build(metric)
    for name, (labels, moved) in volumes.items():
        built.process({}, slices(labels, moved, name))
    return built.evaluate(7), built


def test_dice_counts_voxels_of_the_whole_volume(volumes):
    metrics, _ = evaluate(dict(type='VolumeDice', labels=3), volumes)
    expected = [np.mean(dice(moved, labels, [1, 2])) for labels, moved in volumes.values()]
    assert metrics['reg/dice'] == pytest.approx(np.mean(expected))
    assert metrics['reg/dice_sd'] == pytest.approx(np.std(expected))


def test_distances_are_means_over_slices_then_volumes(volumes, tmp_path):
    single = METRICS.build(dict(type='ContourMetric', labels=3))
    expected = []
    for name, (labels, moved) in volumes.items():
        single.process({}, slices(labels, moved, name))
        scores = [result['scores']['hausdorff'] for result in single.results]
        single.results.clear()
        expected.append(np.mean([np.nanmean([s[item] for s in scores]) for item in ('1', '2')]))
    metric = dict(type='PerVolume', metric=dict(type='ContourMetric', labels=3), output_dir=str(tmp_path))
    metrics, built = evaluate(metric, volumes)
    assert metrics['reg/hausdorff'] == pytest.approx(np.mean(expected))
    rows = (tmp_path / 'contour_per_volume.csv').read_text(encoding='utf-8').splitlines()
    assert {row.split(',')[0] for row in rows[1:]} == {'a', 'b'}
    assert 'averaged per volume' in built.describe()


def test_a_sample_without_volume_is_its_own():
    labels = np.random.default_rng(1).integers(0, 3, (6, 6, 1))
    samples = slices(labels, labels, 'a')
    samples[0].pop('volume_id')
    metric = METRICS.build(dict(type='VolumeDice', labels=3))
    metric.process({}, samples)
    assert metric.evaluate(1)['reg/dice'] == 1.0
