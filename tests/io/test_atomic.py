import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mmreg.errors import DataError
from mmreg.io import (
    Geometry,
    Volume,
    atomic_path,
    split_suffix,
    write_landmarks_voxel,
    write_learn2reg_nifti,
    write_text,
    write_volume,
)

from .helpers import oblique, smooth_image


@pytest.mark.parametrize(
    ('name', 'parts'),
    [
        ('a.nii.gz', ('a', '.nii.gz')),
        ('x/a.b.NII.GZ', ('a.b', '.NII.GZ')),
        ('a.b.mha', ('a.b', '.mha')),
        ('p.mrk.json', ('p', '.mrk.json')),
        ('noending', ('noending', '')),
    ],
)
def test_split_suffix(name, parts):
    assert split_suffix(name) == parts


def test_renames_when_all_went_well(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'a.nii.gz'
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent and temporary.name.endswith('.nii.gz') and temporary != path
        temporary.write_text('whole')
        assert not path.exists()
    assert path.read_text(encoding='utf-8') == 'whole' and [p.name for p in path.parent.iterdir()] == ['a.nii.gz']


@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / 'a.txt'
    write_text(path, 'old')
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_text('half')
        raise error
    assert path.read_text(encoding='utf-8') == 'old' and [p.name for p in tmp_path.iterdir()] == ['a.txt']


def test_unusable_targets(tmp_path):
    (tmp_path / 'file').write_text('x')
    (tmp_path / 'folder.mha').mkdir()
    with pytest.raises(DataError, match='the folder cannot be made'):
        write_text(tmp_path / 'file' / 'a.txt', 'x')
    with pytest.raises(DataError, match='found a folder'):
        write_volume(tmp_path / 'folder.mha', smooth_image(oblique()))
    assert sorted(p.name for p in tmp_path.iterdir()) == ['file', 'folder.mha']


def test_refused_content_leaves_nothing(tmp_path):
    with pytest.raises(DataError):
        write_landmarks_voxel(tmp_path / 'p.csv', np.array([[np.nan, 1, 2]]))
    with pytest.raises(DataError):
        write_learn2reg_nifti(tmp_path / 'u.nii.gz', np.full((3, 4, 4, 4), np.inf))
    with pytest.raises(DataError):
        write_volume(tmp_path / 'a.xyz', Volume(np.zeros((3, 3)), Geometry.from_parts((3, 3))))
    assert not list(tmp_path.iterdir())


WRITER = """
import sys
import numpy as np
from mmreg.io import Geometry, Volume, write_volume
rng = np.random.default_rng(0)
volume = Volume(rng.random((160, 160, 160), np.float32), Geometry.from_parts((160, 160, 160)))
print('ready', flush=True)
write_volume(sys.argv[1], volume)
"""


def test_killed_writer_leaves_no_half_file_under_the_name(tmp_path):
    path = tmp_path / 'a.nii.gz'
    process = subprocess.Popen([sys.executable, '-c', WRITER, str(path)], stdout=subprocess.PIPE)
    with process:
        process.stdout.readline()
        deadline = time.monotonic() + 120
        while not any(p.stat().st_size for p in tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    assert not path.exists()
    assert all(p.name.startswith('.') and p.name.endswith('.tmp.a.nii.gz') for p in tmp_path.iterdir())
