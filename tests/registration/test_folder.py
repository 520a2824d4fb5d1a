"""A folder of results is whole or not there, and what was there survives every failure."""

import json
import os
import signal
import subprocess
import sys

import pytest

from mmreg.errors import DataError
from mmreg.registration.results.folder import read_marker, replacing_folder


def fill(folder, **files):
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / 'plan.json').write_text(json.dumps({'files': [*files, 'plan.json']}))


def content(folder):
    return {path.name: path.read_text(encoding='utf-8') for path in folder.iterdir()}


def test_new_folder_with_parents(tmp_path):
    with replacing_folder(tmp_path / 'a' / 'b') as temporary:
        fill(temporary, one='1')
        assert not (tmp_path / 'a' / 'b').exists()
    assert content(tmp_path / 'a' / 'b')['one'] == '1'
    assert [p.name for p in (tmp_path / 'a').iterdir()] == ['b']


@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_failure_leaves_nothing(tmp_path, error):
    with pytest.raises(error), replacing_folder(tmp_path / 'a' / 'b') as temporary:
        fill(temporary, one='1')
        raise error
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_the_old(tmp_path):
    target = tmp_path / 'out'
    with replacing_folder(target) as temporary:
        fill(temporary, one='old')
    with pytest.raises(RuntimeError), replacing_folder(target) as temporary:
        fill(temporary, one='new')
        raise RuntimeError
    assert content(target)['one'] == 'old' and len(list(tmp_path.iterdir())) == 1


def test_replacing_removes_own_outdated_files_only(tmp_path):
    target = tmp_path / 'out'
    with replacing_folder(target) as temporary:
        fill(temporary, one='old', labels='old')
    (target / 'notes.txt').write_text('mine')
    with replacing_folder(target) as temporary:
        fill(temporary, one='new')
    assert {name: text for name, text in content(target).items() if name != 'plan.json'} == {
        'one': 'new', 'notes.txt': 'mine',
    }  # fmt: skip
    assert read_marker(target)['files'] == ['one', 'plan.json']


def test_plan_cannot_delete_elsewhere(tmp_path):
    """The list of files in a plan is data of unknown origin."""
    target, other = tmp_path / 'out', tmp_path / 'precious'
    target.mkdir()
    other.write_text('keep')
    (target / 'plan.json').write_text(json.dumps({'files': ['../precious', str(other)]}))
    with replacing_folder(target) as temporary:
        fill(temporary, one='1')
    assert other.read_text(encoding='utf-8') == 'keep'


def test_a_file_in_the_way(tmp_path):
    (tmp_path / 'out').write_text('a file')
    with pytest.raises(DataError, match='found a file'), replacing_folder(tmp_path / 'out'):
        pass
    with pytest.raises(DataError, match='cannot be made'), replacing_folder(tmp_path / 'out' / 'below'):
        pass


def test_damaged_marker(tmp_path):
    (tmp_path / 'plan.json').write_text('{"files": [')
    assert read_marker(tmp_path) is None
    (tmp_path / 'plan.json').write_text('[]')
    assert read_marker(tmp_path) is None


_SLEEPER = """
import sys, time
from mmreg.registration.results.folder import replacing_folder
with replacing_folder(sys.argv[1]) as folder:
    (folder / 'one').write_text('1')
    print('inside', flush=True)
    for _ in range(600):  # a signal that comes just before a long sleep is looked at after it
        time.sleep(0.1)
"""


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGKILL])
def test_killed_process(tmp_path, number):
    """Ctrl-C cleans up at once; what a killed process left is gone after the next run."""
    target = tmp_path / 'out'
    process = subprocess.Popen(
        [sys.executable, '-c', _SLEEPER, str(target)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout.readline() == b'inside\n'
    os.kill(process.pid, number)
    process.wait(timeout=30)
    process.stdout.close()
    assert not target.exists()
    if number == signal.SIGINT:
        assert list(tmp_path.iterdir()) == []
    with replacing_folder(target) as temporary:
        fill(temporary, one='1')
    assert [p.name for p in tmp_path.iterdir()] == ['out']
