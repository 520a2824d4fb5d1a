"""The networks of mmreg's own on real pairs of a data folder that is not part of mmreg: makes the table of the docs.

    python benchmarks/own_weights.py --data DIR [--weights NAME_OR_FILE ...] [--pairs NAME ...] [--threads 2]

One line per pair and way: the start, a network alone, a network followed by ``--refine`` iterations of the pair's
preset on its finest level, the preset as it is, the preset shortened as by ``--fast``. Dice (labels by nearest
neighbour, mean over the scored labels), folds (% of voxels with a Jacobian determinant of 0 or less), SDlogJ,
wall-clock and CPU seconds of the displacement alone: reading, the affine and scoring are left out. ``--weights`` takes
``CONFIG=CHECKPOINT`` for weights that are not there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from registration import ASEG

from mmreg.io import Volume, read_volume
from mmreg.registration.alignment import Alignment
from mmreg.registration.by_preset import PresetRegistration
from mmreg.registration.files import PairFiles
from mmreg.registration.inferencer import RegistrationInferencer
from mmreg.registration.inputs import read_pair
from mmreg.registration.working.pair import WorkingPair, to_fixed_grid
from mmreg.registration.working.preparation import working_grid
from mmreg.spatial import jacobian_determinant, warp

COLUMNS = ('pair', 'way', 'Dice', 'folds %', 'SDlogJ', 's', 'CPU s')


@dataclass(frozen=True)
class RealPair:
    """Files below the data folder, without ``.nii.gz``, and what is done to the moving image's contrast."""

    preset: str
    fixed: str
    moving: str
    labels: tuple[str, str]
    scored: tuple[int, ...]
    contrast: Callable[[np.ndarray], np.ndarray] | None = None

    def back(self) -> RealPair:
        """The same pair in the other direction."""
        return RealPair(self.preset, self.moving, self.fixed, self.labels[::-1], self.scored, self.contrast)


def turned_over(array: np.ndarray) -> np.ndarray:
    """Bright becomes dark inside the body; what is 0 stays 0."""
    return np.where(array > 0, array.max() - array + 1, 0).astype(np.float32)


def flair_like(array: np.ndarray) -> np.ndarray:
    """Fluid dark, white matter grey, grey matter bright: a curve with its peak at the grey matter's T1 intensity."""
    body = array[array > 0]
    grey = np.quantile(body, 0.45)
    return np.where(array > 0, np.exp(-(((array - grey) / (0.35 * grey)) ** 2)) * 255 + 20, 0).astype(np.float32)


def _pairs() -> dict[str, RealPair]:
    names = [f'brain_t1_pair/subj0{n}_{kind}_2mm' for kind in ('t1', 'seg') for n in (1, 2)]
    brain = RealPair('brain_t1', names[0], names[1], (names[2], names[3]), ASEG)
    other = ('brain_multimodal', *names[:2], (names[2], names[3]), ASEG)
    heart, spine = 'cardiac_cine/', 'spine_t1_t2/'
    found = {
        'brain': brain,
        'brain turned over': RealPair(*other, turned_over),
        'brain FLAIR-like': RealPair(*other, flair_like),
        'heart': RealPair(
            'cardiac_cine', heart + 'ed_img', heart + 'es_img', (heart + 'ed_seg', heart + 'es_seg'), (1, 2, 3)
        ),
        'spine': RealPair('spine', spine + 't2w', spine + 't1w', (spine + 't2w_cord', spine + 't1w_cord'), (1,)),
    }  # fmt: skip
    return {**found, **{f'{name}, back': pair.back() for name, pair in found.items()}}


PAIRS = _pairs()


class Scorer:
    """A pair with its labels, and what a displacement makes of them."""

    def __init__(self, pair: RealPair, folder: Path):
        self.scored = pair.scored
        fixed, moving = (read_volume(folder / f'{name}.nii.gz') for name in (pair.fixed, pair.moving))
        if pair.contrast is not None:
            moving = Volume(pair.contrast(moving.array), moving.geometry)
        self.labels = [read_volume(folder / f'{name}.nii.gz').array.astype(np.int64) for name in pair.labels]
        self.pair = read_pair(PairFiles(fixed, moving), 'pair')

    def on(self, preparation) -> WorkingPair:
        """The pair on a working grid; the data folder's pairs are aligned already."""
        return WorkingPair(self.pair, Alignment(), working_grid(self.pair.fixed.geometry, preparation))

    def row(self, displacement: np.ndarray | None) -> list[float]:
        """Dice, folds and SDlogJ of ``(ndim, *S)`` voxels of the fixed grid; None: the identity."""
        target, source = (torch.from_numpy(labels)[None, None] for labels in self.labels)
        field = torch.zeros(1, 3, *target.shape[2:]) if displacement is None else torch.from_numpy(displacement)[None]
        moved = warp(source, field.float(), 'nearest')
        overlaps = [
            2 * int(((target == v) & (moved == v)).sum()) / max(int((target == v).sum() + (moved == v).sum()), 1)
            for v in self.scored
        ]
        determinant = jacobian_determinant(field.float())
        return [
            sum(overlaps) / len(overlaps),
            100 * float((determinant <= 0).float().mean()),
            float(determinant.clamp(min=1e-3).log().std()),
        ]


def measured(scorer: Scorer, pipeline) -> list[float]:
    """One row: what the pipeline's source makes of the pair, and how long that takes."""
    source = pipeline.method(scorer.pair).source
    on = scorer.on(source.preparation)
    wall, processor = time.perf_counter(), time.process_time()
    (found,) = source([on])
    seconds = [time.perf_counter() - wall, time.process_time() - processor]
    return [*scorer.row(to_fixed_grid(found.displacement, on)), *seconds]


def network(name: str, options: dict, refine: int = 0, preset: str | None = None) -> RegistrationInferencer:
    """Weights by name, or ``CONFIG=CHECKPOINT``."""
    config, _, checkpoint = name.partition('=')
    return RegistrationInferencer(
        config, checkpoint or None, device='cpu', cfg_options=options, refine=refine, preset=preset
    )


def say(pair: str, way: str, row: list[float]) -> None:
    """One line of the table."""
    dice, folds, spread, *seconds = row
    times = [f'{value:.1f}' for value in seconds] or ['-', '-']
    print('|', ' | '.join((pair, way, f'{dice:.4f}', f'{folds:.4f}', f'{spread:.3f}', *times)), '|', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', required=True, type=Path, help='folder with brain_t1_pair, cardiac_cine, spine_t1_t2')
    parser.add_argument('--weights', nargs='*', default=[], metavar='NAME')
    parser.add_argument('--pairs', nargs='+', default=list(PAIRS), choices=list(PAIRS), metavar='PAIR')
    parser.add_argument('--refine', nargs='*', type=int, default=[20], metavar='N', help='iterations after a network')
    parser.add_argument('--spacing', type=float, help='voxels of the network in mm, instead of those of its config')
    parser.add_argument('--presets', action='store_true', help="also each pair's preset, as it is and shortened")
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args()
    if not args.data.is_dir():
        parser.error(f'--data {args.data} is not a folder')
    torch.set_num_threads(args.threads)
    options = {} if args.spacing is None else {'inference.spacing': args.spacing}
    print('|', ' | '.join(COLUMNS), '|\n|', ' | '.join('---' for _ in COLUMNS), '|')
    for name in args.pairs:
        pair = PAIRS[name]
        scorer = Scorer(pair, args.data)
        say(name, 'start', scorer.row(None))
        for weights in args.weights:
            network(weights, options).method(scorer.pair).source([scorer.on(network(weights, options).preparation)])
            say(name, weights, measured(scorer, network(weights, options)))
            for iterations in args.refine:
                refined = network(weights, options, iterations, pair.preset)
                say(name, f'{weights} + {iterations}', measured(scorer, refined))
        if args.presets:
            for way, options in (('preset', {}), ('shortened', {'optimisation.quick': True})):
                preset = PresetRegistration(pair.preset, device='cpu', cfg_options=options)
                say(name, f'{way} {pair.preset}', measured(scorer, preset))


if __name__ == '__main__':
    main()
