"""Landmarks that steer: as the only start, and as a pull within the optimisation, with known truth in 2-D and 3-D."""

import json

import numpy as np
import pytest

from mmreg.commands.register import main
from mmreg.errors import ConfigError, DataError
from mmreg.io import Geometry, Volume, write_landmarks_world, write_volume
from mmreg.registration.landmark_start import ENOUGH, determines, fit_points
from mmreg.registration.options import RunOptions
from mmreg.registration.pipeline import STEERED
from mmreg.registration.register import register

LEVELS = {
    'optimisation.levels': [dict(scale=4, iterations=20), dict(scale=2, iterations=20), dict(scale=1, iterations=10)]
}


def rotation(ndim, degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(ndim)
    matrix[:2, :2] = [[c, -s], [s, c]]
    return matrix


def known(ndim, kind):
    """A map of a kind, not small."""
    matrix = np.eye(ndim + 1)
    matrix[:ndim, ndim] = np.arange(ndim) * 7.0 - 9
    if kind != 'translation':
        matrix[:ndim, :ndim] = rotation(ndim, 35)
    if kind == 'similarity':
        matrix[:ndim, :ndim] *= 1.3
    if kind == 'affine':
        matrix[:ndim, :ndim] += np.linspace(-0.15, 0.2, ndim * ndim).reshape(ndim, ndim)
    return matrix


def moved(points, matrix):
    return points @ matrix[:-1, :-1].T + matrix[:-1, -1]


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('kind', ['translation', 'rigid', 'similarity', 'affine'])
def test_maps_come_back(ndim, kind):
    points = np.random.default_rng(0).normal(scale=20, size=(12, ndim))
    np.testing.assert_allclose(fit_points(points, moved(points, known(ndim, kind)), kind), known(ndim, kind), atol=1e-9)


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('kind', ['rigid', 'similarity'])
def test_noise_and_mirrors(ndim, kind):
    """No other map of the kind leaves a smaller error, and none of them mirrors."""
    rng = np.random.default_rng(1)
    points = rng.normal(scale=20, size=(9, ndim))
    targets = moved(points, known(ndim, kind)) + rng.normal(scale=2, size=points.shape)
    best = fit_points(points, targets, kind)
    left = (np.linalg.norm(moved(points, best) - targets, axis=1) ** 2).sum()
    for degrees in (-2, 2):
        other = best.copy()
        other[:-1, :-1] = rotation(ndim, degrees) @ other[:-1, :-1]
        other[:-1, -1] = targets.mean(0) - other[:-1, :-1] @ points.mean(0)
        assert left < (np.linalg.norm(moved(points, other) - targets, axis=1) ** 2).sum()
    mirrored = fit_points(points, points * np.array([-1] + [1] * (ndim - 1)), kind)
    assert np.linalg.det(mirrored[:-1, :-1]) > 0


def test_what_points_determine():
    square = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    assert determines(square, square, 'rigid') and not determines(square, square, 'affine'), 'a plane'
    line = np.array([[0.0, 0, 0], [1, 1, 0], [2, 2, 0]])
    assert not determines(line, line, 'rigid') and determines(line, line, 'translation')
    assert determines(square[:, :2], square[:, :2], 'affine')
    assert not determines(np.zeros((5, 2)), np.zeros((5, 2)), 'rigid')


def flat_pair(ndim, shape=36, spacing=2.0):
    """Two balls of one grey: nothing inside them tells where anything is."""
    geometry = Geometry.from_parts((shape,) * ndim, (spacing,) * ndim, (-spacing * (shape - 1) / 2,) * ndim)
    grid = np.stack(np.meshgrid(*[np.arange(shape)] * ndim, indexing='ij'), -1).reshape(-1, ndim)
    away = np.linalg.norm(geometry.voxel_to_world(grid), axis=1).reshape(geometry.shape)
    ball = (1 / (1 + np.exp((away - 26) / 1.5))).astype(np.float32)
    return Volume(ball, geometry), Volume(ball.copy(), geometry)


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('count', [ENOUGH + 2, 4])
def test_start(ndim, count):
    """The images are of no use (a ball looks alike from all sides); the landmarks alone find the turn."""
    fixed, moving = flat_pair(ndim, 24, 3.0)
    points = np.random.default_rng(2).uniform(-15, 15, (count, ndim))
    truth = np.eye(ndim + 1)
    truth[:ndim, :ndim], truth[:ndim, ndim] = rotation(ndim, 40), 3.0
    result = register(fixed, moving, only='rigid', use_landmarks='start',
                      fixed_landmarks=points, moving_landmarks=moved(points, truth))  # fmt: skip
    np.testing.assert_allclose(result.affine, truth, atol=1e-6)
    assert result.metrics['tre']['after'] < 1e-3 < result.metrics['tre']['before'] and STEERED in result.warnings
    record = result.alignment.record
    assert record['asked'] == 'landmarks' and record['kind'] == 'rigid' and record['points'] == count


@pytest.mark.parametrize('ndim', [2, 3])
def test_loss(ndim):
    """Landmarks inside a flat ball are brought to partners that no image shows; what is far from them stays."""
    fixed, moving = flat_pair(ndim)
    points = np.zeros((2, ndim))
    points[0, 0], points[1, 0], points[1, 1] = -10, 9, 3
    targets = points + np.array([[4.0, 3.0, -2.0], [-3.0, 2.0, 2.0]])[:, :ndim]
    shared = dict(preset='generic' if ndim == 3 else 'planar', affine='none', cfg_options=LEVELS,
                  fixed_landmarks=points, moving_landmarks=targets)  # fmt: skip
    plain, steered = (register(fixed, moving, use_landmarks=use, **shared) for use in (None, 'loss'))
    assert plain.metrics['tre']['after'] > 3 and steered.metrics['tre']['after'] < 0.5
    assert 'landmarks' in steered.curves and 'landmarks' not in plain.curves
    assert steered.metrics['folds_percent']['after'] == 0
    corners = steered.displacement[(slice(None), *[slice(0, 4)] * ndim)]
    assert np.abs(corners).max() < 1.6, 'voxels; the landmarks, which move by 2.5, are far away'
    between = steered.geometry.voxel_to_world(np.array([[(n - 1) / 2 for n in fixed.geometry.shape]]))
    assert np.isfinite(steered.transform.transform_points(between)).all()
    assert STEERED in steered.warnings and STEERED not in plain.warnings


def test_both_by_the_command(tmp_path):
    fixed, moving = flat_pair(3, 24, 3.0)
    points = np.random.default_rng(4).uniform(-14, 14, (8, 3))
    truth = known(3, 'rigid')
    targets = moved(points, truth)
    targets[0] += [3, 0, 0]
    for name, volume, own in (('fixed', fixed, points), ('moving', moving, targets)):
        write_volume(tmp_path / f'{name}.nii.gz', volume)
        write_landmarks_world(tmp_path / f'{name}.csv', own)
    words = [tmp_path / 'fixed.nii.gz', tmp_path / 'moving.nii.gz', '-o', tmp_path / 'out', '--preset', 'generic',
             '--affine', 'rigid', '--use-landmarks', 'start', 'loss', '--fixed-landmarks', tmp_path / 'fixed.csv',
             '--moving-landmarks', tmp_path / 'moving.csv', '--outputs', 'metrics', '--cfg-options',
             'optimisation.levels=[dict(scale=2,iterations=20)]']  # fmt: skip
    assert main([*map(str, words)]) == 0
    plan = json.loads((tmp_path / 'out/plan.json').read_text(encoding='utf-8'))
    assert plan['options']['use_landmarks'] == ['start', 'loss']
    metrics = json.loads((tmp_path / 'out/metrics.json').read_text(encoding='utf-8'))
    assert metrics['tre']['after'] < 1.0 < 5 < metrics['tre']['before'], 'a field of 6 mm voxels'


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(use_landmarks='begin'), "use_landmarks is 'begin', expected some of start, loss"),
        (dict(use_landmarks='start', affine='none'), 'expected one of them'),
        (dict(use_landmarks=['loss'], only='rigid'), 'expected one of them'),
        (dict(use_landmarks='loss', model='x.py'), 'the number of refine iterations'),
    ],
)
def test_contradictions(options, words):
    with pytest.raises(ConfigError, match=words):
        RunOptions(**{'affine': 'auto', **options}).check()


def test_what_is_missing_is_told():
    fixed, moving = flat_pair(3, 12, 5.0)
    points = np.array([[0.0, 0, 0], [5, 0, 0], [10, 0, 0]])
    with pytest.raises(DataError, match='found no moving_landmarks, expected landmarks of both images'):
        register(fixed, moving, use_landmarks='start', fixed_landmarks=points)
    with pytest.raises(DataError, match='3 landmarks, which do not determine a map of kind rigid, expected 3 or more'):
        register(fixed, moving, use_landmarks='start', only='rigid', fixed_landmarks=points, moving_landmarks=points)
