"""Every command line that a page shows is understood, and names options, configs, presets, weights that there are."""

import argparse
import re
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from mmreg.cli import COMMANDS, door
from mmreg.commands.completion import parser_of
from mmreg.errors import ConfigError
from mmreg.utils import console
from mmreg.utils.config import merge_options
from mmreg.zoo.store import means_weights
from tests import configs
from tests.documented_commands import PAGES, ROOT, Line, documented, line_of, mentioned, module_of

WITH_LINES = [page for page in PAGES if documented(page)]
WITH_MENTIONS = [page for page in PAGES if mentioned(page)]


def examples() -> Iterator[Line]:
    """What ``--help`` of the commands shows."""
    for name in COMMANDS:
        for line in (parser_of(module_of(name).main).epilog or '').splitlines():
            shown = re.split(r'\s{3,}', line.strip())[0]  # the rest says what it is for
            found = line_of(shown, f'mmreg {name} --help')
            if found:
                yield found


def without_marks(words: list[str]) -> list[str]:
    """Words with what is optional, ``[--repeats 6 6 6]``, and without dots that mean more of the same."""
    text = ' '.join(words)
    if re.search(r'\[(?:--|[A-Z])', text):
        words = [re.sub(r'^\[(?=--|[A-Z])|(?<![\d\'"])\]$|(?<=\d)\]$', '', word) for word in words]
    values = {'$seed': '0'}
    return [values.get(word, word) for word in words if word not in ('...', '…', 'options', '[options]')]


def parsed(line: Line, monkeypatch) -> None:
    """The line as its command understands it, up to where the work would begin."""
    begun = []
    monkeypatch.setattr(console, 'run', lambda work, debug=False: begun.append(work) or 0)
    try:
        door(line.command)(without_marks(line.arguments))
    except SystemExit as error:
        assert error.code in (0, None), f'{line.place}: {line.text}'
        return
    assert begun, f'{line.place}: {line.text} was not begun'


def check_names(line: Line) -> None:
    """Configs, scripts, presets and weights of a line are there."""
    for word in line.words:
        if re.fullmatch(r'configs/\w+\.py', word):
            assert (ROOT / word).is_file(), f'{line.place}: {word}'
        elif re.fullmatch(r'configs/[\w*{},]+\.py', word) and '{' not in word:
            assert list(ROOT.glob(word)), f'{line.place}: {word}'
    for option, there in (('--preset', _is_preset), ('--weights', means_weights)):
        values = [b for a, b in zip(line.words, line.words[1:]) if a == option and b.islower()]
        for value in values:
            assert there(value), f'{line.place}: {option} {value}'


def _is_preset(name: str) -> bool:
    from mmreg.registration.presets.preset import find_presets

    return name.endswith('.py') or name in find_presets()


def check_keys(line: Line) -> None:
    """Keys of ``--cfg-options`` are keys of the config, where the line names one."""
    words = list(line.words)
    files = [word for word in words if re.fullmatch(r'configs/\w+\.py', word)]
    if '--cfg-options' not in words or not files:
        return
    options = {}
    for word in words[words.index('--cfg-options') + 1 :]:
        if word.startswith('-'):
            break
        if '=' in word:
            key, _, value = word.partition('=')
            options[key] = value
    with pytest.raises(ConfigError) if line.fails else nullcontext():
        merge_options(configs.read(ROOT / files[0]), options)


def _options(parser: argparse.ArgumentParser) -> set[str]:
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found |= _options(below)
    return found


def check_options(line: Line) -> None:
    """What a sentence mentions of a command is an option of it."""
    options = None
    for word in line.arguments:
        given = re.match(r'\[?(--?[a-z][\w-]*)', word)
        if given:
            options = options or _options(parser_of(module_of(line.command).main))
            assert given[1] in options, f'{line.place}: `{line.text}`: {line.command} has no {given[1]}'


@pytest.mark.parametrize('page', WITH_LINES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lines_of_a_page_are_understood(page, monkeypatch):
    for line in documented(page):
        check_names(line)
        if line.script is not None and line.command is None:
            _check_script(line)
        elif line.command != 'X,':  # architecture.md draws `mmreg X`
            assert line.command in COMMANDS, f'{line.place}: {line.text}'
            parsed(line, monkeypatch)
            check_keys(line)


@pytest.mark.parametrize('page', WITH_MENTIONS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_mentions_is_there(page):
    for line in mentioned(page):
        check_names(line)
        if line.script is not None:
            assert (ROOT / line.script).is_file(), f'{line.place}: {line.text}'
        elif line.command.startswith('-') or line.command in ('X', 'COMMAND', ''):
            continue
        else:
            assert line.command in COMMANDS, f'{line.place}: `{line.text}`'
            check_options(line)


def _check_script(line: Line) -> None:
    """A script that is no door to a command: its options stand in it."""
    text = (ROOT / line.script).read_text('utf-8')
    for word in line.words:
        if word.startswith('--'):
            assert f"'{word}'" in text, f'{line.place}: {line.script} has no {word}'


def test_examples_of_help_are_understood(monkeypatch):
    lines = list(examples())
    assert len(lines) > 25
    for line in lines:
        assert line.command in COMMANDS, f'{line.place}: {line.text}'
        check_names(line)
        parsed(line, monkeypatch)


def test_wrong_lines_are_found(monkeypatch, capsys):
    """The check itself: an option, a key, a preset, a command that is not there."""
    for text in ('mmreg register a.nii b.nii -o out --no-such-option', 'python tools/train.py', 'mmreg invert'):
        with pytest.raises(AssertionError, match='here'):
            parsed(line_of(text, 'here'), monkeypatch)
    with pytest.raises(AssertionError, match='here'):
        check_names(line_of('mmreg register a b -o out --preset no_such', 'here'))
    with pytest.raises(AssertionError, match='here'):
        check_options(line_of('mmreg register --pair', 'here'))
    with pytest.raises(Exception, match='no_key'):
        check_keys(line_of('mmreg train configs/eoir_demo.py --cfg-options no_key.a=1', 'here'))
