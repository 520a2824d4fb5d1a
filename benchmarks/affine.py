"""Affine registration of mmreg against SimpleITK's registration framework: error and time, same pairs, same run.

Each moving image is the fixed brain, or another person's, moved by a known map onto another grid (other size, spacing
and orientation). Both programs start from what they make of it themselves: mmreg with its automatic search, SimpleITK
from its centred initialiser (moments), with Mattes' mutual information, three levels and gradient descent. The error is
the mean distance in mm at brain voxels between the found and the true map; for two persons the true map is taken to be
that of the same program on the images where they were (so this column measures repeatability, not anatomy).

    python benchmarks/affine.py ../shared/data [--resolution 2mm] [--threads 1]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from scipy.spatial.transform import Rotation

from mmreg.io import Geometry, Transform, Volume, affine_transform, read_volume, resample_to
from mmreg.registration.affine import register_affine

Program = Callable[[Volume, Volume, str], np.ndarray]
#: Name, Euler angles in degrees, shift in mm, scales, spacing and orientation of the moving grid, transform.
CASES = (
    ('where it is', (0, 0, 0), (0, 0, 0), (1, 1, 1), (2, 2, 2), 'LIA', 'rigid'),
    ('8 degrees, 10 mm', (5, -5, 4), (8, -4, 5), (1, 1, 1), (1.7, 2.2, 2.9), 'RAS', 'rigid'),
    ('affine', (6, -5, 4), (8, -4, 5), (1.1, 0.92, 1.05), (2, 2, 2), 'LPS', 'affine'),
    ('30 degrees, 40 mm', (20, -15, 18), (24, -20, 25), (1, 1, 1), (2, 2, 3), 'PIR', 'rigid'),
    ('0.9 x 0.9 x 3 mm', (5, 8, 12), (10, 10, 10), (1, 1, 1), (0.9, 0.9, 3), 'RAS', 'rigid'),
    ('upside down', (0, 0, 180), (10, 0, 0), (1, 1, 1), (2, 2, 2), 'RAS', 'rigid'),
)


def ours(fixed: Volume, moving: Volume, transform: str) -> np.ndarray:
    return register_affine(fixed, moving, transform=transform, similarity='mi').matrix


def theirs(fixed: Volume, moving: Volume, transform: str) -> np.ndarray:
    images = fixed.to_sitk(), moving.to_sitk()
    kind = sitk.AffineTransform(3) if transform == 'affine' else sitk.Euler3DTransform()
    moments = sitk.CenteredTransformInitializerFilter.MOMENTS
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentagePerLevel([0.5, 0.2, 0.05], seed=1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4, 2, 0])
    method.SetInitialTransform(sitk.CenteredTransformInitializer(*images, kind, moments))
    found = Transform(method.Execute(*images)).affine
    assert found is not None
    return found


def moved(volume: Volume, matrix: np.ndarray, spacing: tuple[float, ...], codes: str) -> Volume:
    """The volume after ``matrix``, on a grid of its own around the new place."""
    source = volume.geometry
    shape = (np.asarray(source.shape) * source.spacing * 1.25 / spacing).astype(int)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (matrix @ [*source.centre, 1])[:3] + 3 - affine[:3, :3] @ ((shape - 1) / 2)
    grid = Geometry(tuple(shape.tolist()), affine).reoriented(codes)
    return resample_to(volume, grid, transform=affine_transform(np.linalg.inv(matrix)))


def known(angles: tuple, shift: tuple, scale: tuple) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler('xyz', angles, degrees=True).as_matrix() @ np.diag(scale)
    matrix[:3, 3] = shift
    return matrix


def distance(first: np.ndarray, second: np.ndarray, points: np.ndarray) -> float:
    change = first - second
    return float(np.linalg.norm(points @ change[:3, :3].T + change[:3, 3], axis=1).mean())


def timed(program: Program, *pair: Volume, transform: str) -> tuple[np.ndarray, float]:
    begin = time.perf_counter()
    matrix = program(*pair, transform)
    return matrix, time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('data', type=Path, help='folder that holds brain_t1_pair/')
    parser.add_argument('--resolution', default='2mm', choices=('1mm', '2mm'))
    parser.add_argument('--threads', type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(options.threads)
    folder = options.data / 'brain_t1_pair'
    fixed, other = (read_volume(folder / f'subj{n}_t1_{options.resolution}.nii.gz') for n in ('01', '02'))
    points = fixed.geometry.voxel_to_world(np.argwhere(fixed.array > 20)[::97])
    programs: dict[str, Program] = {'mmreg': ours, 'SimpleITK': theirs}
    ours(fixed, other, 'rigid')
    print(f'{"":20}' + ''.join(f'{p + " " + what:>20}' for what in ('same', 'other', 's') for p in programs))
    for name, angles, shift, scale, spacing, codes, transform in CASES:
        true = known(angles, shift, scale)
        pairs = [moved(image, true, spacing, codes) for image in (fixed, other)]
        row: dict[str, list[float]] = {'same': [], 'other': [], 's': []}
        for program in programs.values():
            same, seconds = timed(program, fixed, pairs[0], transform=transform)
            start, _ = timed(program, fixed, other, transform=transform)
            found, _ = timed(program, fixed, pairs[1], transform=transform)
            row['same'].append(distance(same, true, points))
            row['other'].append(distance(found, true @ start, points))
            row['s'].append(seconds)
        print(f'{name:20}' + ''.join(f'{value:20.3f}' for column in row.values() for value in column), flush=True)


if __name__ == '__main__':
    main()
