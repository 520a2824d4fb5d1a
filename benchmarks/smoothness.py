"""What ``--smoothness`` costs and brings: the curve of the docs.

    python benchmarks/smoothness.py --data DIR [--factors 0.5 0.7 1 1.5 2 3] [--pairs NAME ...] [--picture FILE.png]

One line per pair and factor: Dice (labels by nearest neighbour, mean over the scored labels) or, for the known field,
the mean error in mm where the image shows tissue; folds (% of all voxels) and SDlogJ of the whole grid. The known field
is a random diffeomorphism of the first brain (``mmreg.datasets.synthesis``, control points 24 and 12 mm apart), so that
what is found can be compared with what was done. ``--picture`` draws Dice over SDlogJ.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from own_weights import PAIRS, Scorer

from mmreg.datasets.synthesis import Variation, random_diffeomorphism
from mmreg.io import Volume, read_volume
from mmreg.registration.by_preset import PresetRegistration
from mmreg.registration.files import PairFiles
from mmreg.registration.inputs import read_pair
from mmreg.registration.working.pair import to_fixed_grid
from mmreg.spatial import jacobian_determinant, warp

KNOWN = 'known field'
NAMES = ('brain', 'brain, back', 'heart', 'spine')
FACTORS = (0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
_SEED = 5


class KnownField:
    """A brain, and itself bent by a known field: scored by the error in mm."""

    def __init__(self, folder: Path):
        moving = read_volume(folder / f'{PAIRS["brain"].fixed}.nii.gz')
        spacing = moving.geometry.spacing
        rng = np.random.default_rng(_SEED)
        variation = Variation(knots_mm=(24.0, 12.0), amplitude_mm=(3.0, 1.0))
        self.truth, _ = random_diffeomorphism(rng, moving.geometry.shape, spacing, variation)
        image = torch.from_numpy(moving.array.astype(np.float32))[None, None]
        bent = warp(image, self.truth[None])[0, 0]
        self.inside, self.spacing = (bent > 0.1 * bent.max()).numpy(), np.asarray(spacing)
        fixed = Volume(bent.numpy(), moving.geometry)
        self.pair = read_pair(PairFiles(fixed, Volume(image[0, 0].numpy(), moving.geometry)), KNOWN)
        self.on = Scorer.on.__get__(self)

    def row(self, displacement: np.ndarray) -> list[float]:
        """Mean error in mm, folds, SDlogJ."""
        off = (displacement - self.truth.numpy()) * self.spacing[:, None, None, None]
        determinant = jacobian_determinant(torch.from_numpy(displacement)[None].float())
        return [
            float(np.linalg.norm(off, axis=0)[self.inside].mean()),
            100 * float((determinant <= 0).float().mean()),
            float(determinant.clamp(min=1e-3).log().std()),
        ]


def rows(name: str, folder: Path, factors: list[float]):
    """``(factor, score, folds, SDlogJ)`` of one pair."""
    known = name == KNOWN
    scorer = KnownField(folder) if known else Scorer(PAIRS[name], folder)
    for factor in factors:
        preset = 'brain_t1' if known else PAIRS[name].preset
        pipeline = PresetRegistration(preset, device='cpu', cfg_options={'optimisation.smoothness': factor})
        source = pipeline.method(scorer.pair).source
        on = scorer.on(source.preparation)
        (found,) = source([on])
        yield factor, *scorer.row(to_fixed_grid(found.displacement, on))


def draw(found: dict[str, list[tuple[float, ...]]], path: Path) -> None:
    """Dice over SDlogJ, a line per pair, a point per factor."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout='constrained')
    for name, points in found.items():
        if name == KNOWN:
            continue
        axes.plot([p[3] for p in points], [p[1] for p in points], marker='o', markersize=4, label=name)
        for factor, score, _, spread in points:
            axes.annotate(f'{factor:g}', (spread, score), textcoords='offset points', xytext=(4, 5), fontsize=8)
    axes.set(xlabel='SDlogJ of the whole grid', ylabel='Dice', title='--smoothness, from stiff (left) to fluid (right)')
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', required=True, type=Path, help='folder with brain_t1_pair, cardiac_cine, spine_t1_t2')
    parser.add_argument('--factors', nargs='+', type=float, default=list(FACTORS))
    parser.add_argument('--pairs', nargs='+', default=[*NAMES, KNOWN], choices=[*NAMES, KNOWN], metavar='PAIR')
    parser.add_argument('--picture', type=Path)
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print('| pair | factor | Dice or mm | folds % | SDlogJ |')
    print('|---|---|---|---|---|')
    found: dict[str, list[tuple[float, ...]]] = {}
    for name in args.pairs:
        for row in rows(name, args.data, args.factors):
            found.setdefault(name, []).append(row)
            factor, score, folds, spread = row
            print(f'| {name} | {factor:g} | {score:.3f} | {folds:.4f} | {spread:.3f} |', flush=True)
    if args.picture is not None:
        draw(found, args.picture)


if __name__ == '__main__':
    main()
