"""Processes that are killed at random moments: what was complete stays complete, and a rerun ends as if nothing was."""

import csv
import json
import random
import time
from pathlib import Path

import pytest
import SimpleITK as sitk
import torch

from mmreg.utils.checkpoint import read_checkpoint
from tests.trust import material

pytestmark = pytest.mark.slow
KILLS = 30
#: Kills per run; the last start of a run is left alone.
PER_RUN = 5


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def final(folder):
    return read_checkpoint((folder / 'last_checkpoint').read_text(encoding='utf-8').strip())


@pytest.mark.parametrize('workers', [0, 2])
def test_training_goes_on_bit_for_bit(workers, work, runs):
    rng = random.Random(workers)
    argv = ['train', f'train{workers}.py', '--cfg-options', 'train_cfg.max_iters=12', '--work-dir']
    for name in ('first', 'whole'):  # the first run of a fork is slower, and would say how long one takes
        began = time.monotonic()
        assert runs.run([*argv, name], 'whole.log') == 0, Path('whole.log').read_text(encoding='utf-8')[-2000:]
        length = time.monotonic() - began
    whole = final(work / 'whole')
    assert same(whole['state_dict'], final(work / 'first')['state_dict'])
    kills = number = 0
    while kills < KILLS // 2:
        name, here, resume = f'run{number}', 0, []
        number += 1
        while here < PER_RUN and kills < KILLS // 2:
            pid = runs.start([*argv, name, *resume], f'{name}.log')
            killed = runs.kill_after(pid, rng.random() * length)
            here, kills, resume = here + 1, kills + killed, ['--resume']
            for path in (work / name).glob('[!.]*.pth'):
                read_checkpoint(path)  # whole, or not there
        assert runs.run([*argv, name, '--resume'], f'{name}.log') == 0, Path(f'{name}.log').read_text(encoding='utf-8')[
            -2000:
        ]
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
            listed = json.loads((case / 'plan.json').read_text(encoding='utf-8'))['files']
            found += [case.name] if {path.name for path in case.iterdir()} != set(listed) else []
    return found


def test_a_cohort_is_complete_or_absent(work, runs):
    rng = random.Random(0)
    rows = ''.join(f'fixed.nii.gz,moving.nii.gz,case{k}\n' for k in range(5))
    Path('list.csv').write_text(f'fixed,moving,case_id\n{rows}')

    def argv(name):
        return ['register', '--pairs', 'list.csv', '-o', name, '--preset', 'fast.py', '--affine', 'none']

    for name in ('first', 'whole'):
        began = time.monotonic()
        assert runs.run(argv(name), 'whole.log') == 0, Path('whole.log').read_text(encoding='utf-8')[-2000:]
        length = time.monotonic() - began
    assert table(work / 'first') == table(work / 'whole')
    kills = number = 0
    while kills < KILLS:
        name, here = f'run{number}', 0
        number += 1
        while here < PER_RUN and kills < KILLS:
            killed = runs.kill_after(runs.start(argv(name), f'{name}.log'), rng.random() * length)
            here, kills = here + 1, kills + killed
            assert not halves(work / name)
        assert runs.run(argv(name), f'{name}.log') == 0, Path(f'{name}.log').read_text(encoding='utf-8')[-2000:]
        assert table(work / name) == table(work / 'whole') and not halves(work / name)
        assert not [path.name for path in work.rglob('.*tmp*')]


def test_two_processes_write_into_one_folder(work, runs):
    rows = ''.join(f'fixed.nii.gz,moving.nii.gz,case{k}\n' for k in range(4))
    Path('list.csv').write_text(f'fixed,moving,case_id\n{rows}')
    argv = ['register', '--pairs', 'list.csv', '-o', 'both', '--preset', 'fast.py', '--affine', 'none']
    pids = [runs.start(argv, f'{n}.log') for n in range(2)]
    assert [runs.wait(pid) for pid in pids] == [0, 0], Path('0.log').read_text(encoding='utf-8') + Path(
        '1.log'
    ).read_text(encoding='utf-8')
    assert len(table(work / 'both')) == 4 and not halves(work / 'both')


GROUPS = {
    'template': ['template', *(f'scan{n}.nii.gz' for n in range(3)), '--rounds', '2', '--affine-rounds', '1',
                 '--schedule', '1', '--align', 'rigid', '--labels', *['fixed_labels.nii.gz'] * 3],
    'propagate': ['propagate', 'fixed.nii.gz', '--atlases', *(f'scan{n}.nii.gz' for n in range(3)),
                  '--labels', *['fixed_labels.nii.gz'] * 3, '--fusion', 'joint', 'majority', '--select', '2'],
    'series': ['series', *(f'scan{n}.nii.gz' for n in range(3)), '--motion', 'deformable', '--to', 'mean',
               '--rounds', '1', '--labels', 'fixed_labels.nii.gz'],
}  # fmt: skip


def results(folder):
    """What a group's command leaves for its user, but times, the records of each pair, and HDF5, which holds times."""
    files = (path for path in sorted(folder.rglob('*')) if path.is_file())
    found = {str(path.relative_to(folder)): path for path in files if path.name not in ('plan.json', 'done.jsonl')}
    kept = {name: path for name, path in found.items() if Path(name).suffix in ('.gz', '.tfm', '.html')}
    kept |= {name: path for name, path in found.items() if '/' not in name}
    pages = {name for name in kept if name.endswith('index.html') and '/' in name}  # with seconds in them
    return {name: path.read_bytes() for name, path in kept.items() if name not in pages}


@pytest.mark.parametrize('command', GROUPS)
def test_a_group_goes_on_bit_for_bit(command, work, runs):
    """Killed in the middle of rounds again and again, it ends with the same bytes."""
    rng = random.Random(command)
    for number in range(3):
        sitk.WriteImage(material.image(seed=1, roll=number), f'scan{number}.nii.gz', useCompression=True)
    argv = [*GROUPS[command], '--preset', 'fast.py', '-o']
    for name in ('first', 'whole'):
        began = time.monotonic()
        assert runs.run([*argv, name], 'whole.log') == 0, Path('whole.log').read_text(encoding='utf-8')[-2000:]
        length = time.monotonic() - began
    whole = results(work / 'whole')
    assert whole.keys() == results(work / 'first').keys() and len(whole) > 8
    kills = number = 0
    while kills < KILLS // 3:
        name, here = f'run{number}', 0
        number += 1
        while here < PER_RUN and kills < KILLS // 3:
            killed = runs.kill_after(runs.start([*argv, name], f'{name}.log'), rng.random() * length)
            here, kills = here + 1, kills + killed
        assert runs.run([*argv, name], f'{name}.log') == 0, Path(f'{name}.log').read_text(encoding='utf-8')[-2000:]
        assert not list((work / name).rglob('.*'))  # what was being written is gone
        end = results(work / name)
        assert end.keys() == whole.keys()
        assert not [file for file in whole if whole[file] != end[file]]
