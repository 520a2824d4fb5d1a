"""The demonstration behind `make demo`: train a small network on the CPU, and see on unseen subjects what it learned.

No data are needed: the subjects are simulated from the MNI152 T1 template that the package nilearn brings along.
"""

from __future__ import annotations

import argparse
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
    return console.run(lambda: demonstrate(Path(args.out), args.quick), debug=args.debug)


def demonstrate(out: Path, quick: bool) -> int:
    """Train, measure on unseen subjects, register files."""
    console.say(NOTICE + '\n')
    checkpoint = train(out / ('train_quick' if quick else 'train'), quick)
    if checkpoint is None:
        return 1
    from mmreg.apis import init_model

    model = init_model(CONFIG, checkpoint, device='cpu')
    dataset = unseen_subjects(model.cfg, count=2 if quick else None)
    measure(model, dataset, out / 'figures')
    files = write_pair(dataset[0], out / 'files')
    code = register_files(files, checkpoint, out / 'registration')
    console.say(f'\nfigures of all pairs: {out / "figures"}; the registered files: {out / "registration"}')
    console.say(NOTICE)
    return code


def train(work_dir: Path, quick: bool) -> Path | None:
    """Train, or continue where an earlier run was stopped; returns the checkpoint, None after a failure."""
    from mmreg.engine import train_cli
    from mmreg.engine.launch import latest_checkpoint

    console.say(f'1. Training {CONFIG.name} on the CPU (Ctrl-C is safe: the next run continues).')
    start = time.perf_counter()
    options = ['--cfg-options', *QUICK] if quick else []
    if train_cli.main([str(CONFIG), '--work-dir', str(work_dir), '--resume', *options]):
        return None
    console.say(f'trained in {time.perf_counter() - start:.0f} s\n')
    return latest_checkpoint(work_dir)


def unseen_subjects(cfg: Any, count: int | None) -> Any:
    """The test set: subjects that are in no training pair."""
    from mmreg.registry import DATASETS

    config = cfg.test_dataloader.dataset.copy()
    if count is not None:
        config['count'] = count
    dataset = DATASETS.build(config)
    dataset.full_init()
    return dataset


def measure(model: Any, dataset: Any, figures: Path) -> None:
    """Register every pair, print a table of before and after, and draw each."""
    from mmengine.dataset import pseudo_collate

    from mmreg.registry import METRICS

    console.say(f'2. Registering {len(dataset)} pairs of unseen subjects with the trained network.')
    metrics = [METRICS.build(config) for config in model.cfg.test_evaluator]
    seconds, sizes = [], []
    for number in range(len(dataset)):
        batch = pseudo_collate([dataset[number]])
        start = time.perf_counter()
        (sample,) = model.test_step(batch)
        seconds.append(time.perf_counter() - start)
        sizes.append(sample.case_id)
        for metric in metrics:
            metric.process(batch, [sample.to_dict()])
        draw(sample, batch, figures)
    scores = collect(metrics)
    table(sizes, scores, seconds)
    tissues(dataset, scores['dice'])


def collect(metrics: Sequence[Any]) -> dict[str, list[tuple[dict, dict]]]:
    """Score name -> per case (after, before), each a dict of items."""
    scores: dict[str, list[tuple[dict, dict]]] = {}
    for metric in metrics:
        for result in metric.results:
            for name, after in result['scores'].items():
                scores.setdefault(name, []).append((after, result['initial'].get(name, {})))
    return scores


def table(cases: Sequence[str], scores: dict, seconds: Sequence[float]) -> None:
    """One line per pair and one of means."""
    from mmreg.evaluation.functional.aggregate import nan_mean

    def pair(name: str, number: int, digits: int) -> str:
        after, before = scores[name][number]
        return f'{nan_mean(before.values()):.{digits}f} -> {nan_mean(after.values()):.{digits}f}'

    def mean(name: str, digits: int) -> str:
        ends = [nan_mean(nan_mean(case[end].values()) for case in scores[name]) for end in (1, 0)]
        return f'{ends[0]:.{digits}f} -> {ends[1]:.{digits}f}'

    folds = [nan_mean(after.values()) for after, _ in scores['folds_percent']]
    rows = [
        (case, pair('dice', n, 3), pair('epe', n, 2), pair('hd95', n, 2), f'{folds[n]:.3f}', f'{seconds[n]:.1f}')
        for n, case in enumerate(cases)
    ]
    last = (f'{nan_mean(folds):.3f}', f'{nan_mean(seconds):.1f}')
    rows.append(('mean', mean('dice', 3), mean('epe', 2), mean('hd95', 2), *last))
    header = ('pair', 'tissue Dice', 'error to the true field, mm', 'HD95, mm', 'folds, %', 'seconds')
    console.table(header, rows)


def tissues(dataset: Any, dice: Sequence[tuple[dict, dict]]) -> None:
    """Dice of each tissue, mean over the pairs."""
    from mmreg.evaluation.functional.aggregate import nan_mean

    rows = []
    for number, name in enumerate(dataset.metainfo['label_names'], start=1):
        ends = [nan_mean(case[end][str(number)] for case in dice) for end in (1, 0)]
        rows.append((name, f'{ends[0]:.3f}', f'{ends[1]:.3f}'))
    console.say()
    console.table(('tissue', 'Dice before', 'Dice after'), rows)


def draw(sample: Any, batch: dict, folder: Path) -> None:
    """Figure of one pair."""
    from mmreg.visualization import overview_figure

    inputs, pred = batch['inputs'], sample.pred
    overview_figure(
        inputs['fixed'][0], inputs['moving'][0], pred.warped, pred.displacement, folder / f'{sample.case_id}.png',
        spacing=sample.spacing, title=f'{sample.case_id} (simulated subjects)',
    )  # fmt: skip


def write_pair(item: dict, folder: Path) -> dict[str, Path]:
    """Write one unseen pair as NIfTI; the moving image gets another order of its axes, as scanners differ."""
    import numpy as np

    from mmreg.io import Geometry, Volume, write_volume

    inputs, affine = item['inputs'], np.asarray(item['data_samples'].affine)
    paths = {}
    for name in ('fixed', 'moving', 'fixed_labels', 'moving_labels'):
        array = inputs[name][0].numpy()
        volume = Volume(array, Geometry(array.shape, affine))
        paths[name] = folder / f'{name}.nii.gz'
        write_volume(paths[name], volume.reoriented('LSA') if name.startswith('moving') else volume)
    return paths


def register_files(files: dict[str, Path], checkpoint: Path, out: Path) -> int:
    """The same through the command that registers files; returns its exit code."""
    from mmreg.apis import inference_cli

    arguments = [f'configs/{CONFIG.name}', '--checkpoint', str(checkpoint), '--out', str(out)]
    for name, path in files.items():
        arguments += [f'--{name.replace("_", "-")}', str(path)]
    console.say('\n3. One pair from files, the moving one stored with other axes:')
    console.say('   python tools/inference.py ' + ' '.join(arguments))
    return inference_cli.main([str(CONFIG), *arguments[1:], '--device', 'cpu'])


if __name__ == '__main__':
    sys.exit(main())
