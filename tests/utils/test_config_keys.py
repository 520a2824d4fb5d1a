"""Keys without effect are errors, on the command line and in files; names of the published systems are answered."""

import pytest

from mmreg.cli import main
from mmreg.errors import ConfigError
from mmreg.utils.config import load_config, merge_options
from mmreg.utils.config_keys import PUBLISHED_OPTIONS
from tests import configs

OASIS = 'configs/textscf_oasis.py'


@pytest.mark.parametrize(
    'config, key, place',
    [
        ('textscf_oasis', 'edition', 'train_dataloader.dataset.edition'),
        ('gradirn_camcan', 'modality', 'train_dataloader.dataset.modality'),
        ('eoir_oasis', 'num_classes', 'val_evaluator.0.labels'),
        ('spine_mind', 'image_size', 'pipeline'),
        ('spine_mind', 'int_steps', 'model.integrator.steps'),
        ('gradirn_acdc', 'stack.0.size', 'train_dataloader.dataset.stack'),
        ('textscf_oasis', 'dataset_type', 'train_dataloader.dataset.type'),
    ],
)
def test_variables_of_a_file_are_refused(config, key, place):
    cfg = configs.read(f'configs/{config}.py')
    with pytest.raises(ConfigError, match='has no effect') as error:
        merge_options(cfg, {key: 'other'})
    assert place in str(error.value)


def test_keys_with_an_effect_pass():
    cfg = load_config(OASIS)
    merge_options(cfg, {'data_root': '/elsewhere', 'train_cfg.max_epochs': 2, 'inference.spacing': 2.0, '+my_key': 1})
    assert cfg.train_dataloader.dataset.data_root == '/elsewhere' and cfg.my_key == 1


@pytest.mark.parametrize('name', ['start_channel', 'bs', 'gpu_id', 'reg_w', 'scp_dim', 'diff_int', 'clip_backbone'])
def test_published_options_are_answered(name, capsys):
    with pytest.raises(ConfigError) as error:
        merge_options(configs.read('configs/eoir_lumir.py'), {name: 8})
    assert PUBLISHED_OPTIONS[name] in str(error.value)
    for written in (f'--{name}', f'{name}=8'):
        with pytest.raises(SystemExit) as stopped:
            main(['train', 'configs/eoir_lumir.py', written, *(['8'] if written.startswith('-') else [])])
        assert stopped.value.code == 2
        assert PUBLISHED_OPTIONS[name] in ' '.join(capsys.readouterr().err.split())


def test_keys_that_are_named_exist():
    """Where a sentence names a key, a config that it speaks of has it."""
    cases = {
        'eoir_lumir': [
            'model.backbone.encoder.channels',
            'train_dataloader.batch_size',
            'model.losses.smoothness.weight',
        ],
        'textscf_oasis': ['model.backbone.channels', 'model.flow_head.hidden_dim', 'model.flow_head.text_embedding'],
        'spine_mind': ['model.integrator.steps', 'optim_wrapper.optimizer.lr', 'train_cfg.max_epochs'],
    }
    for name, keys in cases.items():
        cfg = load_config(f'configs/{name}.py')
        for key in keys:
            node = cfg
            for part in key.split('.'):
                node = node[part]
            assert any(key in text for text in PUBLISHED_OPTIONS.values())


#: Keys that configs of these systems have, where a sentence names one.
OF = {'lk_size': 'eoir_oasis', 'dsc_w': 'eoir_oasis', 'is_int': 'eoir_lumir', 'num_repeat': 'gradirn_ukbb'}


@pytest.mark.parametrize('name', PUBLISHED_OPTIONS)
def test_every_key_of_a_sentence_is_one(name):
    """The dotted keys of each answer exist in the config of a system that it is about."""
    import re

    names = [OF.get(name), 'eoir_lumir', 'eoir_oasis', 'textscf_oasis', 'gradirn_ukbb', 'spine_mind', 'c2fvit_oasis']
    known = [configs.look(f'configs/{name}.py') for name in names if name]
    roots = 'model|optim_wrapper|train_cfg|train_dataloader|val_dataloader|test_dataloader|default_hooks|randomness'
    for key in re.findall(rf'\b(?:{roots})(?:\.\w+)+', PUBLISHED_OPTIONS[name]):
        key = key.removesuffix('.py')
        if key.endswith(('dataset.pipeline', 'dataset.fraction', 'model.label_values')):
            continue  # arguments that a config need not state
        assert any(_has(cfg, key) for cfg in known), key


def _has(cfg, key):
    node = cfg
    for part in key.split('.'):
        if part not in node:
            return False
        node = node[part]
    return True


def write(path, text, base=OASIS):
    import os

    path.write_text(f"_base_ = ['{os.path.abspath(base)}']\n{text}\n")
    return path


@pytest.mark.parametrize(
    'text', ["edition = 'nifti'", 'start_channel = 8', 'int_steps = 5', 'train_cfgs = dict(max_epochs=2)']
)
def test_files_with_keys_without_effect(tmp_path, text, capsys):
    file = write(tmp_path / 'mine.py', text)
    with pytest.raises(ConfigError, match=f'mine.py, line 2: {text.split()[0]} has no effect'):
        load_config(file)
    assert main(['config', str(file)]) == 2


@pytest.mark.parametrize(
    'text',
    [
        "edition = 'nifti'\ntrain_dataloader = dict(dataset=dict(edition=edition))",
        "note = 'read by a hook of mine'",
        '_scratch = 1',
        'train_cfg: dict = dict(max_epochs=2)',
    ],
)
def test_files_with_keys_that_count(tmp_path, text):
    load_config(write(tmp_path / 'mine.py', text))


def test_a_base_of_ones_own_may_hold_variables(tmp_path):
    write(tmp_path / 'base.py', 'mine = 4\ntrain_dataloader = dict(batch_size=mine)')
    child = write(tmp_path / 'child.py', 'train_dataloader = dict(batch_size={{_base_.mine}})', tmp_path / 'base.py')
    assert load_config(child).train_dataloader.batch_size == 4
    write(tmp_path / 'child.py', 'mine = 5', tmp_path / 'base.py')
    with pytest.raises(ConfigError, match='mine has no effect'):
        load_config(child)


def test_data_root_of_a_file_moves_its_data_sets(tmp_path):
    cfg = load_config(write(tmp_path / 'mine.py', "data_root = '/mnt/scans'"))
    assert {cfg[f'{stage}_dataloader'].dataset.data_root for stage in ('train', 'val', 'test')} == {'/mnt/scans'}


@pytest.mark.parametrize('ending', ['.yaml', '.json'])
@pytest.mark.parametrize('key', ['edition', 'start_channel', 'num_classes', 'train_cfgs', 'dataset_type'])
def test_files_of_data_with_keys_without_effect(tmp_path, ending, key):
    import json

    file = tmp_path / f'mine{ending}'
    file.write_text(json.dumps({'_base_': 'mmreg::textscf_oasis.py', key: 'nifti'}))
    with pytest.raises(ConfigError, match=f'mine{ending}: {key} has no effect; '):
        load_config(file)
    (tmp_path / f'child{ending}').write_text(json.dumps({'_base_': f'mine{ending}', 'train_cfg': {'max_epochs': 2}}))
    with pytest.raises(ConfigError, match=f'mine{ending}: {key} has no effect; '):
        load_config(tmp_path / f'child{ending}')


def test_data_root_of_a_file_of_data_moves_its_data_sets(tmp_path):
    (tmp_path / 'mine.yaml').write_text(
        '_base_: mmreg::textscf_oasis.py\ndata_root: /mnt/scans\nnote: read by a hook\n'
    )
    cfg = load_config(tmp_path / 'mine.yaml')
    assert {cfg[f'{stage}_dataloader'].dataset.data_root for stage in ('train', 'val', 'test')} == {'/mnt/scans'}
    assert str(cfg).count('/mnt/scans/prompts') >= 3


LAZY = """
from mmengine.config import read_base

with read_base():
    from .below import *
"""


def test_lazy_files(tmp_path):
    below = "data_root = '/data'\nedition = 'pickle'\n"
    below += "train_dataloader = dict(dataset=dict(data_root=data_root, edition=edition, list=data_root + '/a.csv'))\n"
    (tmp_path / 'below.py').write_text(below)
    (tmp_path / 'mine.py').write_text(f"{LAZY}\nedition = 'nifti'\n")
    with pytest.raises(ConfigError, match='mine.py, line 7: edition has no effect'):
        load_config(tmp_path / 'mine.py')
    (tmp_path / 'mine.py').write_text(f"{LAZY}\ndata_root = '/mnt'\n")
    dataset = load_config(tmp_path / 'mine.py').train_dataloader.dataset
    assert (dataset.data_root, dataset.list) == ('/mnt', '/mnt/a.csv')
    (tmp_path / 'mine.py').write_text(f"{LAZY}\nedition = 'nifti'\ntrain_dataloader.update(dict(note=edition))\n")
    load_config(tmp_path / 'mine.py')
