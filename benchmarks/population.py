"""A template of simulated subjects whose generating shape is known, labels carried between them, motion found again.

    python benchmarks/population.py [--resolution 2] [--subjects 8] [--seed 0] [--rounds 4] [--atlases 5] [--frames 6]
        [--peers-python PYTHON] [--out DIR] [--pictures DIR]
    python benchmarks/population.py --scans SCAN... [--labels MAP...] [--values N...] [--rounds 4] [--peers-python ...]

Subjects are the MNI152 T1 template (packaged with nilearn) bent and re-lit at random. Measured for the template of
mmreg, that of ANTsPy's build_template (where PYTHON has antspyx; CPU seconds of the whole process in the same run), and
the single subject that lies nearest: the distance of its shape in mm (mean length of the displacement that a
registration to it finds, without its affine part, where the brain is; one yardstick for all) to the generating shape
and to the mean of the subjects' shapes, which is where an unbiased template should be, correlation with both after an
affine, and sharpness (mean length of the gradient over the mean intensity). Since that registration has errors of its
own, the distance of mmreg's template from the generating shape is told by the true fields too. Then a series of the
template moved rigidly, with noise: how far the motion that is found is from the true one, and from none. Then a
leave-one-out of multi-atlas segmentation: Dice of each way of fusion. --pictures writes those of the documentation.

With --scans real ones are taken. Their generating shape is unknown; instead, the mean distance of the scans' shapes
from the templates is measured. --labels of the first of them are left out in turn; --values are the labels that count.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mmreg.datasets import SimulatedBrainDataset

ANTS = """
import json, os, sys
import ants
files, out, rounds = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
images = [ants.image_read(f) for f in files]
template = ants.build_template(image_list=images, iterations=rounds)
ants.image_write(template, out)
print(json.dumps({'cpu': sum(os.times()[:4])}))
"""


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--resolution', type=int, default=2, help='voxel size, mm (default: 2)')
    parser.add_argument('--subjects', type=int, default=8)
    parser.add_argument('--seed', type=int, default=0, help='another family of subjects')
    parser.add_argument('--rounds', type=int, default=4)
    parser.add_argument('--atlases', type=int, default=5, help='subjects of the leave-one-out; 0: none')
    parser.add_argument('--frames', type=int, default=6, help='of the series; 0: none')
    parser.add_argument('--pictures', type=Path, help='folder for the pictures of the documentation')
    parser.add_argument('--peers-python', help='interpreter that has antspyx')
    parser.add_argument('--out', type=Path, help='keep everything here')
    parser.add_argument('--scans', nargs='+', type=Path, help='real scans instead')
    parser.add_argument('--labels', nargs='+', type=Path, default=[], help='label maps of the first of them')
    parser.add_argument('--values', nargs='+', type=int, default=[], help='labels that count')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = run_real if args.scans else run_simulated
        run(args, args.out or Path(folder))


def run_simulated(args: argparse.Namespace, folder: Path) -> None:
    """Make the subjects, build, measure, print."""
    data = _data(args)
    images, labels, truth, mean = make_subjects(folder / 'subjects', data)
    nearest = min(images, key=lambda path: shape_distance(path, truth)[0])
    built = {'nearest single subject': (0.0, nearest), **templates(args, folder, images, labels)}
    print(f'\n{args.subjects} subjects, {args.resolution} mm, {args.rounds} rounds', flush=True)
    print(f'{"":24}{"CPU s":>8}{"shape mm":>10}{"corr":>8}{"mean mm":>10}{"corr":>8}{"sharpness":>11}')
    for name, (seconds, path) in built.items():
        words = [
            f'{distance:10.2f}{alike:8.4f}' for distance, alike in (shape_distance(path, to) for to in (truth, mean))
        ]
        print(f'{name:24}{seconds:8.0f}{"".join(words)}{sharpness(path):11.4f}', flush=True)
    by_true_fields(folder / 'template', truth, data)
    if args.frames:
        series(folder, truth, args.frames)
    if args.atlases:
        leave_one_out(folder, images[: args.atlases], labels[: args.atlases])
    if args.pictures:
        draw(args.pictures, folder, images, labels, truth, nearest)


def run_real(args: argparse.Namespace, folder: Path) -> None:
    """Build from real scans, measure, print."""
    images = args.scans
    built = templates(args, folder, images, [])
    print(f'\n{len(images)} scans, {args.rounds} rounds', flush=True)
    print(f'{"":24}{"CPU s":>8}{"sharpness":>11}{"scans mm":>10}')
    for name, (seconds, path) in built.items():
        print(f'{name:24}{seconds:8.0f}{sharpness(path):11.4f}{mean_distance(path, images):10.2f}', flush=True)
    if args.labels:
        leave_one_out(folder, images[: len(args.labels)], args.labels, args.values)


def templates(
    args: argparse.Namespace, folder: Path, images: list[Path], labels: list[Path]
) -> dict[str, tuple[float, Path]]:
    """CPU seconds and file of the template of mmreg, and of ANTsPy's where there is an interpreter that has it."""
    began = cpu_seconds()
    words = ['template', *map(str, images), '-o', str(folder / 'template'), '--rounds', str(args.rounds)]
    call([*words, *(['--labels', *map(str, labels)] if labels else [])])
    built = {'mmreg template': (cpu_seconds() - began, folder / 'template' / 'template.nii.gz')}
    if args.peers_python:
        out = folder / 'ants.nii.gz'
        words = [args.peers_python, '-c', ANTS, json.dumps([str(path) for path in images]), str(out), str(args.rounds)]
        told = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        built['ANTsPy build_template'] = (told['cpu'], out)
    return built


def leave_one_out(folder: Path, images: list[Path], labels: list[Path], values: Sequence[int] = ()) -> None:
    """Each scan labelled by the others; prints Dice, of some labels also their mean."""
    words = ['propagate', '--leave-one-out', '--atlases', *map(str, images), '--labels', *map(str, labels)]
    began = cpu_seconds()
    call([*words, '-o', str(folder / 'loo'), '--fusion', 'majority', 'weighted', 'staple', 'joint'])
    print(f'{cpu_seconds() - began:.0f} CPU s', flush=True)
    rows = list(csv.DictReader((folder / 'loo' / 'leave_one_out.csv').read_text(encoding='utf-8').splitlines()))
    for fusion in dict.fromkeys(row['fusion'] for row in rows) if values else ():
        counted = [float(row['dice']) for row in rows if row['fusion'] == fusion and int(row['label']) in values]
        print(f'{fusion:10} mean of {len(values)} labels: {np.mean(counted):.4f}', flush=True)


def _data(args: argparse.Namespace) -> SimulatedBrainDataset:
    from mmreg.datasets import SimulatedBrainDataset

    return SimulatedBrainDataset(
        resolution=args.resolution, count=args.subjects, subject_seed=args.seed, true_fields=True
    )


def make_subjects(folder: Path, data: SimulatedBrainDataset) -> tuple[list[Path], list[Path], Path, Path]:
    """Write the subjects, their labels, the template that they were made from, and that in the mean of their shapes."""
    from scipy.ndimage import map_coordinates

    from mmreg.io import Geometry, Volume, write_volume
    from mmreg.populations.fields import inverted

    images, labels, fields = [], [], []
    template = data.template()
    truth = template.image[0].numpy()
    geometry = Geometry(tuple(truth.shape), template.affine)
    write_volume(folder / 'truth.nii.gz', Volume(truth, geometry))
    for number in range(data.count):
        subject = data.load_source({'id': str(number), 'number': number})
        images.append(folder / f'subject{number}.nii.gz')
        labels.append(folder / f'labels{number}.nii.gz')
        write_volume(images[-1], Volume(subject['image'][0], geometry))
        write_volume(labels[-1], Volume(subject['labels'][0].astype(np.int32), geometry))
        fields.append(np.asarray(subject['inverse']))
    places = np.indices(truth.shape) + inverted(np.mean(fields, axis=0))
    moved = map_coordinates(truth, places, order=3, mode='nearest').astype(np.float32)
    write_volume(folder / 'mean.nii.gz', Volume(moved, geometry))
    return images, labels, folder / 'truth.nii.gz', folder / 'mean.nii.gz'


def by_true_fields(template: Path, truth: Path, data: SimulatedBrainDataset) -> None:
    """Print where the template lies by the maps to its scans and the true maps of these to the generating shape."""
    from scipy.ndimage import map_coordinates

    from mmreg.evaluation.functional.similarity import foreground
    from mmreg.io import read_image
    from mmreg.transforms.files import load_transform

    image, grid = read_image(template / 'template.nii.gz'), read_image(truth).geometry
    points = image.geometry.voxel_to_world(np.argwhere(foreground(image.array)))
    shown = np.argwhere(foreground(read_image(truth).array))
    found, fields = [], []
    for number in range(data.count):
        forward = np.asarray(data.load_source({'id': str(number), 'number': number})['forward'])
        scan = load_transform(template / 'transforms' / f'subject{number}' / 'transform.h5').transform_points(points)
        voxels = grid.world_to_voxel(scan)
        there = [map_coordinates(axis, voxels.T, order=1, mode='nearest') for axis in forward]
        found.append(grid.voxel_to_world(voxels + np.stack(there, 1)))
        fields.append((grid.matrix @ forward[(slice(None), *shown.T)]).T)
    mean = np.mean(found, axis=0)
    ideal = length(beyond_affine(grid.voxel_to_world(shown), np.mean(fields, axis=0)))
    off = np.mean([length(one - mean) for one in found])
    own = length(beyond_affine(points, mean - points))
    print(f'by the true fields: the mean shape is {ideal:.2f} mm from the generating one, the template {own:.2f}')
    print(f'one scan is off by {off:.2f} mm', flush=True)


def beyond_affine(points: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """``(P, ndim)``: what no affine of ``points`` explains."""
    ones = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    return vectors - ones @ np.linalg.lstsq(ones, vectors, rcond=None)[0]


def length(vectors: np.ndarray) -> float:
    """Mean length of ``(P, ndim)``."""
    return float(np.linalg.norm(vectors, axis=1).mean())


def series(folder: Path, truth: Path, count: int) -> None:
    """Frames that turn and shift by known amounts; prints how well `mmreg series` finds them."""
    from mmreg.io import Volume, affine_transform, read_image, resample_to, write_volume
    from mmreg.transforms.files import load_transform

    image, generator = read_image(truth), np.random.default_rng(0)
    front = np.argwhere(image.array > image.array.mean())[::7]
    points, noise = image.geometry.voxel_to_world(front), 0.03 * float(image.array.max())
    files, maps = [], []
    for number in range(count):
        matrix = rigid(generator.uniform(-5, 5, 3) * (number > 0), generator.uniform(-4, 4, 3) * (number > 0))
        frame = resample_to(image, image.geometry, transform=affine_transform(np.linalg.inv(matrix)))
        noisy = frame.array + generator.normal(0, noise, frame.array.shape)
        files.append(folder / 'series' / f'frame{number}.nii.gz')
        write_volume(files[-1], Volume(np.maximum(noisy, 0).astype(np.float32), image.geometry))
        maps.append(affine_transform(matrix))
    began = cpu_seconds()
    call(['series', *map(str, files), '-o', str(folder / 'motion'), '--reference', '1'])
    found = [load_transform(folder / 'motion' / 'transforms' / f'frame{number}.h5') for number in range(1, count)]
    true = [one.transform_points(points) for one in maps[1:]]
    wrong = [np.linalg.norm(one.transform_points(points) - there, axis=1).mean() for one, there in zip(found, true)]
    moved = [np.linalg.norm(points - there, axis=1).mean() for there in true]
    told = f'found to within {np.mean(wrong):.3f} mm on average, {np.max(wrong):.3f} at most'
    seconds = cpu_seconds() - began
    print(f'series of {count} frames: moved {np.mean(moved):.2f} mm, {told}, {seconds:.0f} CPU s', flush=True)


def rigid(degrees: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """``(4, 4)``: turned about the axes x, y, z, then shifted, mm."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler('xyz', degrees, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def draw(out: Path, folder: Path, images: list[Path], labels: list[Path], truth: Path, nearest: Path) -> None:
    """The pictures of the documentation."""
    from mmreg.io import Volume, read_image, read_labels
    from mmreg.populations.pictures import curves_png, labels_png, slices_png

    out.mkdir(parents=True, exist_ok=True)
    template = {f'subject {n}': read_image(path) for n, path in enumerate(images[:3])}
    template |= {'nearest': read_image(nearest), 'template': read_image(folder / 'template' / 'template.nii.gz')}
    (out / 'template.png').write_bytes(slices_png({**template, 'generating shape': read_image(truth)}))
    first = folder / 'loo' / images[0].name.split('.')[0]
    maps = {'true': labels[0], 'majority': first / 'labels.nii.gz', 'joint': first / 'labels_joint.nii.gz'}
    whole = {name: read_labels(path) for name, path in maps.items()}
    (out / 'propagate.png').write_bytes(labels_png(
        {name: Volume(one.array.astype(np.int32), one.geometry) for name, one in whole.items()}
    ))  # fmt: skip
    rows = list(csv.DictReader((folder / 'motion' / 'motion.csv').read_text(encoding='utf-8').splitlines()))
    curves = {f'rotation {axis}': [float(row[f'rotation_{axis}_deg']) for row in rows] for axis in 'xyz'}
    (out / 'series.png').write_bytes(curves_png(curves, 'frame', 'degrees'))


def shape_distance(path: Path, truth: Path) -> tuple[float, float]:
    """Mean length of the displacement beyond the best affine, mm, and correlation after that affine."""
    from mmreg.apis import register
    from mmreg.evaluation.functional.similarity import foreground
    from mmreg.io import affine_transform, read_image, resample_to

    result = register(str(truth), str(path), preset='brain_t1', affine='affine')
    front = foreground(read_image(truth).array)
    grid = result.geometry
    points = grid.voxel_to_world(np.argwhere(front))
    moved = points + (grid.matrix @ result.displacement[:, front]).T
    matrix = np.eye(grid.ndim + 1) if result.affine is None else result.affine
    there = resample_to(read_image(path), grid, 'spline', transform=affine_transform(matrix)).array
    correlation = np.corrcoef(there[front], read_image(truth).array[front])[0, 1]
    return length(beyond_affine(points, moved)), float(correlation)


def mean_distance(path: Path, others: Sequence[Path]) -> float:
    """Mean over some scans of their distance of shape, mm."""
    return float(np.mean([shape_distance(other, path)[0] for other in others]))


def sharpness(path: Path) -> float:
    """Mean length of the gradient over the mean intensity, in what an image shows, 1/mm."""
    from mmreg.evaluation.functional.similarity import foreground
    from mmreg.io import read_image

    volume = read_image(path)
    front = foreground(volume.array)
    slopes = np.gradient(volume.array, *volume.geometry.spacing)
    return float(np.sqrt(np.square(slopes).sum(0))[front].mean() / volume.array[front].mean())


def call(words: list[str]) -> None:
    """A command of mmreg, in a process of its own."""
    subprocess.run([sys.executable, '-m', 'mmreg.cli', *words], check=True)


def cpu_seconds() -> float:
    """Of this process and all that it waited for."""
    return sum(os.times()[:4])


if __name__ == '__main__':
    start = time.time()
    main()
    print(f'{time.time() - start:.0f} s')
