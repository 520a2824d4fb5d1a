"""--fast: a network that comes with mmreg, else the shortened preset; chosen by the images, explained in the plan."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import mmreg
from mmreg.cli import main
from mmreg.errors import CheckpointError, ConfigError, DataError
from mmreg.io import Geometry, Volume, write_volume
from mmreg.plugins import register_all_modules
from mmreg.registration.fast import FastRegistration
from mmreg.registration.optimisation import levels
from mmreg.registration.optimisation.levels import Grid, make_stages
from mmreg.registration.optimisation.settings import Settings
from mmreg.registry import REGISTRARS
from mmreg.zoo import own

from .phantoms import centred, draw

GRID = centred((24, 26, 22), (8.0, 8.0, 8.0))
CARD = dict(
    config='pyramid_any', summary='for tests', suits='tests', unsuited='people', trained_on='nothing',
    training='none', measured=['nothing'], parameters=1,
)  # fmt: skip


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Makes random weights one of mmreg's own."""
    register_all_modules()
    folder = tmp_path / 'own'
    folder.mkdir()
    monkeypatch.setattr(own, 'FOLDER', folder)
    own.own_weights.cache_clear()

    def ship(name, **card):
        (folder / f'{name}.json').write_text(json.dumps({**CARD, **card}))
        own.own_weights.cache_clear()
        torch.manual_seed(len(name))
        model = REGISTRARS.build(own.own_weights()[name].load_config().model)
        save_file(model.state_dict(), str(folder / f'{name}.safetensors'))

    yield ship
    own.own_weights.cache_clear()


@pytest.fixture
def pair(tmp_path):
    names = [tmp_path / 'fixed.nii.gz', tmp_path / 'moving.nii.gz']
    write_volume(names[0], draw(GRID))
    write_volume(names[1], Volume(draw(GRID).array[::-1].copy(), Geometry(GRID.shape, GRID.affine)))
    return [str(name) for name in names]


def test_the_network_is_chosen_by_the_images_and_the_plan_says_why(shipped, pair, tmp_path):
    """A head-sized dark-bordered volume takes the network of its preset, and no other one."""
    shipped('others')
    shipped('brains', presets=['brain_t1', 'brain_multimodal'])
    assert main(['register', *pair, '-o', str(tmp_path / 'out'), '--fast', '--affine', 'none']) == 0
    plan = json.loads((tmp_path / 'out' / 'plan.json').read_text(encoding='utf-8'))
    assert plan['preset']['name'] == 'brains' and plan['preset']['chosen'] == 'from the images'
    assert any('brains where the preset would be brain_' in reason for reason in plan['preset']['reasons'])
    assert plan['options']['fast'] is True and plan['checkpoint']['path'].endswith('brains.safetensors')
    assert 'network' in plan['timings'] and 'optimisation' not in plan['timings']


def test_images_of_anything_else_take_the_network_of_anything(shipped):
    shipped('others')
    shipped('brains', presets=['brain_t1', 'brain_multimodal'])
    small = draw(centred((24, 26, 22), (1.0, 1.0, 1.0)))
    result = FastRegistration(device='cpu')(small, small)
    assert result.provenance['preset']['name'] == 'others'


@pytest.mark.slow
def test_the_network_alone_gives_what_its_weights_give(shipped, pair):
    shipped('brains', presets=['brain_t1', 'brain_multimodal'])
    fast = mmreg.register(*pair, fast=True, affine='none', device='cpu')
    named = mmreg.RegistrationInferencer('brains', device='cpu')(*pair)
    assert np.array_equal(fast.displacement, named.displacement)


def test_refinement_follows_the_network(shipped, pair):
    shipped('brains', presets=['brain_t1', 'brain_multimodal'])
    result = mmreg.register(*pair, fast=True, refine=2, affine='none', device='cpu')
    assert {'network', 'optimisation'} <= set(result.timings)
    assert result.provenance['preset']['name'] == 'brains'


def test_where_no_network_suits_the_preset_is_shortened(shipped, pair, tmp_path):
    """Nothing has to be shipped, the images may be of any kind, and the plan says what was done."""
    shipped('brains', presets=['generic'])
    for options in ([], ['--preset', 'brain_t1'], ['--smoothness', '2']):
        out = tmp_path / f'out{len(options)}'
        assert main(['register', *pair, '-o', str(out), '--fast', '--affine', 'none', '--overwrite', *options]) == 0
        plan = json.loads((out / 'plan.json').read_text(encoding='utf-8'))
        assert plan['preset']['name'].startswith('brain_') and 'network' not in plan['timings']
        assert plan['options']['fast'] is True
        assert any('fewer and coarser' in reason for reason in plan['preset']['reasons']) == (not options)
    flat = draw(centred((24, 26), (1.0, 1.0)))
    shipped('others')
    assert FastRegistration(device='cpu')(flat, flat).provenance['preset']['name'] == 'planar'


def test_it_is_a_part_of_the_preset_s_work(pair, monkeypatch):
    """Where there are many voxels, which a test has not."""
    monkeypatch.setattr(levels, 'MOST_WORK', 10)
    whole, fast = (mmreg.register(*pair, fast=fast, affine='none', device='cpu') for fast in (False, True))
    iterations = [max(len(curve) for curve in result.curves.values()) for result in (whole, fast)]
    assert iterations[1] < 0.5 * iterations[0]
    assert fast.minimised[1] < fast.minimised[0]


def test_levels_of_many_voxels_are_left_out():
    settings = Settings.parse(dict(levels=[dict(spacing=s, iterations=n) for s, n in ((8, 40), (2, 18), (1, 12))]))
    quick = replace(settings, quick=True)
    large, small = Grid((160, 192, 160), (1.0,) * 3), Grid((80, 96, 80), (1.0,) * 3)
    told = [[(s.level.spacing, s.level.iterations) for s in make_stages(quick, grid)] for grid in (large, small)]
    assert told == [[(8, 40), (2, 4)], [(8, 40), (2, 12), (1, 3)]]
    assert [s.level for s in make_stages(settings, large)] == list(settings.levels)


def test_iterations_after_a_network_need_one(shipped):
    small = draw(centred((24, 26, 22), (1.0, 1.0, 1.0)))
    with pytest.raises(DataError, match=r'no network that comes with mmreg suits .*leave out refine'):
        FastRegistration(device='cpu', refine=2)(small, small)


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        (dict(model='x.py'), 'fast and model'),
        (dict(checkpoint='x.pth'), 'fast and checkpoint'),
        (dict(only='rigid'), 'fast and only'),
        (dict(smoothness=2.0, refine=3), 'smoothness is 2 with refine'),
    ],
)
def test_options_that_contradict(options, text):
    with pytest.raises(ConfigError, match=text):
        mmreg.register('f.nii.gz', 'm.nii.gz', fast=True, **options)


def test_weights_of_mmregs_own_are_listed_and_shown(shipped, capsys):
    shipped('brains', presets=['brain_t1'])
    for arguments, text in (
        (['list'], 'brains: for tests'),
        (['show', 'brains'], 'not for'),
        (['get', 'brains'], 'comes'),
    ):
        assert main(['weights', *arguments]) == 0
        assert text in capsys.readouterr().out
    assert main(['weights', 'list', '--json']) == 0
    assert json.loads(capsys.readouterr().out)[0]['presets'] == ['brain_t1']
    assert main(['weights', 'add', 'brains', 'x.pth']) == 2


def test_a_card_that_says_something_else(shipped):
    (own.FOLDER / 'bad.json').write_text('{"summary": "x"}')
    with pytest.raises(CheckpointError, match=r'bad\.json has \[.summary.\], expected the keys'):
        own.own_weights()
