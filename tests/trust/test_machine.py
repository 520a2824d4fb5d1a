"""Too little memory, loader workers that are killed, output folders that vanish: one sentence, and nothing is lost."""

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from mmreg.utils.checkpoint import read_checkpoint
from tests.trust import material

QUICK = ('--preset', 'fast.py', '--affine', 'none')


@pytest.fixture
def large(work):
    """Two images of 100^3 voxels, and what moves one of them."""
    array = np.random.default_rng(0).normal(size=(100,) * 3).astype(np.float32)
    for name, roll in (('large.nii', 0), ('other.nii', 2)):
        sitk.WriteImage(sitk.GetImageFromArray(np.roll(array, roll, 0)), name)
    sitk.WriteTransform(sitk.TranslationTransform(3, (1.0, 2.0, 3.0)), 'shift.tfm')
    Path('net3.py').write_text(material.NETWORK.replace('ndim=2', 'ndim=3'))
    return work


LARGE = {
    'register': ['register', 'large.nii', 'other.nii', '-o', 'out', *QUICK],
    'apply': ['apply', 'shift.tfm', 'other.nii', '-r', 'large.nii', '-o', 'out'],
}


def one_sentence(log, *words):
    """The last line of a log, which says it; no other line is an error or a stack trace."""
    text = Path(log).read_text(errors='replace')
    lines = [line for line in text.splitlines() if line.strip()]
    assert 'Traceback' not in text and sum('error' in line for line in lines) == 1, text
    assert lines[-1].startswith('mmreg: error: ') and any(word in lines[-1] for word in words), text


# At 40 MiB above the start, no thread can begin and everything else can: ITK would wait for ever for its threads.
@pytest.mark.parametrize('command', LARGE)
@pytest.mark.parametrize('mebibytes', [10, 24, 32, 40])
def test_little_memory(command, mebibytes, large, runs):
    code = runs.run(LARGE[command], 'out.log', memory=mebibytes, seconds=60)
    if code == 0:
        assert Path('out').is_dir()
        return
    assert code == 2, code
    one_sentence('out.log', 'not enough memory', 'memory for its voxels')
    assert not Path('out').exists() and not list(large.glob('.*'))


@pytest.mark.slow
@pytest.mark.parametrize('mebibytes', [60, 80, 120, 200, 300, 400, 600])
def test_somewhat_more_memory(mebibytes, large, runs):
    test_little_memory('register', mebibytes, large, runs)


def children(pid):
    try:
        return [int(word) for word in Path(f'/proc/{pid}/task/{pid}/children').read_text(encoding='utf-8').split()]
    except OSError:
        return []


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.003)
    raise AssertionError('it did not come to that')


TRAIN = ['train', 'train2.py', '--cfg-options', 'train_cfg.max_iters=30', '--work-dir', 'out']


@pytest.mark.slow
@pytest.mark.parametrize('how', [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_loader_worker_is_killed(how, work, runs):
    pid = runs.start(TRAIN, 'train.log')
    until(lambda: list(Path('out').glob('iter_*.pth')))
    os.kill(until(lambda: children(pid))[0], how)
    assert runs.wait(pid) == 2
    one_sentence('train.log', '--resume')
    assert runs.run([*TRAIN, '--resume'], 'again.log') == 0, Path('again.log').read_text(encoding='utf-8')
    assert read_checkpoint(Path('out/last_checkpoint').read_text(encoding='utf-8').strip())['meta']['iter'] == 30


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['train', 'cohort'])
@pytest.mark.parametrize('how', ['deleted', 'moved', 'a file'])
def test_the_output_folder_vanishes(how, kind, work, runs):
    rows = ''.join(f'fixed.nii.gz,moving.nii.gz,case{k}\n' for k in range(8))
    Path('list.csv').write_text(f'fixed,moving,case_id\n{rows}')
    cohort = ['register', '--pairs', 'list.csv', '-o', 'out', *QUICK]
    argv, first = (TRAIN, 'iter_*.pth') if kind == 'train' else (cohort, 'case*')
    pid = runs.start(argv, 'run.log')
    until(lambda: list(Path('out').glob(first)))
    Path('out').rename('away')
    if how == 'deleted':
        shutil.rmtree('away', ignore_errors=True)
    if how == 'a file' and not Path('out').exists():
        Path('out').write_text('x')
    code = runs.wait(pid)
    if code != 0:
        assert code == 2
        one_sentence('run.log', 'out')
    if Path('out').is_file():
        Path('out').unlink()
    assert runs.run(argv, 'again.log') == 0, Path('again.log').read_text(encoding='utf-8')
    whole = 'last_checkpoint' if kind == 'train' else 'results.csv'
    assert Path('out', whole).is_file() and (kind == 'train' or len(list(Path('out').glob('case*'))) == 8)
