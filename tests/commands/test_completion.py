"""The completion of shells: every command and option, names of parts and presets, without running anything."""

import argparse
import subprocess
import sys
from importlib import import_module

import pytest

from mmreg.cli import COMMANDS, main
from mmreg.commands.completion import parser_of


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_lends_its_parser(name):
    parser = parser_of(import_module(COMMANDS[name][0]).main)
    assert isinstance(parser, argparse.ArgumentParser) and parser._actions
    with pytest.raises(SystemExit):
        parser.parse_args(['--help'])  # what was caught is put back


def test_without_shtab_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'shtab', None)
    assert main(['completion', 'bash']) == 2
    assert 'pip install "mmreg[completion]"' in capsys.readouterr().err


@pytest.mark.parametrize('shell', ['bash', 'zsh', 'tcsh'])
def test_shells(shell, capsys):
    pytest.importorskip('shtab')
    assert main(['completion', shell]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ('register', 'compare-with', '--use-landmarks'))


def test_bash_completes(tmp_path, capsys):
    pytest.importorskip('shtab')
    assert main(['completion', 'bash']) == 0
    (tmp_path / 'mmreg.sh').write_text(capsys.readouterr().out)
    script = f"""
        source {tmp_path / 'mmreg.sh'}
        function=$(complete -p mmreg | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        try() {{ COMP_WORDS=("$@"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=(); $function 2>/dev/null
                echo "${{COMPREPLY[@]}}"; }}
        try mmreg regi; try mmreg list LNC; try mmreg register --preset brain_t; try mmreg apply --moving-m
        try mmreg register --use-landmarks st
    """
    run = subprocess.run(['bash', '-c', script], capture_output=True, text=True)
    assert run.stdout.splitlines() == ['register', 'LNCC', 'brain_t1', '--moving-mesh', 'start'], run.stderr


def test_options_that_are_nearly_right(capsys):
    with pytest.raises(SystemExit) as stop:
        main(['register', 'a.nii', 'b.nii', '-o', 'out', '--use-landmark', 'start', '--smothness', '2'])
    assert stop.value.code == 2
    assert 'did you mean --smoothness?' in capsys.readouterr().err
    assert main(['models', 'voxelmorf']) == 2
    assert "did you mean 'VoxelMorph'" in capsys.readouterr().err
