"""Where the preparation comes from, and what it does to images."""

import numpy as np
import pytest
from mmengine.config import Config

from mmreg.apis import Preparation, find_preparation
from mmreg.errors import ConfigError
from mmreg.io import Geometry, Volume
from mmreg.registration.working.preparation import DEFAULT_INTENSITY, normalise, on_grid, range_warning, working_grid
from mmreg.utils.config import load_config
from mmreg.utils.shipped import find_config
from tests.io.helpers import oblique, smooth_image

HALF = {'type': 'DivideBy', 'value': 2.0}


def loader(**dataset):
    return {'dataset': {'type': 'PairListDataset', **dataset}}


def test_order_of_sources():
    stated = {'inference': {'spacing': 2.0, 'intensity': [HALF]}}
    data = {'test_dataloader': loader(preprocess=[{'type': 'LoadVolumes', 'orientation': 'RAS'}, {'type': 'MinMax'}])}
    plan = {'plan': {'preprocess': [{'type': 'ZScore'}], 'spacing': 3.0}}
    found = find_preparation(Config({**stated, **data}), plan)
    assert (found.spacing, found.orientation, found.intensity) == (2.0, 'RAS', (HALF,))
    assert found.source == 'config: inference, config: data set'
    found = find_preparation(Config(data), plan)
    assert (found.spacing, found.intensity) == (3.0, ({'type': 'MinMax'},))
    found = find_preparation(Config({}), plan)
    assert found.intensity == ({'type': 'ZScore'},) and found.source == 'plan: preprocess'
    assert find_preparation(Config({})) == Preparation(intensity=DEFAULT_INTENSITY, source='default')


def test_a_data_set_says_it_itself():
    """LUMIR divides by 255, which its class knows."""
    import mmreg.datasets  # noqa: F401

    found = find_preparation(Config({'test_dataloader': {'dataset': {'type': 'LUMIRDataset'}}}))
    assert found.intensity == ({'type': 'DivideBy', 'value': 255.0},)
    wrapped = {'train_dataloader': {'dataset': {'type': 'ConcatDataset', 'datasets': [{'type': 'LUMIRDataset'}]}}}
    assert find_preparation(Config(wrapped)).intensity == found.intensity


@pytest.mark.parametrize(
    'inference', [dict(spacin=1.0), dict(spacing=-1.0), dict(spacing='2'), dict(spacing=[1.0, 0.0, 1.0]), 'RAS']
)
def test_misspelt(inference):
    with pytest.raises(ConfigError, match='inference'):
        find_preparation(Config({'inference': inference}))


def test_working_grid():
    fixed = oblique((20, 24, 16), (1.0, 1.5, 3.0), 10.0, flips=(0,))
    assert working_grid(fixed, Preparation()) is fixed
    assert working_grid(fixed, Preparation(spacing=fixed.spacing)) is fixed
    grid = working_grid(fixed, Preparation(spacing=2.0, orientation='SLP'))
    assert grid.codes == 'SLP' and np.allclose(grid.spacing, 2.0) and grid.shape == (24, 10, 18)
    np.testing.assert_allclose(grid.centre, fixed.centre, atol=1e-9)
    for wrong in (Preparation(orientation='RA'), Preparation(spacing=(1.0, 2.0))):
        with pytest.raises(ConfigError, match='expected 3 entries'):
            working_grid(fixed, wrong)


def test_intensities_are_those_of_training():
    image = np.linspace(-100, 400, 1000, dtype=np.float32).reshape(1, 10, 10, 10)
    window = [{'type': 'ClipWindow', 'low': 0, 'high': 200}, HALF]
    np.testing.assert_allclose(normalise(image, window), np.clip(image, 0, 200) / 400, atol=1e-6)


def test_unusual_range_is_told():
    as_stored, scaled = Preparation(intensity=()), Preparation(intensity=({'type': 'DivideBy', 'value': 255.0},))
    bytes_, unit = np.array([0.0, 255.0]), np.array([0.0, 1.0])
    assert range_warning(unit, 'x', as_stored) is None and range_warning(bytes_, 'x', scaled) is None
    assert 'x: intensities up to 255 become 255' in range_warning(bytes_, 'x', as_stored)
    assert 'become 0.00392' in range_warning(unit, 'x', scaled)
    assert range_warning(bytes_ * 100, 'x', Preparation()) is None


def test_same_grid_is_not_interpolated():
    volume = smooth_image(oblique())
    ours = on_grid(volume, volume.geometry, Preparation(intensity=()))
    np.testing.assert_array_equal(ours[0], volume.array)
    flipped = on_grid(volume, volume.geometry.reoriented('IPR'), Preparation(intensity=()))
    np.testing.assert_array_equal(flipped[0], volume.reoriented('IPR').array)


def test_coarser_grid_does_not_alias():
    """A pattern finer than the working grid becomes its mean, not an accidental phase of it."""
    fine = Geometry.from_parts((64, 64, 64), (0.5, 0.5, 0.5))
    stripes = np.broadcast_to((np.arange(64) % 2)[:, None, None], fine.shape).astype(np.float32)
    coarse = on_grid(Volume(np.ascontiguousarray(stripes), fine), fine.resampled(4.0), Preparation(intensity=()))[0]
    np.testing.assert_allclose(coarse[1:-1], 0.5, atol=0.02)


def test_outside_is_background():
    volume = smooth_image(Geometry.from_parts((10, 10, 10)))
    volume = Volume(volume.array * 100 - 1000, volume.geometry)  # as in CT, air is not 0
    grid = Geometry.from_parts((10, 10, 10), origin=(6.0, 0, 0))
    ours = on_grid(volume, grid, Preparation(intensity=()))[0]
    assert ours.min() == pytest.approx(-1000) and (ours[5:] == ours.min()).all()


def test_channels_stay_together():
    geometry = oblique((10, 12, 8))
    volume = smooth_image(geometry, channels=2)
    ours = on_grid(volume, oblique((9, 9, 9), degrees=0.0), Preparation(intensity=()))
    assert ours.shape == (2, 9, 9, 9) and np.abs(ours[0] - ours[1]).max() > 0.1


@pytest.mark.parametrize(
    'config', ['symnet_oasis', 'clapirn_oasis_published', 'lkunet_ixi', 'transmorph_oasis', 'eoir_lumir']
)
@pytest.mark.parametrize('scale', [255.0, 4095.0, 1e-3])
def test_scans_of_any_range_become_what_training_had(config, scale):
    """Where training took intensities as stored, or divided by 255, a scan of another range is scaled by its own."""
    rng = np.random.default_rng(0)
    image = rng.random((6, 7, 8)).astype(np.float32)
    image.flat[:2] = 0, 1
    preparation = find_preparation(load_config(find_config(config)))
    volume = Volume(image * np.float32(scale), Geometry(image.shape, np.eye(4)))
    found = on_grid(volume, volume.geometry, preparation)[0]
    assert np.abs(found - image).max() < 1e-5
    stated = find_preparation({'inference': {'intensity': []}})
    assert np.array_equal(on_grid(volume, volume.geometry, stated)[0], volume.array), 'what is stated is done'
    told = range_warning(volume.array, 'scan', stated)
    assert told is not None and 'MinMax' in told
