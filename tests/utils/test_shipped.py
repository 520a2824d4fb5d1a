"""Configs that come with mmreg are found by name: from anywhere, by every command, and as a base."""

import pytest
from mmengine.config import Config

from mmreg.cli import main
from mmreg.errors import ConfigError
from mmreg.utils.config import load_config
from mmreg.utils.shipped import config_folder, find_config, shipped_configs


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize('name', ['eoir_lumir', 'eoir_lumir.py', 'mmreg::eoir_lumir', 'mmreg::eoir_lumir.py'])
def test_by_name(name):
    assert find_config(name) == config_folder() / 'eoir_lumir.py'
    assert load_config(name).model.type


def test_all_of_them():
    names = shipped_configs()
    assert {'register_brain_t1', '_base_/default_runtime'} <= set(names)
    assert all(find_config(f'mmreg::{name}') == path for name, path in names.items())


def test_a_file_wins(tmp_path):
    (tmp_path / 'eoir_lumir.py').write_text('own = 1')
    assert load_config('eoir_lumir.py').own == 1
    assert load_config('mmreg::eoir_lumir.py').model
    (tmp_path / 'eoir_oasis').mkdir()
    assert find_config('eoir_oasis') == config_folder() / 'eoir_oasis.py'


def test_as_a_base(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'mmreg::eoir_lumir.py'\nwork_dir = 'here'\nmodel = dict(ndim=3)\n")
    cfg = load_config(path)
    assert cfg.work_dir == 'here'
    wanted = load_config('eoir_lumir')
    assert cfg.model == wanted.model | dict(ndim=3)
    assert Config.fromfile(str(path)).model == cfg.model
    path.write_text("_base_ = ['mmreg::_base_/default_runtime.py', './other.py']\n")
    (tmp_path / 'other.py').write_text('other = 2')
    assert load_config(path).other == 2
    path.write_text("_base_ = 'mmreg::eoir_lumi.py'\n")
    with pytest.raises(ConfigError, match="did you mean 'eoir_lumir'"):
        load_config(path)


@pytest.mark.parametrize('name', ['eoir_lumr', 'configs/eoir_lumr.py', 'mmreg::eoir_lumr.py'])
def test_near_names_are_suggested(name):
    with pytest.raises(ConfigError, match=r'there is no such config file; did you mean .*eoir_lumir'):
        find_config(name)


def test_commands(capsys):
    assert main(['config', 'eoir_lumir']) == 0
    assert 'EOIREncoder' in capsys.readouterr().out
    assert main(['train', 'eoir_lumr']) == 2
    assert 'did you mean' in capsys.readouterr().err
    assert main(['infer', 'eoir_lumir', '-f', 'none.nii.gz', '-m', 'none.nii.gz', '-o', 'out']) == 2
    assert 'none.nii.gz' in capsys.readouterr().err
