"""What killed processes left behind goes with the next write; what others are writing stays."""

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mmreg
from mmreg.registration.results.folder import replacing_folder
from mmreg.utils.atomic import write_text
from mmreg.utils.leftovers import own_name, remove_leftovers, temporary_folder, temporary_name, waiting_name

#: Every way in which something is written beside its place, stopped in the middle; ``sys.argv[1]`` is the folder.
KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from mmreg.populations.averages import ImageAverage
from mmreg.registration.results.folder import replacing_folder
from mmreg.utils.atomic import replacing
from mmreg.utils.leftovers import temporary_folder
folder = Path(sys.argv[1])
with replacing(folder / 'a.csv') as file, replacing_folder(folder / 'case') as case:
    with temporary_folder(folder, 'values') as values, ImageAverage('median', folder) as median:
        file.write_text('half')
        (case / 'half').touch()
        (values / 'half').touch()
        median.add(np.ones((2, 2)), np.ones((2, 2), bool))
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path):
    """A folder in which a process was killed, and its names there."""
    subprocess.run([sys.executable, '-c', KILLED, str(tmp_path)], check=False)
    names = sorted(os.listdir(tmp_path))
    assert len(names) == 4 and all(name.startswith('.') for name in names), names
    return tmp_path


def _write_file(folder):
    write_text(folder / 'other.csv', 'whole')


def _write_folder(folder):
    with replacing_folder(folder / 'other') as temporary:
        (temporary / 'plan.json').write_text('{"files": []}')


def _use_folder(folder):
    with temporary_folder(folder, 'else'):
        pass


@pytest.mark.parametrize('write', [_write_file, _write_folder, _use_folder])
def test_the_next_writer_removes_it(write, killed):
    write(killed)
    assert not [name for name in os.listdir(killed) if name.startswith('.')]


def test_a_worker_takes_over_in_a_folder_that_it_has_seen(tmp_path):
    _write_file(tmp_path)
    subprocess.run([sys.executable, '-c', KILLED, str(tmp_path)], check=False)
    with replacing_folder(tmp_path / 'case') as temporary:
        assert [path.name for path in temporary.parent.iterdir()] == [temporary.name]
    assert not (tmp_path / '.case.tmp').exists()


def _dead():
    with subprocess.Popen([sys.executable, '-c', '']) as process:
        process.wait()
        return process.pid


def _age(path, days):
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_whose_it_is_decides(tmp_path):
    machine = own_name().split('.')[1]
    other = f'{int(machine, 16) ^ 1:08x}'
    stale = [f'.{_dead()}.{machine}.1.tmp.a.pth', f'.{_dead()}.tmp.a.pth', f'.{_dead()}.7.tmp.a.pth']
    stays = [temporary_name('b.pth'), f'.{os.getpid()}.tmp.b.pth', f'.{_dead()}.{other}.1.tmp.c.pth', '.hidden']
    stays += ['.123.txt', f'.x{_dead()}.tmp.a', f'{_dead()}.tmp.a']
    for name in (*stale, *stays):
        (tmp_path / name).touch()
    old = tmp_path / f'.{_dead()}.{other}.1.tmp.d.pth'
    old.touch()
    _age(old, 2)
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(stays)


def test_folders_of_a_user_stay(tmp_path):
    """Only names that we make ourselves are ours, also in a hidden folder that is called as ours are."""
    mine, theirs = tmp_path / '.cache.tmp', tmp_path / waiting_name('case')
    for folder, name in ((mine, str(_dead())), (mine, 'kept'), (theirs, own_name())):
        (folder / name).mkdir(parents=True)
    remove_leftovers(tmp_path)
    assert len(list(mine.iterdir())) == 2 and len(list(theirs.iterdir())) == 1


def test_nobody_keeps_temporary_files_in_results_another_way():
    """A folder of ``tempfile`` in a place of results would stay there for ever after a kill."""
    root, found = Path(mmreg.__file__).parent, []
    for path in root.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            name = getattr(getattr(node, 'func', None), 'attr', getattr(getattr(node, 'func', None), 'id', ''))
            if name in ('TemporaryDirectory', 'NamedTemporaryFile', 'TemporaryFile', 'mkdtemp', 'mkstemp'):
                found += [f'{path}:{node.lineno}' for word in node.keywords if word.arg == 'dir']
    assert not found, found
