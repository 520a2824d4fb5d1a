"""The command line: doors, lists, and mistakes in one sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

from mmreg.cli import ALIASES, COMMANDS, door, main
from mmreg.commands.list import describe
from mmreg.commands.shared.part_sources import parts_of_sources
from mmreg.errors import DataError
from mmreg.plugins import register_all_modules
from mmreg.registry import LOSSES, PUBLIC
from mmreg.utils import console

ROOT = Path(__file__).parents[1]


def test_help_and_version(capsys):
    assert main(['--help']) == 0 and main([]) == 2
    output = capsys.readouterr().out
    assert all(name in output for name in COMMANDS)
    assert main(['--version']) == 0
    from mmreg.version import __version__

    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize('name', [*COMMANDS])
def test_every_door_opens(name, capsys):
    with pytest.raises(SystemExit) as stop:
        door(name)(['--help'])
    assert stop.value.code == 0
    assert 'usage' in capsys.readouterr().out


def test_unknown_command_suggests(capsys):
    assert main(['trian']) == 2
    error = capsys.readouterr().err
    assert error.startswith("mmreg: error: there is no command 'trian'; did you mean 'train'?")
    assert set(ALIASES.values()) <= set(COMMANDS)


def test_list_prints_every_part_of_every_registry(capsys):
    assert main(['list']) == 0
    output = capsys.readouterr().out
    register_all_modules()
    for title, registry in PUBLIC.items():
        registry.import_from_location()
        own = [part for part in registry.module_dict.values() if part.__module__.startswith('mmreg.')]
        assert f'{title} ({len(own)})' in output
    assert len(LOSSES.module_dict) > 3
    assert main(['list', 'losses']) == 0
    losses = capsys.readouterr().out
    for part in parts_of_sources()['losses']:
        assert all(line in losses for line in describe(part).splitlines())
        assert 'no description' not in describe(part)
    assert main(['list', 'loss', '--names']) == 2
    assert main(['list', 'backbone', '--names']) == 0
    assert 'ResizePyramid' in capsys.readouterr().out.splitlines()


def test_list_of_an_unknown_registry(capsys):
    assert main(['list', 'cakes']) == 2
    assert "no part 'cakes', expected a registered part or one of the registries backbones" in capsys.readouterr().err


def test_config_prints_and_writes(tmp_path, capsys):
    (tmp_path / 'a.py').write_text('x = dict(y=1)\n')
    assert main(['config', str(tmp_path / 'a.py'), '--cfg-options', 'x.y=[1,2]']) == 0
    assert 'y=[1,2' in ''.join(capsys.readouterr().out.split())
    assert main(['config', str(tmp_path / 'a.py'), '--cfg-options', 'x.y=3', '--out', str(tmp_path / 'b.py')]) == 0
    assert 'y=3' in (tmp_path / 'b.py').read_text(encoding='utf-8')
    with pytest.raises(SystemExit):
        main(['config', str(tmp_path / 'a.py'), '--cfg-options', 'x.y'])
    assert 'expected KEY=VALUE' in capsys.readouterr().err


def test_one_place_turns_mistakes_into_sentences(capsys):
    def mistake():
        raise DataError('a.nii.gz is empty,\nexpected an image.')

    def bug():
        raise KeyError('something of ours')

    assert console.run(mistake) == 2
    assert capsys.readouterr().err == 'mmreg: error: a.nii.gz is empty, expected an image.\n'
    with pytest.raises(DataError):
        console.run(mistake, debug=True)
    with pytest.raises(KeyError):
        console.run(bug)

    def stopped():
        raise KeyboardInterrupt

    assert console.run(stopped) == 130 and console.run(lambda: None) == 0 and console.run(lambda: 3) == 3


def test_type_errors_of_our_own_code_stay_bugs():
    def bug():
        def function(a):
            return a

        function(b=1)

    with pytest.raises(TypeError):
        console.run(bug)


def test_table_aligns_and_escapes(capsys):
    console.table(('name', 'value'), [('[bold]a', 1.5), ('b', '-')], title='t')
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == 't' and '[bold]a' in lines[2] and lines[2].rstrip().endswith('1.5')


def test_tools_are_doors_and_import_is_light(tmp_path):
    code = 'import sys, mmreg, mmreg.cli; sys.exit("torch" in sys.modules or "mmengine" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], cwd=tmp_path).returncode == 0
    for tool in ('train', 'test', 'print_config'):
        text = (ROOT / 'tools' / f'{tool}.py').read_text(encoding='utf-8')
        assert 'from mmreg.cli import door' in text and len(text.splitlines()) < 12
    run = subprocess.run(
        [sys.executable, str(ROOT / 'tools/print_config.py'), 'nowhere.py'],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert run.returncode == 2 and run.stderr == 'mmreg: error: nowhere.py: there is no such config file.\n'


def test_scripts_are_valid_shell():
    for script in sorted((ROOT / 'tools').glob('*.sh')):
        assert subprocess.run(['bash', '-n', str(script)]).returncode == 0
        assert subprocess.run(['bash', str(script)], capture_output=True).returncode == 2
