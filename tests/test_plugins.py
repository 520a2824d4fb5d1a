"""The three ways in which a part from outside reaches the registries."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmreg.cli import main
from mmreg.errors import ConfigError
from mmreg.plugins import load_entry_points, load_plugin
from mmreg.registry import BACKBONES

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / 'projects' / 'example_plugin'
PART = """
from torch import nn
from mmreg.registry import BACKBONES

@BACKBONES.register_module()
class {name}(nn.Module):
    '''A part from outside.'''
"""


def test_plugin_file(tmp_path, capsys):
    (tmp_path / 'my_parts.py').write_text(PART.format(name='FromAFile'))
    assert main(['list', 'backbones', '--plugin', str(tmp_path / 'my_parts.py')]) == 0
    output = capsys.readouterr().out
    assert 'FromAFile' in output and 'A part from outside.' in output and 'from mmreg_plugin_my_parts' in output
    load_plugin(tmp_path / 'my_parts.py')  # again: nothing happens
    assert BACKBONES.get('FromAFile').__module__ in sys.modules


def test_plugin_folder(tmp_path, capsys):
    """A folder with an ``__init__.py`` is a package: its files may import each other."""
    folder = tmp_path / 'parts'
    folder.mkdir()
    (folder / 'one.py').write_text(PART.format(name='FromAFolder'))
    (folder / '__init__.py').write_text('from .one import FromAFolder\n')
    assert main(['list', 'backbones', '--plugin', str(folder)]) == 0
    assert 'FromAFolder' in capsys.readouterr().out
    load_plugin(folder)  # again: nothing happens
    assert BACKBONES.get('FromAFolder').__module__ in sys.modules
    (folder / '__init__.py').unlink()
    with pytest.raises(ConfigError, match=r'parts: there is no such file, expected .* a folder with an __init__\.py'):
        load_plugin(folder)


def test_custom_imports_in_a_config(tmp_path, monkeypatch, capsys):
    (tmp_path / 'imported_parts.py').write_text(PART.format(name='FromAnImport'))
    config = tmp_path / 'config.py'
    config.write_text("custom_imports = dict(imports=['imported_parts'], allow_failed_imports=False)\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(['config', str(config)]) == 0
    assert 'FromAnImport' in BACKBONES.module_dict and 'custom_imports' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('name', 'text', 'words'),
    [
        ('missing.py', None, 'no such file'),
        ('broken.py', 'import not_installed_anywhere\n', "No module named 'not_installed_anywhere'"),
        ('syntax.py', 'x = (\n', 'SyntaxError'),
    ],
)
def test_broken_plugin_files_name_themselves(tmp_path, capsys, name, text, words):
    if text is not None:
        (tmp_path / name).write_text(text)
    assert main(['list', '--plugin', str(tmp_path / name)]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and name in error[0] and words in error[0]


def test_missing_module(capsys):
    assert main(['list', '--plugin', 'no_such_module_anywhere']) == 2
    assert 'no_such_module_anywhere' in capsys.readouterr().err


def test_broken_entry_point_names_its_package(tmp_path, monkeypatch):
    info = tmp_path / 'broken_plugin-1.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text('[mmreg.plugins]\nbroken = broken_plugin_module\n')
    (tmp_path / 'broken_plugin_module.py').write_text('raise RuntimeError("half installed")\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="'broken' .* package broken-plugin cannot be loaded: RuntimeError: half"):
        load_entry_points()


def test_example_plugin_installed(tmp_path):
    """Really install the example and train one iteration with its parts, found by the entry point alone."""
    import shutil

    source = shutil.copytree(EXAMPLE, tmp_path / 'source')
    site = tmp_path / 'site'
    pip = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-build-isolation', '--no-index']
    installed = subprocess.run([*pip, '--target', str(site), str(source)], capture_output=True, text=True)
    assert installed.returncode == 0, installed.stderr
    env = {**os.environ, 'PYTHONPATH': str(site), 'OMP_NUM_THREADS': '1'}
    options = ['--cfg-options', 'train_cfg.max_iters=1', 'train_cfg.val_interval=5', '--no-validate']
    command = [sys.executable, '-m', 'mmreg.cli', 'train', str(EXAMPLE / 'configs/example_shapes.py')]
    run = subprocess.run(
        [*command, '--work-dir', str(tmp_path / 'w'), *options], capture_output=True, text=True, env=env, cwd=ROOT
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    assert (tmp_path / 'w/iter_1.pth').is_file()
    plain = subprocess.run([*command, *options], capture_output=True, text=True, cwd=tmp_path)
    assert plain.returncode == 2 and "type='StridedPyramid' is not a registered backbone" in plain.stderr
