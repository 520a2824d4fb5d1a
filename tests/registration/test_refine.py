"""Instance optimisation: what a network found becomes better for this pair, by a preset's losses or its own."""

import numpy as np
import pytest
from mmengine.config import Config

import mmreg
from mmreg.errors import ConfigError
from mmreg.io import Geometry

from .conftest import model_config
from .phantoms import centred, draw, write_preset

GRID = centred((30, 25, 27), (2.9, 2.9, 2.9))
SHIFT = (1.0, 0.0, 0.0)


@pytest.fixture
def pair():
    """The moving body lies two voxels further along the first axis; the network finds one of them."""
    affine = np.array(GRID.affine)
    affine[:3, 3] -= 2 * GRID.matrix[:, 0]
    other = Geometry(GRID.shape, affine)
    fixed, moving = draw(GRID), draw(other)
    from mmreg.io import Volume

    return fixed, Volume(moving.array, GRID)


@pytest.fixture
def preset(tmp_path):
    return write_preset(
        tmp_path, '\noptimisation = dict(levels=[dict(scale=2, iterations=5), dict(scale=1, iterations=9)])'
    )


@pytest.fixture
def network(config):
    """A config of the test network, with losses where wanted."""

    def make(losses=None, **options):
        cfg = config(shift=SHIFT, **options)
        if losses:
            cfg.model.losses, cfg.model.label_values = losses, 3
        return cfg

    return make


def error(result, truth=2.0):
    inside = (slice(None), slice(8, 22), slice(8, 18), slice(8, 18))
    wanted = np.array([truth, 0, 0])[:, None, None, None]
    return float(np.abs(result.displacement[inside] - wanted).mean())


def test_a_refinement_that_helps_nothing_keeps_what_the_network_found(network, pair, tmp_path):
    text = '\noptimisation = dict(levels=[dict(scale=1, iterations=2)], step=9.0, smooth_update=0.5)'
    alone = mmreg.RegistrationInferencer(network(), device='cpu')(*pair)
    refined = mmreg.RegistrationInferencer(network(), device='cpu', refine=2, preset=write_preset(tmp_path, text))(
        *pair
    )
    np.testing.assert_allclose(refined.displacement, alone.displacement, atol=1e-5)
    assert any('the displacement that it began with is kept' in words for words in refined.warnings)


def test_refinement_goes_on_from_the_network(network, pair, preset):
    alone = mmreg.RegistrationInferencer(network(), device='cpu')(*pair)
    register = mmreg.RegistrationInferencer(network(), device='cpu', refine=25, preset=preset)
    refined = register(*pair)
    assert error(alone) == pytest.approx(1 / 3, abs=0.01)
    assert error(refined) < 0.6 * error(alone)
    assert refined.warped.array.shape == GRID.shape
    plan = refined.provenance
    assert plan['preset']['name'] == 'tiny' and 'iterations=25' in plan['refinement']
    assert plan['curves']['loss'] == [{**plan['curves']['loss'][0], 'level': 0, 'iterations': 25}]
    assert plan['curves']['loss'][0]['last'] < plan['curves']['loss'][0]['first']
    assert plan['timings']['network'] > 0 and plan['timings']['optimisation'] > 0
    np.testing.assert_array_equal(register(*pair).displacement, refined.displacement)


def test_start_is_kept_where_nothing_is_to_be_gained(network, pair, preset):
    """One tiny step changes little: the refinement does not begin from nothing."""
    options = {'refine': 1, 'preset': preset, 'device': 'cpu'}
    one = mmreg.RegistrationInferencer(network(), **options)(*pair)
    assert np.abs(one.displacement[0, 8:22, 8:18, 8:18] - 1).max() < 0.8


def test_losses_of_the_network(network, pair):
    """Image and field losses of its own config, finest level only; label losses need labels and are left out."""
    losses = dict(
        similarity=dict(type='MSE', weight=1.0, levels=[1, 0.5]),
        smooth=dict(type='Diffusion', weight=0.01, levels=[1, 0.5]),
        dice=dict(type='Dice', weight=1.0),
    )
    register = mmreg.register(*pair, model=network(losses), refine=25, preset='network', affine=None, device='cpu')
    assert error(register) < 0.25
    assert set(register.curves) == {'loss', 'similarity', 'smooth'}
    assert register.provenance['preset']['name'] == 'network'
    with pytest.raises(ConfigError, match='has no image loss'):
        mmreg.RegistrationInferencer(network(dict(s=dict(type='Diffusion'))), refine=3, preset='network')


def test_network_with_an_affine_search(network, pair):
    """`affine` of the inferencer: searched before the network sees the images."""
    affine = dict(transform='translation', samples=3000, levels=2, iterations=30)
    cfg = Config({**network().to_dict(), 'affine': affine})
    result = mmreg.RegistrationInferencer(cfg, device='cpu')(*pair, affine='auto')
    np.testing.assert_allclose(result.affine[:3, 3], 2 * GRID.matrix[:, 0], atol=0.4)
    assert result.provenance['alignment']['settings']['transform'] == 'translation'
    assert mmreg.RegistrationInferencer(cfg, device='cpu')(*pair).affine is None


def test_command(pair, preset, tmp_path, capfd):
    from mmreg.commands.infer import main
    from mmreg.io import write_volume

    from .conftest import PLUGIN

    for name, volume in zip(('fixed', 'moving'), pair):
        write_volume(tmp_path / f'{name}.nii.gz', volume)
    path = tmp_path / 'config.py'
    path.write_text(f'model = {model_config(shift=SHIFT)["model"]!r}')
    arguments = ['--fixed', tmp_path / 'fixed.nii.gz', '--moving', tmp_path / 'moving.nii.gz', '--plugin', PLUGIN]
    arguments = [str(x) for x in (path, *arguments, '--device', 'cpu', '--outputs', 'metrics', '-o', tmp_path / 'out')]
    assert main([*arguments, '--refine', '3', '--preset', str(preset)]) == 0
    assert 'preset tiny, chosen by the user' in capfd.readouterr().out
    assert main([*arguments, '--preset', str(preset)]) == 2
    assert '--preset was given without --refine' in capfd.readouterr().err
    assert main([*arguments, '--refine', '3', '--preset', 'network']) == 2
    assert 'has no image loss' in capfd.readouterr().err
