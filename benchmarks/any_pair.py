"""Any two scans with the automatic command: never worse than before, nor than its own affine.

    python benchmarks/any_pair.py --folders DIR [DIR ...] --cache DIR [--only NAME ...] [--peers greedy ants]
        [--peers-python PYTHON] [--tag NAME] [--option KEY=VALUE ...] [--table]

A folder holds one folder per pair: ``fixed.nii.gz``, ``moving.nii.gz`` and what is known of the truth, one of

* ``truth.npy``: ``(*S, ndim)`` displacement in RAS mm at the fixed voxels, and ``mask.nii.gz`` where it counts,
* ``fixed_landmarks.csv`` and ``moving_landmarks.csv`` (RAS mm, header ``x,y[,z]``),
* ``fixed_labels.nii.gz`` and ``moving_labels.nii.gz``.

Scores: mean error in mm (truth), mean TRE in mm (landmarks), 1 - mean Dice (labels): lower is better, of the headers,
of our affine alone, of the whole command, and of peers with their own affine. SDlogJ is that of the foreground. Every
result is kept in the cache, so that an interrupted run goes on where it stopped; ``--tag`` keeps experiments apart.
``benchmarks/known_truth.py`` makes pairs with known fields from scans.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PEERS = ('greedy', 'greedy-nmi', 'ants', 'ants-cc', 'elastix')
#: Worse than this share above the reference counts as worse.
MARGIN = 0.02


def find_pairs(folders: list[Path]) -> dict[str, Path]:
    """Name -> folder of every pair with a known truth."""
    found = {}
    for folder in folders:
        for fixed in sorted(folder.glob('*/fixed.nii.gz')):
            if kind_of(fixed.parent) is not None:
                found[fixed.parent.name] = fixed.parent
    return found


def kind_of(pair: Path) -> str | None:
    """What is known: ``'truth'``, ``'landmarks'``, ``'labels'`` or None."""
    names = {'truth': 'truth.npy', 'landmarks': 'moving_landmarks.csv', 'labels': 'moving_labels.nii.gz'}
    return next((kind for kind, name in names.items() if (pair / name).is_file()), None)


class Truth:
    """Scores maps from fixed world points to moving world points, RAS mm."""

    def __init__(self, pair: Path):
        from mmreg.io import read_volume

        self.pair, self.kind = pair, kind_of(pair)
        self.volume = read_volume(str(pair / 'fixed.nii.gz'))
        self.geometry = self.volume.geometry
        axes = [np.arange(n, dtype=np.float64) for n in self.geometry.shape]
        voxels = np.stack(np.meshgrid(*axes, indexing='ij'), -1)
        self.world = self.geometry.voxel_to_world(voxels.reshape(-1, len(axes)))
        self.mask = self._mask()

    def _mask(self) -> np.ndarray:
        from mmreg.io import read_volume

        if (self.pair / 'mask.nii.gz').is_file():
            return read_volume(str(self.pair / 'mask.nii.gz'), 'mask').array > 0
        array = self.volume.array if self.volume.array.ndim == self.volume.ndim else self.volume.array[..., 0]
        low, high = np.percentile(array, (1, 99))
        return array > low + 0.1 * (high - low)

    def score(self, mapped: np.ndarray) -> float:
        """``mapped``: where the centres of the fixed voxels go, ``(V, ndim)``; lower is better."""
        return float(getattr(self, f'_{self.kind}')(mapped))

    def _truth(self, mapped: np.ndarray) -> float:
        truth = np.load(self.pair / 'truth.npy').reshape(mapped.shape)
        return np.linalg.norm(mapped - self.world - truth, axis=1)[self.mask.ravel()].mean()

    def _landmarks(self, mapped: np.ndarray) -> float:
        from scipy.ndimage import map_coordinates

        fixed, target = (
            np.loadtxt(self.pair / f'{role}_landmarks.csv', delimiter=',', skiprows=1) for role in ('fixed', 'moving')
        )
        shift = (mapped - self.world).reshape(*self.geometry.shape, -1)
        voxels = self.geometry.world_to_voxel(fixed).T
        found = [map_coordinates(shift[..., i], voxels, order=1, mode='nearest') for i in range(fixed.shape[1])]
        return np.linalg.norm(fixed + np.stack(found, 1) - target, axis=1).mean()

    def _labels(self, mapped: np.ndarray) -> float:
        from scipy.ndimage import map_coordinates

        from mmreg.io import read_volume

        fixed, moving = (
            read_volume(str(self.pair / f'{role}_labels.nii.gz'), 'labels') for role in ('fixed', 'moving')
        )
        voxels = moving.geometry.world_to_voxel(mapped).T
        warped = map_coordinates(moving.array, voxels, order=0, cval=0).reshape(fixed.array.shape)
        values = sorted(set(np.unique(fixed.array)) - {0})
        both = [
            (2 * ((warped == v) & (fixed.array == v)).sum(), (warped == v).sum() + (fixed.array == v).sum())
            for v in values
        ]
        return 1 - np.mean([a / max(b, 1) for a, b in both])

    def regularity(self, mapped: np.ndarray) -> dict[str, float]:
        """SDlogJ of the foreground and of the whole grid, and percent of folds, of a map."""
        import torch

        from mmreg.spatial import jacobian_determinant

        voxels = self.geometry.world_to_voxel(mapped) - self.geometry.world_to_voxel(self.world)
        field = np.moveaxis(voxels.reshape(*self.geometry.shape, -1), -1, 0).astype(np.float32)
        determinant = jacobian_determinant(torch.from_numpy(field.copy())[None])[0].numpy()
        logs = np.log(np.maximum(determinant, 1e-3))
        logs = logs - np.median(logs)
        return {
            'sdlogj': float(logs[self.mask].std()),
            'sdlogj_all': float(logs.std()),
            'folds': 100 * float((determinant <= 0).mean()),
        }


def run_ours(truth: Truth, options: dict[str, Any], preset: str | None, affine: str) -> dict[str, Any]:
    """The automatic command, as Python."""
    from mmreg.registration.options import RunOptions
    from mmreg.registration.register import make_pipeline

    began, processor = time.perf_counter(), time.process_time()
    pipeline = make_pipeline(RunOptions(preset=preset, cfg_options=options))
    files = [str(truth.pair / f'{role}.nii.gz') for role in ('fixed', 'moving')]
    result = pipeline(*files, affine=affine, inverse=False)
    row: dict[str, Any] = {'seconds': time.perf_counter() - began, 'cpu': time.process_time() - processor}
    row['timings'] = {key: round(value, 2) for key, value in result.timings.items()}
    matrix = np.eye(truth.geometry.ndim + 1) if result.affine is None else np.asarray(result.affine)

    def through(points: np.ndarray) -> np.ndarray:
        return points @ matrix[:-1, :-1].T + matrix[:-1, -1]

    shift = np.moveaxis(result.displacement, 0, -1).reshape(-1, truth.geometry.ndim) @ truth.geometry.matrix.T
    mapped = through(truth.world + shift)
    row |= {'score': truth.score(mapped), 'affine': truth.score(through(truth.world)), **truth.regularity(mapped)}
    preset_words = result.provenance.get('preset') or {}
    row |= {'preset': preset_words.get('name'), 'reasons': preset_words.get('reasons'), 'warnings': result.warnings}
    row['opinion'] = (result.provenance.get('source') or {}).get('second_opinion')
    row['start'] = None if result.alignment.search is None else result.alignment.search.start
    return row


def run_peer(peer: str, truth: Truth, python: str, threads: int) -> dict[str, Any]:
    """A peer with its own affine, in an interpreter of its own."""
    import SimpleITK as sitk

    script = Path(__file__).with_name('any_pair_peers.py')
    with tempfile.TemporaryDirectory() as work:
        field = Path(work) / 'field.nii.gz'
        files = [str(truth.pair / f'{role}.nii.gz') for role in ('fixed', 'moving')]
        command = [python, str(script), peer, *files, str(field), str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            row = json.loads(done.stdout.strip().splitlines()[-1])
            image = sitk.ReadImage(str(field))
        except (IndexError, ValueError, RuntimeError):
            return {'missing': (done.stderr.strip().splitlines() or ['failed'])[-1]}
    ndim = truth.geometry.ndim
    vectors = sitk.GetArrayFromImage(image).squeeze()[..., :ndim]
    vectors = vectors.transpose(*range(ndim)[::-1], ndim).reshape(-1, ndim).astype(np.float64)
    vectors[:, :2] *= -1  # LPS -> RAS
    mapped = truth.world + vectors
    return {**row, 'score': truth.score(mapped), **truth.regularity(mapped)}


def cached(path: Path, make: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What ``make`` returned the first time."""
    if path.is_file():
        return json.loads(path.read_text())
    row = make(*arguments)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row, indent=1))
    return row


def line(name: str, before: float, row: dict[str, Any], peers: dict[str, dict[str, Any]]) -> str:
    if 'score' not in row:
        return f'| {name} | {before:.3f} | {row.get("missing", "not run")} |'
    text = (
        f'| {name} | {before:.3f} | {row["affine"]:.3f} | {row["score"]:.3f} | {row["sdlogj"]:.2f} | {row["preset"]} |'
    )
    text += f' {row["cpu"]:.0f} |'
    for peer in peers.values():
        text += f' {peer["score"]:.3f} ({peer["sdlogj"]:.2f}) |' if 'score' in peer else ' - |'
    best = min((p['score'] for p in peers.values() if 'score' in p), default=None)
    allowed = (1 + MARGIN) * min(before, row['affine'])
    remarks = ['WORSE'] if row['score'] > allowed else []
    remarks += ['folds'] if row['folds'] > 0 else []
    remarks += ['behind'] if best is not None and row['score'] > best else []
    return f'{text} {" ".join(remarks)} |'


def summary(rows: list[tuple[float, dict[str, Any], dict[str, dict[str, Any]]]]) -> str:
    """How often the bar is held."""
    held = sum(row['score'] <= (1 + MARGIN) * min(before, row['affine']) for before, row, _ in rows)
    compared = [(row, [p['score'] for p in peers.values() if 'score' in p]) for _, row, peers in rows]
    compared = [(row, scores) for row, scores in compared if scores]
    ahead = sum(row['score'] <= min(scores) for row, scores in compared)
    words = f'not worse than before and than its affine: {held} of {len(rows)}'
    return f'{words}; at or below the best peer: {ahead} of {len(compared)}'


def main() -> None:
    import torch
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--folders', nargs='+', required=True, type=Path, help='folders of folders of pairs')
    parser.add_argument('--cache', required=True, type=Path, help='folder for results')
    parser.add_argument('--only', nargs='+', metavar='NAME', help='pairs whose names begin so')
    parser.add_argument('--peers', nargs='*', default=(), choices=PEERS, metavar='PEER')
    parser.add_argument('--peers-python', default=sys.executable, help='interpreter that has the peers installed')
    parser.add_argument('--tag', default='mmreg', help='name of our results in the cache')
    parser.add_argument('--preset', help='instead of the automatic choice')
    parser.add_argument('--affine', default='auto')
    parser.add_argument('--option', nargs='+', action=DictAction, metavar='KEY=VALUE', help='options of the preset')
    parser.add_argument('--again', action='store_true', help='run ours again')
    parser.add_argument('--skip-ours', action='store_true', help='peers only')
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    options = args.option or {}
    pairs = find_pairs(args.folders)
    if args.only:
        pairs = {name: path for name, path in pairs.items() if name.startswith(tuple(args.only))}
    if not pairs:
        parser.error(f'--folders {" ".join(map(str, args.folders))}: found no pair, expected DIR/NAME/fixed.nii.gz')
    print(
        '| pair | before | affine | mmreg | SDlogJ | preset | CPU s |' + ''.join(f' {p} |' for p in args.peers) + ' |'
    )
    rows = []
    for name, path in pairs.items():
        truth = Truth(path)
        before = truth.score(truth.world)
        peers = {
            peer: cached(args.cache / peer / f'{name}.json', run_peer, peer, truth, args.peers_python, args.threads)
            for peer in args.peers
        }
        ours = args.cache / args.tag / f'{name}.json'
        if args.again:
            ours.unlink(missing_ok=True)
        row: dict[str, Any] = {}
        if not args.skip_ours:
            row = cached(ours, run_ours, truth, options, args.preset, args.affine)
            rows.append((before, row, peers))
        print(line(name, before, row, peers), flush=True)
    if rows:
        print(summary(rows))


if __name__ == '__main__':
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    main()
