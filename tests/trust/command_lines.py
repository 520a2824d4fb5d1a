"""Command lines with a mistake in them: for every command, a right line, and seeded ways to spoil it.

``python -m tests.trust.command_lines [FIRST LAST]`` runs them and prints what is wrong with how they end.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np

import mmreg.cli
from mmreg.io import affine_transform, write_transform
from tests.trust import material

PAIR = ['fixed.nii.gz', 'moving.nii.gz']
QUICK = ['--preset', 'fast.py', '--affine', 'none']
#: A line that works, by command; ``out``, ``out.x``: what it writes. Words that begin with a letter may be spoilt.
LINES: dict[str, list[str]] = {
    'train': ['train0.py', '--work-dir', 'out', '--cfg-options', 'train_cfg.max_iters=2'],
    'train-stages': ['train0.py', 'train2.py', '--work-dir', 'out', '--cfg-options', 'train_cfg.max_iters=2'],
    'test': ['tested.py', 'net.pth', '--work-dir', 'out'],
    'register': [*PAIR, '-o', 'out', *QUICK, '--outputs', 'warped', 'metrics'],
    'register --pairs': ['pairs.csv', '-o', 'out', *QUICK, '--outputs', 'warped', 'metrics'],
    'infer': ['net.py', '-c', 'net.pth', '--fixed', PAIR[0], '--moving', PAIR[1], '-o', 'out'],
    'data list': ['OASIS'],
    'data check': ['OASIS', '.'],
    'data prepare': ['ACDC', '.', 'out'],
    'apply': ['composite.h5', 'moving.nii.gz', '-r', 'fixed.nii.gz', '-o', 'out'],
    'invert': ['affine.tfm', '-o', 'out.tfm'],
    'compose': ['affine.tfm', 'affine.h5', '-o', 'out.tfm'],
    'jacobian': ['field.nii.gz', '-o', 'out.nii.gz'],
    'evaluate': ['sub', '.', '-o', 'out.json'],
    'package': ['sub', '--challenge', 'learn2reg', '--dataset', 'dataset.json', '-o', 'out.zip'],
    'weights list': [],
    'weights show': ['lkunet_ixi_n4'],
    'weights path': ['lkunet_ixi_n4'],
    'weights add': ['lkunet_ixi_n4', 'net.pth'],
    'convert': ['voxelmorph', 'net.pth', 'out.pth'],
    'reparameterise': ['net.py', 'net.pth', 'out.pth'],
    'embed': ['net.py', '-o', 'out.npz', '--hash'],
    'compare': ['one.csv', 'two.csv', '-o', 'out'],
    'compare-with': ['zero', 'pairs.csv', '-o', 'out'],
    'deformation': ['field.nii.gz', '-o', 'out'],
    'analyze-logs plot_curve': ['scalars.json', '-o', 'out.png'],
    'analyze-logs cal_train_time': ['scalars.json'],
    'browse-dataset': ['train0.py', '-o', 'out', '-n', '1'],
    'vis-scheduler': ['train0.py', '-o', 'out.png'],
    'publish-model': ['net.pth', 'out.pth'],
    'stress': ['--model', 'tested.py', 'net.pth', '-o', 'out', '--translation', '1', '--svf', '--cases', '1'],
    'complexity': ['net.py', '--size', '16', '16', '-o', 'out.csv', '--repeats', '1'],
    'template': [*PAIR, '-o', 'out', '--rounds', '0', '--affine-rounds', '1', '--preset', 'fast.py'],
    'propagate': [
        'fixed.nii.gz',
        '--atlases',
        'moving.nii.gz',
        '--labels',
        'fixed_labels.nii.gz',
        '-o',
        'out',
        '--preset',
        'fast.py',
        '--fusion',
        'majority',
    ],
    'series': [*PAIR, '-o', 'out', '--motion', 'rigid'],
    'statistics': ['group', '-o', 'out'],
    'completion': ['bash'],
    'bids': ['.', 'out', 'participant'],
    'view --list': ['.'],  # without the word it serves until Ctrl-C
    'steps': ['tested.py', 'net.pth', '-o', 'out'],
    'config': ['net.py'],
    'models': [],
    'list': [],
}
#: What no user is to read.
INTERNALS = ('Traceback (most', ' at 0x', 'itk::', 'sitk::', 'WARNING: In ')
NUMBERS = ['nan', 'inf', '-inf', '1e308', '-1', '0', '99999999999999999999', '1.5', '1e-320', '', '１２', '1_0', '0x10']
TEXTS = ['', ' ', '\x1b[31m', 'None', '{}', '[]', "{'type': 'os.system'}", 'a b', '..', '%s%n{x}', '[red]', '--', '-']
PLACES = [
    'nowhere.nii.gz', 'folder', 'folder.nii.gz', 'empty.nii.gz', 'empty.py', 'empty.csv', 'empty.json', 'empty.pth',
    'pipe', 'loop.nii.gz', 'x' * 300 + '.nii.gz', 'a\0b', 'Größe 脑.nii.gz', os.fsdecode(b'\xff\xfe.nii.gz'),
    '/dev/null', '/dev/full', '/proc/self/x', '/', '~nobody/x', 'fixed.nii.gz/', 'file/below', 'a\nb.nii.gz',
]  # fmt: skip
KEYS = [
    'model', 'model.backbone', 'model.losses', 'model.losses.similarity', 'model.losses.similarity.window', 'inference',
    'model.type', 'model.backbone.levels', 'model.backbone.encoder.channels', 'optim_wrapper',
    'optim_wrapper.optimizer', 'optim_wrapper.optimizer.lr', 'train_cfg', 'train_cfg.max_iters',
    'train_cfg.val_interval', 'param_scheduler',
    'train_dataloader', 'train_dataloader.batch_size', 'train_dataloader.num_workers', 'train_dataloader.dataset',
    'train_dataloader.dataset.size', 'val_evaluator', 'default_hooks', 'default_hooks.checkpoint.interval', 'log_level',
    'optimisation', 'optimisation.levels', 'optimisation.levels.0', 'optimisation.levels.0.scale', 'optimisation.step',
    'affine', 'default_scope', 'visualizer', 'env_cfg', 'randomness', 'work_dir', 'resume', 'load_from', 'custom_hooks',
    'test_evaluator', 'test_dataloader.dataset', 'test_dataloader.dataset.preprocess', '', '.', 'a..b', 'x.y.z', '+new',
]  # fmt: skip
VALUES = [
    '5', '-1', 'nan', '[]', '{}', 'None', 'x', '[[1]]', '[None]', "dict(type='Nope')", "{'type': 'LNCC'}", 'True', '',
    "dict(type='LNCC', window='x')", "{'_delete_': True}", '1e400', '(', '[1,', '{"a": ', '\x00', "[{'type': 5}]", "'",
]  # fmt: skip
#: First words of a line that says what is about to be done.
_BEGUN = ('registering ', 'looking at ', 'building a template ', 'carrying labels ', 'bringing ', 'reading ')


def extend(folder: Path) -> None:
    """What lines need beyond :mod:`tests.trust.material`, and things that are no files."""
    (folder / 'tested.py').write_text(material.NETWORK + TESTED)
    for name, step in (('one', 0.0), ('two', 0.1)):
        rows = ''.join(f'case{k},dice,1,{0.5 + k / 10 + step},0.4\n' for k in range(4))
        (folder / f'{name}.csv').write_text(f'case_id,metric,item,value,initial\n{rows}')
    (folder / 'scalars.json').write_text(
        ''.join(f'{{"loss": {1 / (k + 1)}, "time": 0.1, "step": {k}}}\n' for k in range(9))
    )
    for name in 'ab':
        place = folder / 'group' / 'transforms' / name
        place.mkdir(parents=True)
        write_transform(place / 'transform.h5', affine_transform(np.eye(3)))
    shutil.copy(folder / 'fixed.nii.gz', folder / 'group' / 'template.nii.gz')
    for name in ('folder', 'folder.nii.gz'):
        (folder / name).mkdir()
    for ending in ('nii.gz', 'py', 'csv', 'json', 'pth'):
        (folder / f'empty.{ending}').touch()
    (folder / 'file').write_text('x')
    os.mkfifo(folder / 'pipe')
    (folder / 'loop.nii.gz').symlink_to('loop.nii.gz')


TESTED = """
test_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='SeededEpochSampler', shuffle=False),
    dataset=dict(type='PairListDataset', data_root='', ann_file='pairs.csv',
                 preprocess=[dict(type='LoadVolumes'), dict(type='PercentileWindow', low=0.1, high=99.9)]))
test_cfg = dict()
test_evaluator = [dict(type='DiceMetric'), dict(type='JacobianMetric')]
default_scope = 'mmreg'
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork'), dist_cfg=dict(backend='gloo'))
log_level = 'ERROR'
"""


class _Seen(BaseException):
    """The parser of a command, before it parses."""


def options(command: str) -> list[argparse.Action]:
    """The options of a command, from its parser."""

    def seen(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _Seen(self)

    words = [word for word in command.split() if not word.startswith('-')]
    with (
        mock.patch.multiple(
            argparse.ArgumentParser, parse_args=seen, parse_known_args=seen, parse_intermixed_args=seen
        ),
        mock.patch.object(sys, 'argv', ['mmreg']),
    ):
        try:
            mmreg.cli.main(words[:1])
        except _Seen as found:
            parser = found.args[0]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and len(words) > 1:
            parser = action.choices[words[1]]
    skipped = {'--help', '--debug', '--launcher', '--local_rank', '--deterministic', '--refine'}
    return [action for action in parser._actions if action.option_strings and not skipped & {*action.option_strings}]


class Maker:
    """Draws case ``number`` of ``seed``."""

    def __init__(self, seed: int, number: int, files: list[str]):
        self.draw = random.Random(f'{seed} {number}')
        names = sorted(LINES)
        self.command = names[number % len(names)]
        self.files = files

    def argv(self) -> list[str]:
        words = list(LINES[self.command])
        for _ in range(self.draw.choice([1, 1, 1, 2])):
            change = self.draw.choice([self._spoil, self._spoil, self._option, self._option, self._drop, self._twice])
            change(words)
        if self.draw.random() < 0.15 and any('--cfg-options' in a.option_strings for a in options(self.command)):
            words += ['--cfg-options', f'{self.draw.choice(KEYS)}={self.draw.choice(VALUES)}']
        return [*self.command.split(), *words]

    def _value(self, kind: object = str) -> str:
        if kind is not None and kind is not str:  # numbers, also those that are checked
            return self.draw.choice(NUMBERS + TEXTS)
        return self.draw.choice([self.draw.choice(pool) for pool in (PLACES, PLACES, self.files, NUMBERS, TEXTS)])

    def _spoil(self, words: list[str]) -> None:
        places = [place for place, word in enumerate(words) if not word.startswith('-')]
        if places:
            words[self.draw.choice(places)] = self._value()

    def _option(self, words: list[str]) -> None:
        found = options(self.command)
        if not found:
            return
        action = self.draw.choice(found)
        words.append(action.option_strings[0])
        if action.nargs == 0:
            return
        if '--cfg-options' in action.option_strings:
            words.append(f'{self.draw.choice(KEYS)}={self.draw.choice(VALUES)}')
            return
        known = list(action.choices or ())
        count = action.nargs if isinstance(action.nargs, int) else self.draw.choice([1, 1, 2]) if action.nargs else 1
        for _ in range(count):
            words.append(
                str(self.draw.choice(known)) if known and self.draw.random() < 0.7 else self._value(action.type)
            )

    def _drop(self, words: list[str]) -> None:
        if words:
            del words[self.draw.randrange(len(words))]

    def _twice(self, words: list[str]) -> None:
        if words:
            words.append(self.draw.choice(words))


def tree(folder: Path) -> dict[str, object]:
    """Every name below a folder, with what changes when somebody writes there."""
    found = {}
    for root, folders, names in os.walk(folder):
        for name in [*names, *folders]:
            path = os.path.join(root, name)
            entry = os.lstat(path)
            found[os.path.relpath(path, folder)] = (
                (entry.st_mode, entry.st_size, entry.st_mtime_ns) if name in names else 0
            )
    return found


def problems(argv: list[str], code: int | None, text: str, before: dict, after: dict) -> list[str]:
    """What is wrong with how a run ended."""
    if code is None:
        return ['does not end']
    found = [f'signal {-code}'] if code < 0 else []
    found += [
        f'shows {word!r}' for word in ('Traceback (most', ' at 0x', 'itk::', 'sitk::', 'WARNING: In ') if word in text
    ]
    if code == 0 or found or (code == 1 and argv[:2] == ['data', 'check']):  # whose report is its result
        return found
    # What is about to be done is said before it is known whether it can be.
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(_BEGUN)]
    # argparse repeats an argument that it does not know as it is, line breaks included.
    last = (
        [line for line in lines if line.startswith('mmreg')][-1:] if lines and lines[0][:5] == 'usage' else lines[-1:]
    )
    reported = '--pairs' in argv and code == 1 and lines and lines[-1].startswith('failed: ')  # of single cases
    if not reported and (not last or not re.match(r'mmreg[ \w-]*: (error|stopped)', last[0])):
        found.append('no sentence at the end')
    groups = ('template', 'propagate', 'series')  # say of every scan why it failed, and keep the table of it
    own = argv[0] in ('train', 'train-stages', 'test', 'compare-with', 'stress', *groups) or '--pairs' in argv
    if len(lines) > 1 and not lines[0].startswith('usage') and not own:
        found.append(f'{len(lines)} lines')
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    kept = argv[0] in groups and any(name.endswith('failures.csv') for name in changed)
    if changed and not (own and code == 1) and not kept:
        found.append(f'left {sorted(changed)[:4]}')
    return found


def attempt(seed: int, number: int, base: Path, runs, folder: Path) -> str | None:
    """Run one case in a fresh copy of ``base``; what is wrong, None where nothing is."""
    shutil.copytree(base, folder, symlinks=True, copy_function=_linked)
    files = sorted(p.name for p in base.iterdir() if p.is_file())
    make = Maker(seed, number, files)
    argv, before, log = make.argv(), tree(folder), folder.with_suffix('.log')
    code = runs.run(argv, log, folder, seconds=200, memory=6 << 10)
    text = log.read_bytes().decode('utf-8', 'replace')
    found = problems(argv, code, text, before, tree(folder))
    return f'{number}: mmreg {argv!r}: exit {code}: {found}: {text[-1500:]}' if found else None


def _linked(source: str, target: str) -> str:
    """A pipe cannot be copied; everything else is."""
    if Path(source).is_fifo():
        os.mkfifo(target)
        return target
    return shutil.copy2(source, target)


def main() -> None:
    from tests.trust.forks import Runs

    first, last = (int(word) for word in sys.argv[1:3]) if len(sys.argv) > 2 else (0, 100)
    seed, bad = int(os.environ.get('MMREG_FUZZ_SEED', '0')), 0
    with tempfile.TemporaryDirectory() as place, Runs() as runs:
        base = Path(place) / 'base'
        base.mkdir()
        material.build(base)
        extend(base)
        for number in range(first, last):
            problem = attempt(seed, number, base, runs, Path(place) / f'case{number}')
            if problem:
                bad += 1
                print(problem, flush=True)
            shutil.rmtree(Path(place) / f'case{number}', ignore_errors=True)
    print(f'{last - first} command lines, {bad} violations')


if __name__ == '__main__':
    main()
