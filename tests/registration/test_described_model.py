"""A converted checkpoint tells its network: it runs alone, and where a config does not fit it the options are named."""

import pytest
import torch

import mmreg
from mmreg.cli import main
from mmreg.converters.files import convert_file
from mmreg.errors import CheckpointError, ConfigError
from mmreg.io import read_volume, write_volume
from mmreg.models import settings
from mmreg.utils.config import load_config
from mmreg.utils.shipped import find_config
from mmreg.zoo import published, store
from tests.converters.test_lapirn_symnet import lapirn, symnet
from tests.converters.test_voxelmorph_lkunet import lku
from tests.zoo.test_weights import _entry

from .phantoms import centred, draw

GRID = centred((18, 17, 19), (2.0, 2.0, 2.0))


def convert(tmp_path, family, state, name='ours.pth', **meta):
    torch.save(state, tmp_path / 'published.pth')
    convert_file(family, tmp_path / 'published.pth', tmp_path / name, **meta)
    return tmp_path / name


@pytest.fixture
def warned(monkeypatch):
    sentences = []
    monkeypatch.setattr(settings, 'print_log', lambda text, **_: sentences.append(text))
    return sentences


def test_a_converted_file_runs_without_a_config(tmp_path):
    """From Python it is the same network as with the config; what the conversion said of images is done to files."""
    plan = {'inference': {'intensity': [{'type': 'MinMax'}], 'spacing': 3.0}}
    path = convert(tmp_path, 'symnet', symnet(), plan=plan)
    alone = mmreg.RegistrationInferencer(None, path, device='cpu')
    assert alone.preparation.spacing == 3.0 and alone.preparation.intensity == ({'type': 'MinMax'},)
    options = {'model.backbone.channels': 2}
    named = mmreg.init_model('symnet_oasis', path, device='cpu', cfg_options=options)
    inputs = {key: torch.rand(1, 1, 16, 16, 16) for key in ('fixed', 'moving')}
    with torch.no_grad():
        found, wanted = alone.model(inputs), named(inputs)
    assert torch.equal(found.displacement, wanted.displacement)


@pytest.mark.parametrize('command', ['register', 'infer'])
def test_from_the_command_line(tmp_path, command):
    path = convert(tmp_path, 'lapirn_disp', lapirn())
    files = [str(tmp_path / name) for name in ('f.nii.gz', 'm.nii.gz')]
    for file in files:
        write_volume(file, draw(GRID))
    pair = files if command == 'register' else ['--fixed', files[0], '--moving', files[1]]
    out = tmp_path / 'out'
    assert main([command, *pair, '-o', str(out), '-c', str(path), '--affine', 'none']) == 0
    assert read_volume(next(out.glob('warped*'))).geometry.shape == GRID.shape


def test_a_training_checkpoint_needs_its_config(tmp_path):
    torch.save({'state_dict': {'a': torch.ones(1)}, 'meta': {}}, tmp_path / 'own.pth')
    with pytest.raises(CheckpointError, match=r'own\.pth does not say which network'):
        mmreg.init_model(None, tmp_path / 'own.pth')
    with pytest.raises(ConfigError, match='neither a config nor a checkpoint'):
        mmreg.init_model(None)


@pytest.mark.parametrize(
    ('family', 'state', 'config', 'option'),
    [
        ('symnet', symnet(), 'symnet_oasis', 'model.backbone.channels=2'),
        ('lkunet', lku(ndim=3), 'lkunet_ixi', 'model.backbone.channels=2'),
        ('lkunet', lku(ndim=2, kernel=5), 'lkunet_oasis', 'model.ndim=2'),
        ('clapirn', lapirn(8, lite=True, conditional=True), 'clapirn_oasis_published', 'model.flow_head.channels=8'),
    ],
)
def test_options_that_make_a_config_fit_are_printed_and_work(tmp_path, family, state, config, option):
    path = convert(tmp_path, family, state)
    with pytest.raises(CheckpointError, match='--cfg-options') as error:
        mmreg.init_model(config, path, device='cpu')
    told = str(error.value).partition('--cfg-options ')[2].split()
    assert option in told
    from mmreg.utils.option_values import parse_value

    options = {key: parse_value(value) for key, _, value in (text.partition('=') for text in told)}
    mmreg.init_model(config, path, device='cpu', cfg_options=options)


def test_a_published_file_is_told_what_to_do_with_it(tmp_path, monkeypatch):
    path = tmp_path / 'theirs.pth'
    torch.save(symnet(), path)
    with pytest.raises(CheckpointError, match=r'family symnet: run `mmreg convert symnet'):
        mmreg.init_model('symnet_oasis', path, device='cpu')
    entry = _entry('http://nowhere', path.read_bytes())
    monkeypatch.setattr(published, 'PUBLISHED', (*published.PUBLISHED, entry))
    with pytest.raises(CheckpointError, match=f'mmreg weights add {entry.name} .*--weights {entry.name}'):
        mmreg.init_model('symnet_oasis', path, device='cpu')
    assert store.sha256_of(path) == entry.sha256


def test_what_is_chosen_for_a_run_is_no_other_setting(tmp_path, warned):
    """A degree of smoothness is chosen anew each time; a change of the network is said."""
    path = convert(tmp_path, 'clapirn', lapirn(8, lite=True, conditional=True))
    fitting = {'model.flow_head.channels': 8, 'model.flow_head.blocks': 5}
    with pytest.raises(CheckpointError) as error:
        mmreg.init_model('clapirn_oasis_published', path, device='cpu')
    told = dict(text.partition('=')[::2] for text in str(error.value).partition('--cfg-options ')[2].split())
    fitting = {key: int(value) if value.isdigit() else value.strip("'") for key, value in told.items()}
    mmreg.init_model(
        'clapirn_oasis_published', path, device='cpu', cfg_options={**fitting, 'model.flow_head.code': 0.7}
    )
    assert warned == []
    options = {**fitting, 'model.flow_head.resampling': 'linear'}
    mmreg.init_model('clapirn_oasis_published', path, device='cpu', cfg_options=options)
    assert len(warned) == 1 and 'resampling' in warned[0]


@pytest.mark.parametrize('config', ['lkunet_ixi', 'lkunet_ixi_diff'])
def test_what_weights_cannot_tell_is_no_other_setting(tmp_path, warned, config):
    path = convert(tmp_path, 'lkunet', lku(ndim=3, kernel=5))
    options = {'model.backbone.channels': 2}
    model = mmreg.init_model(config, path, device='cpu', cfg_options=options)
    assert warned == [] and (type(model.integrator).__name__ == 'ScalingSquaring') == config.endswith('diff')


def test_intensity_can_be_set_from_the_command_line():
    """Keys of `inference` need no plus, whether the config names them or not; others are refused by name."""
    from mmreg.registration.model import read_config
    from mmreg.registration.working.preparation import find_preparation

    told = {'inference.intensity': [{'type': 'MinMax'}]}
    for name in ('eoir_lumir', 'symnet_oasis', 'pyramid_brain_any'):
        cfg = read_config(name, told)
        assert find_preparation(cfg).intensity == ({'type': 'MinMax'},)
    assert 'inference' in load_config(find_config('pyramid_brain_any'))
    with pytest.raises(ConfigError, match='inference has'):
        find_preparation(read_config('eoir_lumir', {'inference.intensities': []}))
