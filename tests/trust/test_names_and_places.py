"""Names of cases and places of results: refused before anything runs, and nothing is lost where something is there."""

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from mmreg.errors import ConfigError, DataError
from mmreg.evaluation.challenge.config import ScoredPair, named
from mmreg.io import elsewhere, read_transform
from mmreg.registration.cohort.names import check_case_ids, check_places
from mmreg.registration.results.folder import replacing_folder
from mmreg.utils import atomic
from mmreg.utils.built import while_building
from mmreg.utils.console import printable
from mmreg.utils.surroundings import around

FAST = ('--preset', 'fast.py', '--affine', 'none', '--outputs', 'warped')
BAD = [
    '../../x', '/abs', 'a/b', 'a\\b', 'a\0b', '..', '.', '', ' ', 'results.csv', 'RESULTS.CSV', 'failures.csv', 'con',
    'results.part1of2.csv', 'x' * 300, '.hidden', 'NUL.txt', 'a\nb', '\x1b[31m', 'ends.', 'ä' * 150,
]  # fmt: skip


@pytest.mark.parametrize('name', BAD)
def test_ids_that_cannot_name_a_folder(name):
    with pytest.raises(ConfigError, match='cannot name a folder'):
        check_case_ids('list.csv', ['fine', name])


def test_all_bad_ids_are_named_at_once():
    with pytest.raises(ConfigError, match=r"'\.\./x' \(pair 2.*'results\.csv' \(pair 3"):
        check_case_ids('list.csv', ['fine', '../x', 'results.csv'])


@pytest.mark.parametrize('names', [['a', 'a'], ['Case', 'case'], ['straße', 'STRASSE'], ['\u00e9', 'e\u0301']])
def test_ids_that_a_file_system_takes_for_one(names):
    with pytest.raises(DataError, match='a case_id of its own'):
        check_case_ids('list.csv', names)


@pytest.mark.parametrize('name', ['case1', '0011_0000<--0011_0001', 'Größe 脑', '<b>', 'a' * 200, '=1+1'])
def test_ids_that_can(name):
    check_case_ids('list.csv', [name, 'other'])


def test_ids_are_checked_before_anything_runs(work, refused):
    rows = ''.join(f'fixed.nii.gz,moving.nii.gz,{name}\n' for name in ('ok', 'results.csv', 'sub/x'))
    Path('list.csv').write_text(f'fixed,moving,case_id\n{rows}')
    text = refused('register', '--pairs', 'list.csv', '-o', 'out', *FAST)
    assert 'results.csv' in text and 'sub/x' in text and not Path('out').exists()


def test_two_cases_never_share_a_file():
    with pytest.raises(ConfigError, match=r"disp_1_2\.nii\.gz for 'a', 'b'"):
        check_places('--layout lumir', [('a', 'disp_1_2.nii.gz'), ('b', 'DISP_1_2.nii.gz'), ('c', 'disp_1_3.nii.gz')])


def test_several_pairs_of_one_subject_have_names_of_their_own():
    images = [f'imagesTr/Thorax_0011_{n:04d}.nii.gz' for n in range(3)]
    pairs = named([ScoredPair(images[0], images[1]), ScoredPair(images[0], images[2])], 'x')
    stems = [pair.field_stem for pair in pairs]
    assert len(set(stems)) == 2 and 'disp_0011_0000_0011_0002' in stems
    with pytest.raises(ConfigError, match='several pairs would be called'):
        named([ScoredPair(images[0], images[1]), ScoredPair(f'other/{images[0]}', images[1])], 'x')


# Places --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', ['folder', 'fifo', 'loop'])
def test_what_is_no_file_is_not_replaced(kind, tmp_path):
    path = tmp_path / 'a.txt'
    if kind == 'folder':
        path.mkdir()
    elif kind == 'fifo':
        os.mkfifo(path)
    else:
        path.symlink_to('a.txt')
    before = stat.S_IFMT(path.lstat().st_mode)
    with pytest.raises(DataError, match=r'a\.txt: '):
        atomic.write_text(path, 'x')
    assert stat.S_IFMT(path.lstat().st_mode) == before and [p.name for p in tmp_path.iterdir()] == ['a.txt']


def test_a_full_disk_is_told_by_its_name(tmp_path, monkeypatch):
    path = tmp_path / 'new' / 'a.nii.gz'
    monkeypatch.setattr(atomic, '_is_full', lambda folder: True)
    with (
        pytest.raises(DataError, match=r'a\.nii\.gz: cannot be written, the disk is full'),
        atomic.replacing(path) as t,
    ):
        t.write_bytes(b'')
        raise RuntimeError('H5Fcreate failed')
    assert not list(tmp_path.iterdir())


def test_a_library_that_names_the_hidden_file(tmp_path):
    path = tmp_path / 'a.nii.gz'
    with pytest.raises(DataError) as told, atomic.replacing(path) as temporary:
        raise DataError(f'{temporary}: found something')
    assert str(told.value) == f'{path}: found something'


def test_names_at_the_limit_of_the_file_system(tmp_path):
    path = tmp_path / ('x' * 248 + '.nii.gz')
    atomic.write_text(path, 'whole')
    assert path.read_text(encoding='utf-8') == 'whole' and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(DataError, match='File name too long'):
        atomic.write_text(tmp_path / ('x' * 300), 'x')
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_in_the_way_of_a_result(tmp_path):
    target = tmp_path / 'out'
    (target / 'warped.nii.gz').mkdir(parents=True)
    (target / 'mine.txt').write_text('x')
    with pytest.raises(DataError, match=r'warped\.nii\.gz: found a folder'), replacing_folder(target) as temporary:
        (temporary / 'a.txt').write_text('x')
        (temporary / 'warped.nii.gz').write_text('x')
    assert sorted(p.name for p in target.iterdir()) == ['mine.txt', 'warped.nii.gz']
    assert [p.name for p in tmp_path.iterdir()] == ['out']


@pytest.mark.parametrize('plan', ['5', '{"files": 5}', '{"files": ["../victim", "mine.py", "/etc/passwd", 3]}', 'x'])
def test_a_hostile_plan_has_nothing_deleted(plan, tmp_path):
    target = tmp_path / 'out'
    target.mkdir()
    for path in (tmp_path / 'victim', target / 'mine.py'):
        path.write_text('x')
    (target / 'plan.json').write_text(plan)
    with replacing_folder(target) as temporary:
        (temporary / 'plan.json').write_text('{"files": ["plan.json"]}')
    assert (tmp_path / 'victim').exists() and (target / 'mine.py').exists()


# The machine ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('error', 'words'),
    [
        (MemoryError(), 'not enough memory'),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 400000000 bytes."), '381 MiB'),
        (RuntimeError('CUDA out of memory. Tried to allocate 2.50 GiB'), '2.50 GiB'),
        (RuntimeError('DataLoader worker (pid(s) 12, 13) exited unexpectedly'), '--resume'),
        (RuntimeError('DataLoader worker (pid 12) is killed by signal: Killed. '), '--resume'),
        (OSError(28, 'No space left on device', 'x/y'), 'x/y: No space left on device.'),
        (BrokenPipeError(32, 'Broken pipe'), 'reader of the output'),
    ],
)
def test_errors_of_the_machine(error, words):
    assert words in around(error) and '\n' not in around(error)


def test_other_errors_keep_their_trace():
    for error in (RuntimeError('shapes differ'), ValueError('x'), KeyError('x')):
        assert around(error) is None and while_building(error) is None


def test_what_a_terminal_would_act_upon():
    assert printable('a\x1b[31mb\x07\udcffc\td') == 'a\\x1b[31mb\\x07\\udcffc\td'


@pytest.mark.parametrize('device', ['meta', 'mps', 'xla', 'x', '', 'cuda:99'])
def test_devices_that_are_none(device, work, refused):
    assert 'device' in refused('register', 'fixed.nii.gz', 'moving.nii.gz', '-o', 'out', *FAST, '--device', device)
    assert not Path('out').exists()


@pytest.mark.parametrize('seed', ['-1', '4294967296', '99999999999999999999'])
@pytest.mark.parametrize(
    'line',
    [
        ('register', 'fixed.nii.gz', 'moving.nii.gz', '-o', 'out', *FAST),
        ('infer', 'net.py', '-c', 'net.pth', '-f', 'fixed.nii.gz', '-m', 'moving.nii.gz', '-o', 'out'),
        ('train', 'train0.py', '--work-dir', 'out'),
        ('stress', '--model', 'net.py', 'net.pth', '-o', 'out'),
        ('compare', 'pairs.csv'),
    ],
    ids=lambda line: line[0],
)
def test_seeds_that_no_library_takes(line, seed, work, refused):
    assert f'seed is {seed}' in refused(*line, '--seed', seed) and not Path('out').exists()


def test_a_transform_of_which_its_library_dies(base, tmp_path):
    """Damage at thirty places of an HDF5 file: an answer each time, never a signal."""
    data = (base / 'affine.h5').read_bytes()
    for place in range(0, 6000, 200):
        path = tmp_path / 'damaged.h5'
        path.write_bytes(data[:place] + b'\xac\x44' + data[place + 2 :])
        with suppress(DataError):
            read_transform(path)


def test_a_process_that_dies_of_a_file(tmp_path, monkeypatch):
    path = tmp_path / 'a.h5'
    path.write_bytes(b'\x89HDF\r\n\x1a\n' + bytes(100))
    monkeypatch.setattr(elsewhere, '_TRANSFORM', 'import os, signal; os.kill(os.getpid(), signal.SIGSEGV)')
    with pytest.raises(DataError, match=r'a\.h5: found damaged data'):
        read_transform(path)
