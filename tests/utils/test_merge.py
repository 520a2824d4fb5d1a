"""A part is swapped from the command line in every spelling that OpenMMLab users know; what it had does not linger."""

import pytest
from mmengine.config import Config

from mmreg.errors import ConfigError
from mmreg.utils.config import load_config, merge_options
from mmreg.utils.option_values import parse_value
from mmreg.utils.shipped import config_folder
from tests import configs


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ("{'type': 'MIND'}", {'type': 'MIND'}),
        ('{"type": "MIND", "masked": true, "x": null}', {'type': 'MIND', 'masked': True, 'x': None}),
        ("dict(type='MIND', levels=[1, 1/2], weight=-1e-3)", {'type': 'MIND', 'levels': [1, 0.5], 'weight': -0.001}),
        ('dict(type=MIND)', {'type': 'MIND'}),
        ('{type: MIND}', {'type': 'MIND'}),
        ("[dict(type='A'), {'type': 'B'}]", [{'type': 'A'}, {'type': 'B'}]),
        ("dict(a=dict(b=(1, 'x')))", {'a': {'b': (1, 'x')}}),
        ('{}', {}),
        ('1e-3', 0.001),
        ('[1,2]', [1, 2]),
        ('[(1,2),[a,b],c]', [(1, 2), ['a', 'b'], 'c']),
        ('a,b', ['a', 'b']),
        ('None', None),
        ('true', True),
        ('path/to/x.json', 'path/to/x.json'),
    ],
)  # fmt: skip
def test_values(text, value):
    assert parse_value(text) == value


@pytest.mark.parametrize(
    'text',
    ["dict(type='A'", '{', "{'a': }", "dict(__import__('os'))", "dict(a=open('x'))", "{'a': [].append}", 'dict(a=1/0)',
     "{**{'a': 1}}", '[1,2', '{' * 5000, "dict(a=lambda: 1)", "dict(a=f'{1}')", "[dict(a=print(1))]"],
)  # fmt: skip
def test_bad_values(text):
    with pytest.raises(ConfigError, match='--cfg-options'):
        parse_value(text)


def merged(name, *words):
    cfg = configs.read(config_folder() / f'{name}.py')
    options = {}
    for word in words:
        key, _, value = word.partition('=')
        options[key] = parse_value(value)
    merge_options(cfg, options)
    return cfg


PLACES = {
    'model.losses.similarity': 'MIND',
    'model.flow_head': 'ConvFlowHead',
    'model.integrator': 'RungeKutta',
    'default_hooks.checkpoint': 'CheckpointHook',
    'val_evaluator.0': 'JacobianMetric',
    'model.backbone.encoder': 'Other',
    'optim_wrapper.optimizer': 'SGD',
    'param_scheduler.0': 'StepLR',
}
SPELLINGS = {
    'json': ["{place}={{'type': '{part}'}}"],
    'dict': ['{place}=dict(type="{part}")'],
    'delete inside': ['{place}=dict(_delete_=True, type="{part}")'],
    'delete beside': ['{place}._delete_=True', '{place}.type={part}'],
    'delete after': ['{place}.type={part}', '{place}._delete_=True'],
}


@pytest.mark.parametrize('place', PLACES)
@pytest.mark.parametrize('spelling', SPELLINGS)
def test_a_part_is_replaced_whole(place, spelling):
    cfg = merged('eoir_lumir', *(word.format(place=place, part=PLACES[place]) for word in SPELLINGS[spelling]))
    node = cfg
    for name in place.split('.'):
        node = node[int(name)] if name.isdecimal() else node[name]
    assert node == {'type': PLACES[place]}


def test_one_of_the_same_type_is_changed():
    before = load_config(config_folder() / 'eoir_lumir.py').model.losses.similarity
    for word in ('model.losses.similarity={"window": 5}', 'model.losses.similarity=dict(type="LNCC", window=5)'):
        assert merged('eoir_lumir', word).model.losses.similarity == {**before, 'window': 5}


def test_deleting_alone_takes_a_key_away():
    assert set(merged('eoir_lumir', 'model.losses.smoothness._delete_=True').model.losses) == {'similarity'}
    cfg = merged('eoir_lumir', 'model.losses=dict(_delete_=True, mine=dict(type="MSE"))')
    assert cfg.model.losses == {'mine': {'type': 'MSE'}}


@pytest.mark.parametrize('word', ['train_cfgs=dict(max_epochs=1)', 'model.losses=dict(similarityy={"weight": 1})'])
def test_a_misspelt_key_is_refused(word):
    with pytest.raises(ConfigError, match='did you mean'):
        merged('eoir_lumir', word)


@pytest.mark.parametrize('key', ['', '.', 'model..losses', '+', 'model.'])
def test_a_key_without_a_name_is_refused(key):
    with pytest.raises(ConfigError, match='names between the dots'):
        merge_options(configs.read(config_folder() / 'eoir_lumir.py'), {key: 1})


@pytest.mark.parametrize('numbers', [(0, 1), (1, 0), (0, 2)])
def test_entries_of_a_list_are_deleted_by_the_numbers_in_the_config(numbers):
    cfg = Config({'pipeline': [dict(type='A'), dict(type='B'), dict(type='C')]})
    options = {f'pipeline.{number}._delete_': True for number in numbers}
    left = ({0, 1, 2} - set(numbers)).pop()
    merge_options(cfg, {**options, f'pipeline.{left}.size': 3})
    assert cfg.pipeline == [dict(type='ABC'[left], size=3)]


@pytest.mark.parametrize('key', ['+levels.9.scale', '+levels.x.scale', '+levels.2', '+levels.-1'])
def test_entries_that_a_list_does_not_have_are_refused_however_they_are_named(key):
    cfg = Config({'levels': [dict(scale=2), dict(scale=1)]})
    with pytest.raises(ConfigError, match='levels is a list of 2 entries, expected a number from 0 to 1'):
        merge_options(cfg, {key: 1})
