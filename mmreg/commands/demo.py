"""`mmreg demo`: train a small network on the CPU, and see on unseen subjects what it learned.

No data are needed: the subjects are simulated from the MNI152 T1 template that the package nilearn brings along.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmreg.errors import ConfigError
from mmreg.utils import console

from . import infer, train
from .shared.options import add_debug

#: Name of the config that is trained; the one of that name in mmreg.
CONFIG = 'eoir_demo'
#: Settings of ``--quick``, which only shows that everything runs.
QUICK = ('train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'default_hooks.checkpoint.interval=2')
NOTICE = (
    'These subjects are simulated: one real template (MNI152 T1, packaged with nilearn), bent by random\n'
    'diffeomorphisms that are known, with random bias fields, contrast and noise. They are not real subjects.'
)


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg demo`."""
    parser = argparse.ArgumentParser(
        prog='mmreg demo', description='Train a small EOIR on the CPU and register unseen simulated brains.'
    )
    parser.add_argument('--out', default='demo_out', metavar='DIR', help='where everything goes')
    parser.add_argument(
        '--quick', action='store_true', help='two iterations and two subjects: only to see that it runs'
    )
    add_debug(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg demo` and tools/demo.py; returns the exit code."""
    args = build_parser().parse_args(argv)
    # Read when torch is loaded. Threads that spin while they wait starve themselves where other programs run, too.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    return console.run(lambda: demonstrate(Path(args.out), args.quick), debug=args.debug)


def demonstrate(out: Path, quick: bool) -> int:
    """Train, measure on unseen subjects, register files."""
    from importlib.util import find_spec

    if find_spec('nilearn') is None:
        raise ConfigError('the demonstration needs the template of nilearn, found none: pip install "mmreg[demo]".')
    console.say(NOTICE + '\n')
    checkpoint = _train(out / ('train_quick' if quick else 'train'), quick)
    if checkpoint is None:
        return 1
    from mmreg.apis import RegistrationInferencer
    from mmreg.zoo.demonstration import unseen_subjects, write_pair

    register = RegistrationInferencer(f'mmreg::{CONFIG}', checkpoint, device='cpu')
    dataset = unseen_subjects(register.cfg, count=2 if quick else None)
    _measure(register, dataset, out / 'figures')
    files = write_pair(dataset[0], out / 'files')
    code = _register_files(files, checkpoint, out / 'registration')
    console.say(f'\nfigures of all pairs: {out / "figures"}; the registered files: {out / "registration"}')
    console.say(NOTICE)
    return code


def _train(work_dir: Path, quick: bool) -> Path | None:
    """Train, or continue where an earlier run was stopped; returns the checkpoint, None after a failure."""
    from .shared.launch import latest_checkpoint

    console.say(f'1. Training {CONFIG}.py on the CPU (Ctrl-C is safe: the next run continues).')
    start = time.perf_counter()
    options = list(QUICK) if quick else []
    if sys.stderr.isatty():
        options.append('log_level=WARNING')  # the progress bar says enough
    arguments = ['--cfg-options', *options] if options else []
    if train.main([f'mmreg::{CONFIG}', '--work-dir', str(work_dir), '--resume', *arguments]):
        return None
    console.say(f'trained in {time.perf_counter() - start:.0f} s\n')
    return latest_checkpoint(work_dir)


def _measure(register: Any, dataset: Any, figures: Path) -> None:
    """Register every pair, print tables of before and after, and draw each."""
    from mmreg.registration.results.headline import headline
    from mmreg.visualization import overview_figure
    from mmreg.visualization.patient import PatientView
    from mmreg.zoo import demonstration as demo

    console.say(f'2. Registering {len(dataset)} pairs of unseen subjects with the trained network.')
    results, errors = [], []
    for number in range(len(dataset)):
        item = dataset[number]
        result = register(**demo.as_volumes(item), case_id=item['data_samples'].case_id)
        results.append(result)
        errors.append(demo.field_error(result.displacement, result.geometry.spacing, item))
        patient = PatientView.of(result.geometry.shape, result.geometry.affine)
        overview_figure(
            patient.image(result.fixed.volume.array), patient.image(result.before.array),
            patient.image(result.warped.array),
            patient.field(result.displacement), figures / f'{result.case_id}.png',
            spacing=patient.spacing(result.geometry.spacing), codes=patient.codes,
            title=f'{headline(result.case_id, result.metrics)}   (simulated)',
        )  # fmt: skip
    console.table(demo.PAIR_COLUMNS, demo.pair_lines(results, errors))
    console.say()
    console.table(demo.TISSUE_COLUMNS, demo.tissue_lines(results, dataset.metainfo['label_names']))


def _register_files(files: dict[str, Path], checkpoint: Path, out: Path) -> int:
    """The same through the command that registers files; returns its exit code."""
    arguments = [CONFIG, '--checkpoint', str(checkpoint), '--out', str(out)]
    for name, path in files.items():
        arguments += [f'--{name.replace("_", "-")}', str(path)]
    console.say('\n3. One pair from files, the moving one stored with other axes:')
    console.say('   mmreg infer ' + ' '.join(arguments))
    return infer.main([f'mmreg::{CONFIG}', *arguments[1:], '--device', 'cpu'])
