"""Reading configs and merging options."""

import copy
import gc

import pytest
from mmengine.config import Config

from mmreg.errors import ConfigError
from mmreg.utils.config import fix_dataloaders, load_config, merge_options


@pytest.fixture
def cfg():
    return Config(
        dict(
            model=dict(type='Net', channels=[8, 16], head=dict(type='Head', depth=2)),
            train_cfg=dict(type='Loop', max_epochs=3),
            dataset=dict(paths=dict(root='data')),
            hooks=[dict(type='A', n=1), dict(type='B')],
        )
    )


def test_options_reach_every_kind_of_place(cfg):
    merge_options(
        cfg,
        {
            'model.head.depth': 5,
            'model.channels.0': 4,
            'hooks.0.n': 7,
            'dataset.paths.root': 'x',
            'model.new_argument': 1,
            '+extra.deep': 2,
            'resume': True,
            'default_hooks.timer': None,
        },
    )
    assert cfg.model.head.depth == 5 and cfg.model.channels == [4, 16] and cfg.hooks[0].n == 7
    assert cfg.dataset.paths.root == 'x' and cfg.model.new_argument == 1 and cfg.extra.deep == 2 and cfg.resume is True
    assert cfg.default_hooks == {'timer': None}


@pytest.mark.parametrize(
    ('key', 'words'),
    [
        ('train_cfgs.max_epochs', "the config has no key 'train_cfgs'; did you mean 'train_cfg'"),
        ('modle.head.depth', "did you mean 'model'"),
        ('model.haed.depth', "model has no key 'haed'; did you mean 'head'"),
        ('dataset.paths.rot', "dataset.paths has no key 'rot'; did you mean 'root'"),
        ('dataset.paths.zzz', 'known are root; Write +dataset.paths.zzz=...'),
        ('model.channels.5', 'a list of 2 entries, expected a number from 0 to 1'),
        ('train_cfg.max_epochs.x', 'train_cfg.max_epochs=3 has no keys'),
    ],
)
def test_keys_without_effect_are_refused(cfg, key, words):
    before = cfg.pretty_text
    with pytest.raises(ConfigError) as error:
        merge_options(cfg, {key: 1, 'model.head.depth': 9})
    assert words in str(error.value) and '\n' not in str(error.value)
    assert cfg.pretty_text == before


def test_imports_do_not_make_a_config_lazy(tmp_path):
    (tmp_path / 'base.py').write_text('a = dict(x=1, y=2)\n')
    (tmp_path / 'child.py').write_text(
        "from pathlib import Path\n_base_ = ['base.py']\na = dict(y=3)\nb = Path('u').name\n"
    )
    (tmp_path / 'plain.py').write_text('import os\nfrom pathlib import Path\nb = 1\n')
    assert load_config(tmp_path / 'child.py').a == dict(x=1, y=3)
    assert load_config(tmp_path / 'plain.py').b == 1


def test_lazy_configs_still_work(tmp_path):
    (tmp_path / '__init__.py').write_text('')
    (tmp_path / 'lazy.py').write_text(
        'from mmengine.config import read_base\nfrom torch.optim import Adam\n'
        'with read_base():\n    from .lazy_base import *\noptimizer = dict(type=Adam, lr=lr)\n'
    )
    (tmp_path / 'lazy_base.py').write_text('lr = 0.5\n')
    cfg = load_config(tmp_path / 'lazy.py')
    merge_options(cfg, {'optimizer.lr': 0.25})
    assert cfg.optimizer.lr == 0.25 and cfg.optimizer.type.__name__ == 'Adam'


# When a config cannot be read, the engine leaves the temporary file that it copied it to open.
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning', 'ignore::ResourceWarning')
@pytest.mark.parametrize(
    ('name', 'text', 'words'),
    [
        ('a.py', 'x = (\n', 'a.py'),
        ('a.py', 'x = unknown_name\n', "NameError: name 'unknown_name' is not defined"),
        ('a.py', "_base_ = ['nowhere.py']\n", 'nowhere.py'),
        ('a.py', "custom_imports = dict(imports=['no_such_module_x'], allow_failed_imports=False)\n", 'ImportError'),
        ('a.txt', 'x = 1\n', 'expected .py'),
        (None, '', 'no such config'),
    ],
)
def test_broken_configs_are_one_sentence(tmp_path, name, text, words):
    path = tmp_path / (name or 'missing.py')
    if name:
        path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert words in str(error.value) and '\n' not in str(error.value)
    del error
    gc.collect()


def test_loaders_are_fitted_to_the_machine():
    loader = dict(num_workers=0, persistent_workers=True, prefetch_factor=2, pin_memory=True)
    cfg = Config(dict(train_dataloader=loader, val_dataloader=dict(loader, num_workers=2), test_dataloader=None))
    fix_dataloaders(cfg, has_accelerator=False)
    assert cfg.train_dataloader == dict(num_workers=0)
    assert cfg.val_dataloader.persistent_workers and cfg.val_dataloader.worker_init_fn.type == 'mmreg.own_group_worker'
    assert 'pin_memory' not in cfg.val_dataloader


def test_the_text_of_a_config_is_not_laid_out(monkeypatch):
    """The engine's formatter tries ways to break long lines, minutes where the folder of the data is long."""
    import mmengine.config.config as engine

    monkeypatch.setattr(engine, 'FormatCode', lambda *_, **__: pytest.fail('formatted'))
    monkeypatch.setenv('MMREG_DATA', f'/{"folder/" * 12}')
    cfg = load_config('configs/textscf_oasis.py')
    again = Config.fromstring(copy.deepcopy(cfg).pretty_text, '.py')
    assert again._cfg_dict.to_dict() == cfg._cfg_dict.to_dict()
