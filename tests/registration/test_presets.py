"""Presets: found, explained, inherited from, and every one of them runs."""

import numpy as np
import pytest

import mmreg
from mmreg.apis import list_presets
from mmreg.commands.register import main
from mmreg.errors import ConfigError
from mmreg.registration.presets import preset as presets

from .phantoms import centred, draw, pose


def test_a_preset_of_ones_own(tmp_path):
    """A config that inherits from a shipped preset and changes a line."""
    base = next(iter(presets.find_presets().values()))
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = ['{base}']\npreset = dict(summary='Mine')\naffine = dict(transform='rigid')\n")
    preset = presets.load_preset(path)
    assert preset.name == 'mine' and preset.summary == 'Mine' and preset.cfg.affine.transform == 'rigid'
    assert preset.cfg.model.type == 'Registrar'


def test_list_presets(capfd):
    assert main(['--list-presets']) == 0
    text = capfd.readouterr().out
    found = list_presets()
    assert {'brain_t1', 'generic'} <= {preset.name for preset in found}
    for preset in found:
        assert f'{preset.name}: {preset.summary}' in text and preset.summary and preset.suits
        assert str(preset.path) in text


@pytest.mark.parametrize('name', sorted(presets.find_presets()))
@pytest.mark.parametrize('ndim', [2, 3])
def test_every_preset_runs(name, ndim):
    """On a tiny pair with few iterations: all parts fit, in 2-D and 3-D."""
    grid = centred((22, 20, 18)[:ndim], (3.5, 3.5, 3.5)[:ndim])
    world = pose(3, (2.0, 0, 0)[:ndim], ndim)
    fixed, moving = draw(grid, scale=100.0), draw(grid, world, 1.5, 100.0, seed=1)
    preset = presets.load_preset(name)
    levels = [{**level, 'iterations': 2} for level in preset.cfg.optimisation.levels]
    result = mmreg.register(
        fixed, moving, preset=name, affine='none', device='cpu', cfg_options={'optimisation.levels': levels}
    )
    assert np.isfinite(result.displacement).all()
    # Two iterations of some presets help nothing, or do not convince the second opinion, which is said.
    left_out = any('it was left out' in one or 'nothing was deformed' in one for one in result.warnings)
    assert np.abs(result.displacement).max() > 0.01 or left_out
    assert result.provenance['preset']['name'] == name


@pytest.mark.parametrize(
    'key', ['optimisation.floor', 'optimisation.levels.0.smooth_field', 'affine.search', 'inference.spacing']
)
def test_keys_that_a_section_has_by_default_need_no_plus(key):
    value = 'none' if key == 'affine.search' else 0.3
    cfg = presets.load_preset('generic', {key: value}).cfg
    for name in key.split('.'):
        cfg = cfg[int(name)] if name.isdigit() else cfg[name]
    assert cfg == value


def test_a_key_that_no_section_has_is_refused():
    with pytest.raises(ConfigError, match="no key 'flor'"):
        presets.load_preset('generic', {'optimisation.flor': 0.3})


def test_smoothness_widens_all_gaussians():
    from mmreg.registration.optimisation.settings import Settings

    plain, twice = (
        Settings.parse(presets.load_preset('brain_t1', {'optimisation.smoothness': factor}).cfg.optimisation.to_dict())
        for factor in (1.0, 2.0)
    )
    for one, other in zip(plain.levels, twice.levels):
        assert other.smooth_field == 2 * one.smooth_field and other.smooth_update == 2 * one.smooth_update


def test_smoothness_is_checked_before_anything_is_read():
    with pytest.raises(ConfigError, match='smoothness is 0, expected a factor'):
        mmreg.register('no_file.nii.gz', 'none.nii.gz', smoothness=0.0)
