"""Processes that are killed at random moments: what was complete stays complete, and a rerun ends as if nothing was."""

import csv
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from mmreg.utils.checkpoint import read_checkpoint

pytestmark = pytest.mark.slow
KILLS = 30
#: Kills per run; the last start of a run is left alone.
PER_RUN = 5


def start(argv, log):
    """Run ``mmreg`` in a forked process; returns its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        import mmreg.cli

        code = mmreg.cli.main(argv)
    finally:
        os._exit(code or 0)


def wait(pid, seconds=300):
    """Exit code of a process; it must end by itself."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError('the process does not end')


def kill_after(pid, seconds):
    """Kill a process after so many seconds, if it still runs; whether it did."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.003)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def final(folder):
    return read_checkpoint((folder / 'last_checkpoint').read_text().strip())


@pytest.mark.parametrize('workers', [0, 2])
def test_training_goes_on_bit_for_bit(workers, work):
    rng = random.Random(workers)

    def argv(name, resume):
        config = f'train{workers}.py'
        return [
            'train',
            config,
            '--work-dir',
            name,
            '--cfg-options',
            'train_cfg.max_iters=12',
            *(['--resume'] * resume),
        ]

    began = time.monotonic()
    assert wait(start(argv('whole', False), 'whole.log')) == 0, Path('whole.log').read_text()[-2000:]
    length, whole = time.monotonic() - began, final(work / 'whole')
    kills = runs = 0
    while kills < KILLS // 2:
        name, here, resume = f'run{runs}', 0, False
        runs += 1
        while here < PER_RUN and kills < KILLS // 2:
            killed = kill_after(start(argv(name, resume), f'{name}.log'), rng.random() * length)
            here, kills, resume = here + 1, kills + killed, True
            for path in (work / name).glob('*.pth'):
                read_checkpoint(path)  # whole, or not there
        assert wait(start(argv(name, True), f'{name}.log')) == 0, Path(f'{name}.log').read_text()[-2000:]
        end = final(work / name)
        assert same(whole['state_dict'], end['state_dict']) and same(whole['optimizer'], end['optimizer'])
        assert whole['meta']['iter'] == end['meta']['iter']
        assert not [path.name for path in (work / name).rglob('.*.tmp.*')]


def table(folder):
    with open(folder / 'results.csv', newline='') as file:
        return [{key: cell for key, cell in row.items() if key != 'seconds'} for row in csv.DictReader(file)]


def halves(folder):
    """Cases that are neither complete nor absent."""
    found = []
    for case in sorted(folder.iterdir()) if folder.is_dir() else ():
        if case.is_dir() and not case.name.startswith('.'):
            listed = json.loads((case / 'plan.json').read_text())['files']
            found += [case.name] if {path.name for path in case.iterdir()} != set(listed) else []
    return found


def test_a_cohort_is_complete_or_absent(work):
    rng = random.Random(0)
    rows = ''.join(f'fixed.nii.gz,moving.nii.gz,case{k}\n' for k in range(5))
    Path('list.csv').write_text(f'fixed,moving,case_id\n{rows}')

    def argv(name):
        return ['register', '--pairs', 'list.csv', '-o', name, '--preset', 'fast.py', '--affine', 'none']

    began = time.monotonic()
    assert wait(start(argv('whole'), 'whole.log')) == 0, Path('whole.log').read_text()[-2000:]
    length, kills, runs = time.monotonic() - began, 0, 0
    while kills < KILLS:
        name, here = f'run{runs}', 0
        runs += 1
        while here < PER_RUN and kills < KILLS:
            killed = kill_after(start(argv(name), f'{name}.log'), rng.random() * length)
            here, kills = here + 1, kills + killed
            assert not halves(work / name)
        assert wait(start(argv(name), f'{name}.log')) == 0, Path(f'{name}.log').read_text()[-2000:]
        assert table(work / name) == table(work / 'whole') and not halves(work / name)
        assert not [path.name for path in work.rglob('.*tmp*')]


def test_two_processes_write_into_one_folder(work):
    rows = ''.join(f'fixed.nii.gz,moving.nii.gz,case{k}\n' for k in range(4))
    Path('list.csv').write_text(f'fixed,moving,case_id\n{rows}')
    argv = ['register', '--pairs', 'list.csv', '-o', 'both', '--preset', 'fast.py', '--affine', 'none']
    pids = [start(argv, f'{n}.log') for n in range(2)]
    assert [wait(pid) for pid in pids] == [0, 0], Path('0.log').read_text() + Path('1.log').read_text()
    assert len(table(work / 'both')) == 4 and not halves(work / 'both')
