"""Files that exist whole or not at all."""

import os
import subprocess
import sys

import pytest

from mmreg.utils.atomic import remove_leftovers, replacing, write_text


def test_error_leaves_the_old_file(tmp_path):
    path = tmp_path / 'deep' / 'a.nii.gz'
    write_text(path, 'old')
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        assert temporary.name.endswith('.nii.gz') and temporary.parent == path.parent
        temporary.write_text('half')
        raise RuntimeError
    assert path.read_text() == 'old' and [p.name for p in path.parent.iterdir()] == ['a.nii.gz']
    write_text(path, 'new')
    assert path.read_text() == 'new'


def test_leftovers_of_dead_processes_only(tmp_path):
    dead = subprocess.Popen([sys.executable, '-c', ''])
    dead.wait()
    (tmp_path / f'.{dead.pid}.tmp.a.pth').touch()
    (tmp_path / f'.{os.getpid()}.tmp.b.pth').touch()
    (tmp_path / '.hidden').touch()
    remove_leftovers(tmp_path)
    assert not (tmp_path / f'.{dead.pid}.tmp.a.pth').exists()
    assert (tmp_path / f'.{os.getpid()}.tmp.b.pth').exists() and (tmp_path / '.hidden').exists()
