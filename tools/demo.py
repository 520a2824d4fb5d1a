"""The demonstration behind `make demo`: train a small network on the CPU, and see on unseen subjects what it learned.

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

from mmreg.utils import console

CONFIG = Path(__file__).resolve().parents[1] / 'configs' / 'eoir_demo.py'
#: Settings of ``--quick``, which only shows that everything runs.
QUICK = ('train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'default_hooks.checkpoint.interval=2')
NOTICE = (
    'These subjects are simulated: one real template (MNI152 T1, packaged with nilearn), bent by random\n'
    'diffeomorphisms that are known, with random bias fields, contrast and noise. They are not real subjects.'
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration; returns the exit code."""
    parser = argparse.ArgumentParser(description='Train a small EOIR on the CPU and register unseen simulated brains.')
    parser.add_argument('--out', default='demo_out', metavar='DIR', help='where everything goes')
    parser.add_argument(
        '--quick', action='store_true', help='two iterations and two subjects: only to see that it runs'
    )
    parser.add_argument('--debug', action='store_true', help='show the stack trace of an error')
    args = parser.parse_args(argv)
    # Read when torch is loaded. Threads that spin while they wait starve themselves where other programs run, too.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    return console.run(lambda: demonstrate(Path(args.out), args.quick), debug=args.debug)


def demonstrate(out: Path, quick: bool) -> int:
    """Train, measure on unseen subjects, register files."""
    console.say(NOTICE + '\n')
    checkpoint = train(out / ('train_quick' if quick else 'train'), quick)
    if checkpoint is None:
        return 1
    from mmreg.apis import RegistrationInferencer

    register = RegistrationInferencer(CONFIG, checkpoint, device='cpu')
    dataset = unseen_subjects(register.cfg, count=2 if quick else None)
    measure(register, dataset, out / 'figures')
    files = write_pair(dataset[0], out / 'files')
    code = register_files(files, checkpoint, out / 'registration')
    console.say(f'\nfigures of all pairs: {out / "figures"}; the registered files: {out / "registration"}')
    console.say(NOTICE)
    return code


def train(work_dir: Path, quick: bool) -> Path | None:
    """Train, or continue where an earlier run was stopped; returns the checkpoint, None after a failure."""
    from mmreg.commands import train as train_cli
    from mmreg.commands.shared.launch import latest_checkpoint

    console.say(f'1. Training {CONFIG.name} on the CPU (Ctrl-C is safe: the next run continues).')
    start = time.perf_counter()
    options = list(QUICK) if quick else []
    if sys.stderr.isatty():
        options.append('log_level=WARNING')  # the progress bar says enough
    arguments = ['--cfg-options', *options] if options else []
    if train_cli.main([str(CONFIG), '--work-dir', str(work_dir), '--resume', *arguments]):
        return None
    console.say(f'trained in {time.perf_counter() - start:.0f} s\n')
    return latest_checkpoint(work_dir)


def unseen_subjects(cfg: Any, count: int | None) -> Any:
    """The test set at 2 mm: subjects that are in no training pair."""
    from mmreg.registry import DATASETS

    config = {**cfg.test_dataloader.dataset, 'resolution': 2, 'true_fields': True}
    dataset = DATASETS.build(config if count is None else {**config, 'count': count})
    dataset.full_init()
    return dataset


def measure(register: Any, dataset: Any, figures: Path) -> None:
    """Register every pair, print tables of before and after, and draw each."""
    console.say(f'2. Registering {len(dataset)} pairs of unseen subjects with the trained network.')
    results, errors = [], []
    for number in range(len(dataset)):
        item = dataset[number]
        volumes = as_volumes(item)
        roles = {name: volumes.pop(name) for name in ('fixed', 'moving')}
        result = register(**roles, **volumes, case_id=item['data_samples'].case_id)
        results.append(result)
        errors.append(field_error(result, item))
        draw(result, figures)
    pairs_table(results, errors)
    console.say()
    tissue_table(results, dataset.metainfo['label_names'])


def as_volumes(item: dict) -> dict[str, Any]:
    """Images and labels of a pair with their geometry."""
    import numpy as np

    from mmreg.io import Geometry, Volume

    inputs, affine = item['inputs'], np.asarray(item['data_samples'].affine)
    arrays = {name: inputs[name][0].numpy() for name in ('fixed', 'moving', 'fixed_labels', 'moving_labels')}
    return {name: Volume(array, Geometry(array.shape, affine)) for name, array in arrays.items()}


def field_error(result: Any, item: dict) -> tuple[float, float]:
    """Mean distance to the known true field in mm, before and after, where the images can tell it."""
    import torch

    from mmreg.evaluation.functional.field_error import end_point_errors

    known = {**item['inputs'], **item['data_samples'].to_dict()}
    true, valid = known['true_displacement'], known['true_displacement_valid'][0] > 0
    fields = torch.zeros_like(true), torch.from_numpy(result.displacement)
    before, after = (
        float(end_point_errors(f, true, result.geometry.spacing, batched=False)[valid].mean()) for f in fields
    )
    return before, after


def pairs_table(results: Sequence[Any], errors: Sequence[tuple[float, float]]) -> None:
    """One line per pair and one of means."""
    from statistics import fmean

    rows = [
        (
            *(result.metrics[name][when] for name in ('dice', 'hd95') for when in ('before', 'after')), *error,
            result.metrics['folds_percent']['after'], result.timings['network'],
        )
        for result, error in zip(results, errors)
    ]  # fmt: skip
    names = [result.case_id for result in results] + ['mean']
    lines = [
        (
            name,
            f'{dice0:.3f} -> {dice1:.3f}',
            f'{error0:.2f} -> {error1:.2f}',
            f'{hd0:.2f} -> {hd1:.2f}',
            f'{folds:.3f}',
            f'{s:.1f}',
        )
        for name, (dice0, dice1, hd0, hd1, error0, error1, folds, s) in zip(
            names, [*rows, [fmean(c) for c in zip(*rows)]]
        )
    ]
    header = ('pair', 'tissue Dice', 'error to the true field, mm', 'HD95, mm', 'folds, %', 'network, s')
    console.table(header, lines)


def tissue_table(results: Sequence[Any], names: Sequence[str]) -> None:
    """Dice of each tissue, mean over the pairs."""
    from statistics import fmean

    rows = []
    for number, name in enumerate(names, start=1):
        scores = [result.metrics['dice']['items'][str(number)] for result in results]
        rows.append((name, *(f'{fmean(score[when] for score in scores):.3f}' for when in ('before', 'after'))))
    console.table(('tissue', 'Dice before', 'Dice after'), rows)


def draw(result: Any, folder: Path) -> None:
    """Figure of one pair."""
    from mmreg.registration.results.outputs import headline
    from mmreg.visualization import overview_figure

    overview_figure(
        result.fixed.volume.array, result.before.array, result.warped.array, result.displacement,
        folder / f'{result.case_id}.png', spacing=result.geometry.spacing, title=f'{headline(result)}   (simulated)',
    )  # fmt: skip


def write_pair(item: dict, folder: Path) -> dict[str, Path]:
    """Write one unseen pair as NIfTI; the moving image gets another order of its axes, as scanners differ."""
    from mmreg.io import write_volume

    paths = {}
    for name, volume in as_volumes(item).items():
        paths[name] = folder / f'{name}.nii.gz'
        write_volume(paths[name], volume.reoriented('LSA') if name.startswith('moving') else volume)
    return paths


def register_files(files: dict[str, Path], checkpoint: Path, out: Path) -> int:
    """The same through the command that registers files; returns its exit code."""
    from mmreg.commands import infer as inference_cli

    arguments = [f'configs/{CONFIG.name}', '--checkpoint', str(checkpoint), '--out', str(out)]
    for name, path in files.items():
        arguments += [f'--{name.replace("_", "-")}', str(path)]
    console.say('\n3. One pair from files, the moving one stored with other axes:')
    console.say('   python tools/inference.py ' + ' '.join(arguments))
    return inference_cli.main([str(CONFIG), *arguments[1:], '--device', 'cpu'])


if __name__ == '__main__':
    sys.exit(main())
