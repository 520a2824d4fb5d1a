"""Registration without training against its peers, on the real pairs of a data folder that is not part of mmreg.

    python benchmarks/registration.py --data DIR [--pairs brain_2mm cardiac] [--peers greedy ants] [--threads 2]
        [--peers-python PYTHON]

Prints a table: Dice (labels by nearest neighbour, mean over the scored labels), folds (% of voxels with a Jacobian
determinant of 0 or less), SDlogJ, wall-clock and CPU seconds of the registration, without reading and scoring.
Compare CPU seconds when the machine is shared. Peers that are not installed are named (see requirements.txt).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PEERS = ('greedy', 'greedy-nmi', 'ants', 'ants-mi', 'demons', 'convexadam', 'elastix')
#: FreeSurfer structures that VoxelMorph scores.
ASEG = (
    2,
    3,
    4,
    7,
    8,
    10,
    11,
    12,
    13,
    14,
    15,
    16,
    17,
    18,
    24,
    28,
    31,
    41,
    42,
    43,
    46,
    47,
    49,
    50,
    51,
    52,
    53,
    54,
    60,
    63,
)


@dataclass(frozen=True)
class Pair:
    """Files of a pair below the data folder, without ``.nii.gz``; labels may be missing."""

    preset: str
    fixed: str
    moving: str
    fixed_labels: str | None = None
    moving_labels: str | None = None
    scored: tuple[int, ...] = ()

    def back(self) -> Pair:
        """The same pair in the other direction."""
        return Pair(self.preset, self.moving, self.fixed, self.moving_labels, self.fixed_labels, self.scored)


def _brain(mm: int) -> Pair:
    names = [f'brain_t1_pair/subj0{n}_{kind}_{mm}mm' for kind in ('t1', 'seg') for n in (1, 2)]
    return Pair('brain_t1', *names, ASEG)


def _all_pairs() -> dict[str, Pair]:
    heart, spine = 'cardiac_cine/', 'spine_t1_t2/'
    pairs = {
        'brain_2mm': _brain(2),
        'brain_1mm': _brain(1),
        'cardiac': Pair('cardiac_cine', *(heart + n for n in ('ed_img', 'es_img', 'ed_seg', 'es_seg')), (1, 2, 3)),
        'spine': Pair('spine', *(spine + n for n in ('t2w', 't1w', 't2w_cord', 't1w_cord')), (1,)),
    }
    pairs |= {f'{name}_back': pair.back() for name, pair in list(pairs.items())}
    for a, b in ((1, 3), (3, 4), (4, 2)):
        pairs[f'brain_{a}{b}'] = Pair('brain_t1', *(f'brain_t1_pair/subj0{n}_t1_2mm' for n in (a, b)))
    return pairs


PAIRS = _all_pairs()
DEFAULT = ('brain_2mm', 'brain_1mm', 'cardiac', 'spine')


def load(folder: Path, name: str):
    """Array ``(1, 1, i, j, k)`` and the SimpleITK image."""
    import SimpleITK as sitk
    import torch

    image = sitk.ReadImage(str(folder / f'{name}.nii.gz'))
    return torch.from_numpy(sitk.GetArrayFromImage(image).transpose(2, 1, 0).copy())[None, None], image


def run_ours(pair: Pair, folder: Path, preset: str | None, threads: int) -> tuple[dict, object]:
    import torch

    from mmreg.plugins import register_all_modules
    from mmreg.registration.optimisation import optimise
    from mmreg.registration.working.preparation import find_preparation
    from mmreg.registry import REGISTRARS, TRANSFORMS
    from mmreg.utils.config import load_config

    register_all_modules()
    torch.set_num_threads(threads)
    path = Path(__file__).parents[1] / 'configs' / f'register_{preset or pair.preset}.py'
    cfg = load_config(path)
    model = REGISTRARS.build(cfg.model.to_dict())
    (fixed, image), (moving, _) = (load(folder, name) for name in (pair.fixed, pair.moving))
    sample = {'fixed': fixed[0].float().numpy(), 'moving': moving[0].float().numpy()}
    for step in find_preparation(cfg).intensity:
        sample = TRANSFORMS.build(dict(step))(sample)
    inputs = {key: torch.as_tensor(array, dtype=torch.float32)[None] for key, array in sample.items()}
    inputs['spacing'] = image.GetSpacing()
    wall, processor = time.perf_counter(), time.process_time()
    found = optimise(model, inputs, cfg.optimisation.to_dict())
    row = {'seconds': time.perf_counter() - wall, 'cpu': time.process_time() - processor}
    if found.residual is not None:
        row['inverse'] = float(found.residual.mean.max())
    return row, found.displacement


def run_peer(peer: str, pair: Pair, folder: Path, python: str, threads: int) -> tuple[dict, object]:
    script = Path(__file__).with_name('registration_peers.py')
    with tempfile.TemporaryDirectory() as work:
        field = Path(work) / 'field.nii.gz'
        files = [str(folder / f'{name}.nii.gz') for name in (pair.fixed, pair.moving)]
        command = [python, str(script), peer, *files, str(field), str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            row = json.loads(done.stdout.strip().splitlines()[-1])
        except (IndexError, ValueError):
            return {'missing': (done.stderr.strip().splitlines() or ['failed'])[-1]}, None
        return row, None if 'missing' in row else voxels_of(field)


def voxels_of(path: Path):
    """An ITK displacement field file as ``(1, 3, i, j, k)`` voxels."""
    import numpy as np
    import SimpleITK as sitk
    import torch

    image = sitk.ReadImage(str(path))
    matrix = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    vectors = sitk.GetArrayFromImage(image) @ np.linalg.inv(matrix).T
    return torch.from_numpy(vectors.transpose(3, 2, 1, 0).astype('float32').copy())[None]


def score(pair: Pair, folder: Path, displacement) -> dict:
    """Dice, folds and SDlogJ of a displacement, None: the identity; without labels the LNCC similarity."""
    import torch

    from mmreg.registry import LOSSES
    from mmreg.spatial import jacobian_determinant, warp

    fixed, _ = load(folder, pair.fixed)
    if displacement is None:
        displacement = torch.zeros(1, 3, *fixed.shape[2:])
    determinant = jacobian_determinant(displacement)
    row = {
        'folds': 100 * float((determinant <= 0).float().mean()),
        'sdlogj': float(determinant.clamp(min=1e-3).log().std()),
    }
    if pair.fixed_labels is None or pair.moving_labels is None:
        moving, _ = load(folder, pair.moving)
        loss = LOSSES.build(dict(type='LNCC', window=9))
        row['lncc'] = 1 - float(loss(warp(moving.float() / 255, displacement), fixed.float() / 255))
        return row
    target, _ = load(folder, pair.fixed_labels)
    source, _ = load(folder, pair.moving_labels)
    moved = warp(source.long(), displacement, 'nearest')
    overlaps = []
    for value in pair.scored:
        a, b = target == value, moved == value
        overlaps.append(2 * int((a & b).sum()) / max(int(a.sum()) + int(b.sum()), 1))
    return {'dice': sum(overlaps) / len(overlaps), **row}


def line(pair: str, method: str, row: dict) -> str:
    if 'missing' in row:
        return f'{pair:16s} {method:12s} not run: {row["missing"]}'
    similarity = f'{row["dice"]:.4f}     ' if 'dice' in row else f'{row["lncc"]:.4f} ncc '
    text = f'{pair:16s} {method:12s} {similarity} {row["folds"]:8.4f} {row["sdlogj"]:7.3f}'
    if 'seconds' in row:
        text += f' {row["seconds"]:8.1f} {row["cpu"]:8.1f}'
    return text + (f'   {row["inverse"]:.4f}' if 'inverse' in row else '')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', required=True, type=Path, help='folder with brain_t1_pair, cardiac_cine, spine_t1_t2')
    parser.add_argument('--pairs', nargs='+', default=DEFAULT, choices=sorted(PAIRS), metavar='PAIR')
    parser.add_argument('--peers', nargs='*', default=PEERS, choices=PEERS, metavar='PEER')
    parser.add_argument('--peers-python', default=sys.executable, help='interpreter that has the peers installed')
    parser.add_argument('--preset', help='for all pairs, instead of the one of their organ')
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args()
    if not args.data.is_dir():
        parser.error(f'--data {args.data} is not a folder')
    print(
        f'{"pair":16s} {"method":12s} {"Dice":11s} {"folds %":>8s} {"SDlogJ":>7s} {"seconds":>8s} {"CPU s":>8s}',
        'inverse',
    )
    for name in args.pairs:
        pair = PAIRS[name]
        print(line(name, 'before', score(pair, args.data, None)), flush=True)
        row, field = run_ours(pair, args.data, args.preset, args.threads)
        print(line(name, 'mmreg', {**row, **score(pair, args.data, field)}), flush=True)
        for peer in args.peers:
            row, field = run_peer(peer, pair, args.data, args.peers_python, args.threads)
            scored = {} if field is None else score(pair, args.data, field)
            print(line(name, peer, {**row, **scored}), flush=True)


if __name__ == '__main__':
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    main()
