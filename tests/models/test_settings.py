"""Weights that fit a model with other settings than theirs: one sentence names the keys that differ."""

import pytest
import torch
from mmengine.config import Config

from mmreg.apis import init_model
from mmreg.commands import test as door
from mmreg.commands.shared import launch
from mmreg.models import settings
from mmreg.models.settings import other_settings
from mmreg.registry import REGISTRARS
from mmreg.utils.config import load_config
from mmreg.utils.shipped import config_folder

SMALL = {'levels': 2}
DESCRIBED = {
    'ndim': 2,
    'backbone': {'type': 'ImagePyramid', 'method': 'average', **SMALL},
    'flow_head': {'type': 'LapIRNHead', 'channels': 4, 'blocks': 1, 'resampling': 'centres'},
    'integrator': {'type': 'ScalingSquaring', 'padding': 'border'},
}


def changed(part, **values):
    return {**DESCRIBED, part: {**DESCRIBED[part], **values}}


def build(model):
    return REGISTRARS.build({'type': 'Registrar', **model})


@pytest.fixture
def said(monkeypatch):
    """What is logged about settings."""
    sentences = []
    monkeypatch.setattr(settings, 'print_log', lambda text, **_: sentences.append(text))
    return sentences


@pytest.mark.parametrize(
    ('model', 'expected'),
    [
        (DESCRIBED, {}),
        (changed('flow_head', unit='normalised', scale=0.4), {}),  # defaults written out
        (changed('flow_head', resampling='linear'), {'flow_head.resampling': ('centres', 'linear')}),
        (changed('backbone', method='block'), {'backbone.method': ('average', 'block')}),
        (changed('integrator', padding='zeros'), {'integrator.padding': ('border', 'zeros')}),
        (
            {**DESCRIBED, 'integrator': {'type': 'IdentityIntegrator'}},
            {'integrator.type': ('ScalingSquaring', 'IdentityIntegrator'), 'integrator.padding': ('border', None)},
        ),
    ],
)
def test_settings_that_differ(model, expected):
    assert other_settings(build(model), DESCRIBED) == expected


def test_training_mode_and_recomputation_are_no_settings():
    model = build({**DESCRIBED, 'checkpoint_levels': 2})
    assert other_settings(model.train(), DESCRIBED) == other_settings(model.eval(), DESCRIBED) == {}


def test_parts_that_a_checkpoint_does_not_describe_are_not_compared():
    described = {key: value for key, value in DESCRIBED.items() if key != 'integrator'}
    assert other_settings(build(changed('integrator', steps=3)), described) == {}
    assert other_settings(build(DESCRIBED), {**DESCRIBED, 'backbone': {'type': 'NotThereAnyMore'}}) == {}


@pytest.mark.parametrize('meta', [{}, {'model': None}, {'model': {}}, {'cfg': 'model = dict()'}])
def test_a_checkpoint_without_description_says_nothing(meta, said):
    assert settings.warn_of_other_settings(build(DESCRIBED), meta, 'x.pth') is None and not said


def write(folder, model, **meta):
    torch.manual_seed(1)
    path = folder / 'converted.pth'
    torch.save({'state_dict': build(model).state_dict(), 'meta': {'family': 'lapirn', 'model': model, **meta}}, path)
    return path


def test_init_model_warns_in_one_sentence(tmp_path, said):
    """The shipped config with other grids than those of the published weights."""
    small = {'model.flow_head.channels': 4}
    published = load_config(config_folder() / 'lapirn_oasis_published.py').model.to_dict()
    published['flow_head']['channels'] = 4
    described = {key: published[key] for key in ('backbone', 'flow_head', 'integrator')}
    path = write(tmp_path, described)
    init_model(config_folder() / 'lapirn_oasis_published.py', path, 'cpu', small)
    assert not said
    init_model(config_folder() / 'lapirn_oasis.py', path, 'cpu', small)
    assert len(said) == 1 and said[0].startswith(f'{path} belongs to a model with other settings than the config: ')
    assert "backbone.method is 'average' there and " in said[0]
    assert "flow_head.resampling is 'centres' there and 'linear' here" in said[0]
    assert '\n' not in said[0] and said[0].count('. ') == 0


def test_the_test_command_warns_too(tmp_path, said, monkeypatch):
    class Runner:
        model = build(changed('flow_head', resampling='linear'))

        def load_checkpoint(self, path):
            self.path = path

        def test(self):
            return {'x': 1.0}

    runner = Runner()
    monkeypatch.setattr(door, 'prepare', lambda args: Config({'work_dir': str(tmp_path / 'work')}))
    monkeypatch.setattr(launch, 'join_processes', lambda *_: None)
    monkeypatch.setattr(launch, 'build_runner', lambda cfg: runner)
    path = write(tmp_path, DESCRIBED)
    assert door.main(['config.py', str(path)]) == 0 and runner.path == str(path)
    assert len(said) == 1 and 'flow_head.resampling' in said[0]
