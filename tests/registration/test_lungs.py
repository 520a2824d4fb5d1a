"""Lungs are found in CT images without a network, and the last level of lung_ct looks at them first."""

import numpy as np
import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.io import Geometry, Volume
from mmreg.registration.optimisation import Settings, optimise
from mmreg.registration.working.lungs import lungs_of, lungs_on_grid
from mmreg.spatial import gaussian_filter, warp

from .test_optimisation import make_model

SHAPE, STEP = (56, 44, 48), 5.0


def chest(noise=20.0):
    """A trunk in air in Hounsfield units with two lungs and vessels; and where the lungs are."""
    at = np.stack(np.indices(SHAPE), -1) * STEP - np.array(SHAPE) * STEP / 2
    array = np.full(SHAPE, -1000.0)
    array[(at[..., 0] / 125) ** 2 + (at[..., 1] / 90) ** 2 < 1] = 40
    lungs = np.zeros(SHAPE, bool)
    for side in (-60, 60):
        own = ((at - (side, 0, 0)) ** 2).sum(-1) < 45**2
        lungs |= own
        array[own] = -850
        array[((at - (side, 10, 0)) ** 2).sum(-1) < 8**2] = 30
    array += np.random.default_rng(0).normal(0, noise, SHAPE)
    return array.astype(np.float32), lungs


def dice(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.mark.parametrize(
    'crop',
    [
        (slice(None),) * 3,
        (slice(0, 28), slice(None), slice(None)),  # one lung
        (slice(6, 24), slice(10, 34), slice(None)),  # cut by the border
        (slice(None), slice(None), slice(22, 30)),  # a slab
    ],
)
def test_lungs_are_found_also_where_the_border_cuts_them(crop):
    array, lungs = chest()
    assert dice(lungs_of(array[crop], (STEP,) * 3), lungs[crop]) > 0.93


def test_what_is_no_lung():
    array, lungs = chest()
    body = np.where(lungs, 40, array)
    assert not lungs_of(body, (STEP,) * 3).any()  # the air around it is none
    for other in (body, (array + 1000) / 1200, -array):  # no lung, no Hounsfield units
        volume = Volume(other.astype(np.float32), Geometry(SHAPE, np.diag([STEP, STEP, STEP, 1])))
        assert lungs_on_grid(volume, volume.geometry).all()


def test_on_a_finer_grid_the_rim_is_as_wide():
    array, lungs = chest()
    volume = Volume(array, Geometry(SHAPE, np.diag([STEP, STEP, STEP, 1])))
    fine = volume.geometry.resampled((2.0, 2.0, 4.0))
    found = lungs_on_grid(volume, fine)
    assert found.shape == fine.shape
    volumes = [mask.sum() * np.prod(grid.spacing) for mask, grid in ((lungs, volume.geometry), (found, fine))]
    assert 1.05 < volumes[1] / volumes[0] < 1.6


def test_a_level_with_focus_decides_for_it_where_both_meet_and_moves_the_rest_as_well():
    """The half outside the focus moves the other way."""
    generator = torch.Generator().manual_seed(0)
    moving = gaussian_filter(torch.randn(1, 1, 40, 48, generator=generator), 1.5, padding='border')
    moving = (moving - moving.min()) / (moving.max() - moving.min())
    field = torch.zeros(1, 2, 40, 48)
    field[:, 0, :, :24], field[:, 0, :, 24:] = 2.0, -2.0
    fixed = warp(moving, field, padding='border')
    focus = torch.zeros_like(fixed)
    focus[..., :25] = 1
    inputs = dict(fixed=fixed, moving=moving, fixed_focus_mask=focus)
    losses = dict(similarity=dict(type='LNCC', window=5, masked_statistics=True))

    def error(looks):
        levels = [dict(scale=1, iterations=40, smooth_field=1.5, focus=looks)]
        found = optimise(make_model(losses=losses), inputs, dict(levels=levels, focus='lungs', inverse=False))
        off = (found.displacement - field)[..., 6:-6, :].norm(dim=1)
        return float(off[..., 15:24].mean()), float(off[..., 30:-6].mean())

    (inside, beside), (mixed, before) = error(True), error(False)
    assert inside < 0.87 * mixed and beside < before + 0.1 < 0.6


def test_a_focus_on_everything_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    moving = gaussian_filter(torch.randn(1, 1, 30, 32, generator=generator), 2.0, padding='border')
    fixed = moving.roll(1, 2)
    settings = dict(levels=[dict(scale=1, iterations=10, focus=True)], focus='lungs', inverse=False)
    model = make_model(losses=dict(similarity=dict(type='LNCC', window=5, masked_statistics=True)))
    mask = torch.ones_like(fixed)
    plain = optimise(model, dict(fixed=fixed, moving=moving, fixed_mask=mask), settings)
    for focus in (mask, torch.zeros_like(mask)):
        found = optimise(model, dict(fixed=fixed, moving=moving, fixed_focus_mask=focus), settings)
        torch.testing.assert_close(found.displacement, plain.displacement, atol=1e-4, rtol=0)


def test_another_focus_is_refused():
    with pytest.raises(ConfigError, match="focus is 'liver'"):
        Settings.parse(dict(levels=[dict(scale=1, iterations=1)], focus='liver'))
