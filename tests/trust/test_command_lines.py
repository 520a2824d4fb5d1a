"""Command lines with a mistake, seeded: a result or one sentence, an exit code, and nothing half-written.

``MMREG_FUZZ_SEED`` chooses other mistakes; the number of a case stands in front of what is wrong with it.
"""

import os
import shutil

import pytest

from tests.trust.command_lines import LINES, attempt, extend

SEED = int(os.environ.get('MMREG_FUZZ_SEED', '0'))
FAST, MANY = 2 * len(LINES), 2000


@pytest.fixture(scope='module')
def files(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp('lines') / 'base'
    shutil.copytree(base, folder)
    extend(folder)
    return folder


def violations(numbers, files, runs, folder):
    found = []
    for number in numbers:
        problem = attempt(SEED, number, files, runs, folder / f'case{number}')
        found += [problem] if problem else []
        shutil.rmtree(folder / f'case{number}', ignore_errors=True)
    return found


def test_spoilt_lines(files, runs, tmp_path):
    found = violations(range(FAST), files, runs, tmp_path)
    assert not found, '\n'.join(found)


@pytest.mark.slow
@pytest.mark.parametrize('part', range(10))
def test_many_spoilt_lines(part, files, runs, tmp_path):
    count = MANY // 10
    found = violations(range(FAST + part * count, FAST + (part + 1) * count), files, runs, tmp_path)
    assert not found, '\n'.join(found)


def test_every_command_is_spoilt():
    """A new command has a line in tests/trust/command_lines.py; `demo` trains for minutes."""
    from mmreg.cli import COMMANDS

    assert {line.split()[0] for line in LINES} == {*COMMANDS} - {'demo'}


@pytest.mark.slow
def test_right_lines_work(files, runs, tmp_path):
    """The fuzz would say nothing about lines that are refused as they are. Some need data or weights."""
    refused = {
        'data check',
        'data prepare',
        'weights path',
        'weights add',
        'convert',
        'reparameterise',
        'embed',
        'bids',
        'steps',
    }
    for command, words in LINES.items():
        if command in refused | {'steps', 'models'}:  # the last reads all configs
            continue
        folder = tmp_path / 'line'
        shutil.copytree(files, folder, symlinks=True, ignore=shutil.ignore_patterns('pipe'))
        log = tmp_path / 'line.log'
        assert runs.run([*command.split(), *words], log, folder) == 0, (command, log.read_text('utf-8'))
        shutil.rmtree(folder)
