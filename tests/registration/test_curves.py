"""Two contrasts become one by curves from brightness to brightness, and the preset for them goes on in both."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

import mmreg
from mmreg.errors import ConfigError
from mmreg.io import Geometry, Volume
from mmreg.registration.by_preset import PresetRegistration
from mmreg.registration.files import PairFiles
from mmreg.registration.inputs import read_pair
from mmreg.registration.sources.curves import ByCurves, CurveSettings
from mmreg.registration.working.curves import curves_of, fit_curve, in_both_contrasts
from mmreg.spatial import jacobian_determinant

from .phantoms import centred, draw


def brightness(seed=0, size=20000):
    return np.random.default_rng(seed).uniform(0.05, 1, size)


@pytest.mark.parametrize(
    'other', [lambda x: 1 - x, lambda x: 0.3 + 0.5 * x, lambda x: np.exp(-(((x - 0.5) / 0.25) ** 2))]
)
def test_a_curve_is_found_whatever_its_shape(other):
    x = brightness()
    curve = fit_curve(x, other(x))
    assert curve.explained > 0.99
    np.testing.assert_allclose(curve(x), other(x), atol=0.03)


def test_what_has_nothing_to_do_with_it_is_not_explained():
    assert fit_curve(brightness(0), brightness(1)).explained < 0.01
    assert fit_curve(brightness(), np.full(20000, 0.5)).explained == 0
    empty = fit_curve(np.zeros(0), np.zeros(0))
    assert empty.explained == 0 and np.array_equal(empty(np.array([0.0, 0.5])), [0, 0])


def test_air_has_a_value_of_its_own():
    """Where one image is turned over with its background, air is the brightest of it and the darkest of the other."""
    x = np.concatenate([np.zeros(5000), brightness()])
    curve = fit_curve(x, 1 - x)
    assert curve(np.zeros(1))[0] == pytest.approx(1)
    back = fit_curve(1 - x, x)
    assert back(np.ones(1))[0] < 0.05


def test_only_what_counts_is_looked_at():
    fixed, moved = brightness(0), 1 - brightness(0)
    moved[:5000] = 0.5
    counted = np.arange(20000) >= 5000
    to_moving, to_fixed = curves_of(fixed, moved, counted)
    assert min(to_moving.explained, to_fixed.explained) > 0.99
    assert curves_of(fixed, moved, ~counted)[0].explained == 0


def test_the_better_known_contrast_counts_twice():
    fixed = brightness()
    folded = np.abs(fixed - 0.5) + 0.05  # of a brightness in the fixed image there is one here, not the other way round
    to_moving, to_fixed = curves_of(fixed, folded, np.ones(20000, bool))
    assert to_moving.explained > 0.95 > to_fixed.explained
    first, second = in_both_contrasts(fixed, folded, to_moving, to_fixed)
    assert first.shape == second.shape == (3, 20000)
    np.testing.assert_array_equal(second[1], folded.astype(np.float32))
    np.testing.assert_array_equal(first[1], first[2])
    np.testing.assert_array_equal(first[0], fixed.astype(np.float32))


@pytest.mark.parametrize(
    ('section', 'words'),
    [
        (3, 'curves is 3'),
        ({'preset': 'brain_t1'}, "curves is .'preset'., expected the keys"),
        ({'preset': 'brain_t1', 'levels': [], 'explain': 1}, 'explain'),
        ({'preset': 'brain_t1', 'levels': [], 'explained': 2}, 'curves.explained is 2'),
    ],
)
def test_a_wrong_section_is_refused(section, words):
    with pytest.raises(ConfigError, match=words):
        CurveSettings.parse(section)


@pytest.mark.parametrize(
    ('option', 'words'),
    [
        ({'curves.preset': 'brain_t2'}, "curves of the preset brain_multimodal: .*did you mean 'brain_t1'"),
        ({'curves.levels': []}, 'curves of the preset brain_multimodal: .*levels is'),
        ({'curves.levels': 3}, 'curves of the preset brain_multimodal: .*levels is 3'),
        ({'curves.levels': [{'spacing': 2}]}, 'curves of the preset brain_multimodal: .*iterations'),
    ],
)
def test_a_wrong_option_is_refused(option, words):
    image = draw(centred((16, 16, 16), (4.0,) * 3))
    with pytest.raises(ConfigError, match=words):
        mmreg.register(image, image, preset='brain_multimodal', affine='none', device='cpu', cfg_options=option)


def pair(seed=0, size=44):
    """Textures of two tissues in a body, the moving one moved by a known field and of another contrast."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(size, dtype=float)] * 3, indexing='ij'))
    body = np.sqrt(((grid - (size - 1) / 2) ** 2).sum(0)) < 0.42 * size
    texture = gaussian_filter(rng.normal(size=(size,) * 3), 2.2)
    shape = 0.15 + 0.8 * (1 / (1 + np.exp(-texture / texture.std() / 0.3)))
    field = np.stack([gaussian_filter(rng.normal(size=(size,) * 3), 6) for _ in range(3)])
    field *= 2.5 / np.sqrt((field**2).sum(0)).mean()
    fixed = gaussian_filter(np.where(body, shape, 0), 0.5)

    def pulled(image):
        return map_coordinates(image, grid + field, order=1, mode='nearest')

    other = np.where(body, 1.1 - shape, 0)
    geometry = Geometry((size,) * 3, np.diag([2.0, 2.0, 2.0, 1.0]))
    # The fixed image is what the moving one shows at x + field.
    moving = Volume((200 * gaussian_filter(other, 0.5)).astype(np.float32), geometry)
    return Volume((100 * pulled(fixed)).astype(np.float32), geometry), moving, field, pulled(body.astype(float)) > 0.5


def error(result, field, inside):
    return float(np.sqrt(((np.asarray(result.displacement) - field) ** 2).sum(0))[inside].mean())


def test_the_preset_for_two_contrasts_goes_on_in_both():
    """Nearer to the truth than by self-similarity alone, and told in the plan."""
    fixed, moving, field, inside = pair()

    def registered(**options):
        return mmreg.register(
            fixed, moving, preset='brain_multimodal', affine='none', device='cpu', cfg_options=options or None
        )

    result, alone = registered(), registered(curves=None)
    before = float(np.sqrt((field**2).sum(0))[inside].mean())
    assert error(result, field, inside) < 0.85 * error(alone, field, inside) < 0.85 * before
    told = result.provenance['source']
    notes = told['curves_found']
    assert told['curves']['preset'] == 'brain_t1'
    assert notes['used'] and min(notes['moving_explained'], notes['fixed_explained']) > 0.3
    assert 'curves_found' not in alone.provenance['source']
    assert float(jacobian_determinant(torch.from_numpy(result.displacement)[None]).min()) > 0
    levels = [level for level, _, _ in result.curves['loss']]
    assert levels == sorted(levels) and len(set(levels)) == 4


def test_where_no_curve_explains_enough_the_first_result_is_kept():
    fixed, moving, _, _ = pair(size=32)
    results = [
        mmreg.register(fixed, moving, preset='brain_multimodal', affine='none', device='cpu', cfg_options=options)
        for options in ({'curves.explained': 0.999}, {'curves': None})
    ]
    assert results[0].provenance['source']['curves_found']['used'] is False
    np.testing.assert_array_equal(results[0].displacement, results[1].displacement)


def test_a_shorter_way_and_smoothness_hold_for_both_parts():
    image = draw(centred((16, 16, 16), (4.0,) * 3))
    options = {'optimisation.quick': True, 'optimisation.smoothness': 2.0}
    registration = PresetRegistration('brain_multimodal', device='cpu', cfg_options=options)
    source = registration.method(read_pair(PairFiles(image, image), 'pair')).source
    assert isinstance(source, ByCurves)
    for part in (source.first, source.second):
        assert part.optimisation['quick'] is True and part.optimisation['smoothness'] == 2.0
    assert source.settings()['curves']['preset'] == 'brain_t1'


def test_a_single_slice_of_a_volume_is_compared_in_both_contrasts():
    """Its axis of one voxel is left out, and nothing moves along it."""
    fixed, moving, _, _ = pair()
    slices = []
    for volume in (fixed, moving):
        geometry = Geometry((44, 1, 44), volume.geometry.affine)
        slices.append(Volume(np.ascontiguousarray(volume.array[:, 22:23]), geometry))
    options = {'curves.explained': 0.0}
    result = mmreg.register(*slices, preset='planar_multimodal', affine='none', device='cpu', cfg_options=options)
    assert result.displacement.shape == (3, 44, 1, 44) and np.abs(result.displacement[1]).max() == 0
    assert 'curves_found' in result.provenance['source']
