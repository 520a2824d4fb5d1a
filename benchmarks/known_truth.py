"""Pairs with a known truth from any scan: itself, warped by a known smooth field, against itself, cut or damaged.

    python benchmarks/known_truth.py SCAN.nii.gz OUT [--mean 4] [--sigma 14] [--seed 3] [--only NAME ...]

Writes ``OUT/<scan>_<case>/`` as ``benchmarks/any_pair.py`` reads it: ``fixed.nii.gz`` (the scan warped),
``moving.nii.gz`` (the scan, cut or damaged), ``truth.npy`` (``(*S, 3)``, RAS mm, fixed point -> moving point) and
``mask.nii.gz`` (tissue whose partner both images show).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from mmreg.io import Geometry, Volume, read_volume, split_suffix, write_volume

#: Case -> (part of the fixed image, part of the moving image) along the first axis from foot to head, 0 to 1.
VIEWS = {
    'clean': ((0, 1), (0, 1)),
    'moving_half': ((0, 1), (0.5, 1)),
    'moving_slab': ((0, 1), (0.45, 0.65)),
    'fixed_slab': ((0.45, 0.65), (0, 1)),
    'large': ((0, 1), (0, 1)),
}


def damages(array: np.ndarray, axis: int, seed: int) -> dict[str, Callable[[], np.ndarray]]:
    """Name -> the damaged moving image."""
    draw = np.random.default_rng(seed)
    low, high = np.percentile(array, (1, 99))

    def bias() -> np.ndarray:
        field = ndimage.gaussian_filter(draw.normal(size=array.shape), 18)
        return (array - low) * np.exp(1.4 * field / np.abs(field).max())

    def lost_slices() -> np.ndarray:
        damaged = np.moveaxis(array.copy(), axis, 0)
        damaged[np.arange(len(damaged)) % max(8, len(damaged) // 5) < 2] = low
        return np.moveaxis(damaged, 0, axis)

    def hole() -> np.ndarray:
        grid = np.indices(array.shape) - np.reshape([0.4 * n for n in array.shape], (-1, *[1] * array.ndim))
        return np.where((grid**2).sum(0) < (0.1 * max(array.shape)) ** 2, low, array)

    tissue = array > low + 0.12 * (high - low)
    return {
        'bias': bias,
        'noise': lambda: array + draw.normal(0, 0.1 * (high - low), array.shape),
        'lost_slices': lost_slices,
        'resection': hole,
        'inverted': lambda: np.where(tissue, 1.05 * high - array, array),
    }


def smooth_field(shape: tuple[int, ...], spacing: float, sigma: float, mean: float, seed: int) -> np.ndarray:
    """``(3, *shape)`` voxels of mean length ``mean`` mm, smooth over ``sigma`` mm."""
    draw = np.random.default_rng(seed)
    field = np.stack([ndimage.gaussian_filter(draw.normal(size=shape), sigma / spacing) for _ in shape])
    return field * (mean / spacing / np.linalg.norm(field, axis=0).mean())


def part_of(array: np.ndarray, grid: Geometry, axis: int, share: tuple[float, float]) -> tuple[Volume, slice]:
    """The part of a volume between two shares of an axis."""
    kept = slice(*(round(s * array.shape[axis]) for s in share))
    affine = grid.affine.copy()
    affine[:-1, -1] += affine[:-1, axis] * kept.start
    cut = np.ascontiguousarray(array[(slice(None),) * axis + (kept,)])
    return Volume(cut, Geometry(cut.shape[:3], affine)), kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('scan', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--mean', type=float, default=4.0, help='mean length of the field, mm')
    parser.add_argument('--sigma', type=float, default=14.0, help='over which it is smooth, mm')
    parser.add_argument('--seed', type=int, default=3)
    parser.add_argument('--only', nargs='+', metavar='NAME')
    args = parser.parse_args()
    volume = read_volume(str(args.scan))
    array, grid = volume.array.astype(np.float32), volume.geometry
    axis = next(i for i, code in enumerate(grid.codes) if code in 'SI')
    made = {**damages(array, axis, args.seed), **dict.fromkeys(VIEWS, array.copy)}
    for name in args.only or made:
        field = smooth_field(
            grid.shape, float(np.mean(grid.spacing)), args.sigma, args.mean * (2.5 if name == 'large' else 1), args.seed
        )
        write_pair(args.out / f'{split_suffix(args.scan)[0]}_{name}', made[name](), array, grid, field, axis, name)
        print(name)


def write_pair(
    folder: Path, moving: np.ndarray, array: np.ndarray, grid: Geometry, field: np.ndarray, axis: int, name: str
) -> None:
    """One pair and its truth."""
    folder.mkdir(parents=True, exist_ok=True)
    low, high = np.percentile(array, (1, 99))
    at = np.indices(grid.shape) + field
    fixed = ndimage.map_coordinates(array, at, order=1, mode='nearest')
    shown, partner = VIEWS.get(name, VIEWS['clean'])
    (first, kept), (second, there) = part_of(fixed, grid, axis, shown), part_of(moving, grid, axis, partner)
    tissue = ndimage.binary_fill_holes(ndimage.binary_opening(fixed > low + 0.15 * (high - low)))
    both = tissue & (at[axis] >= there.start) & (at[axis] <= there.stop - 1)
    draw = np.random.default_rng(5)
    for role, image in (('fixed', first), ('moving', second)):
        noisy = image.array + draw.normal(0, 0.01 * (high - low), image.array.shape)
        write_volume(folder / f'{role}.nii.gz', Volume(noisy.astype(np.float32), image.geometry))
    own = (slice(None),) * axis + (kept,)
    write_volume(folder / 'mask.nii.gz', Volume(both[own].astype(np.uint8), first.geometry))
    truth = np.moveaxis(field, 0, -1)[own] @ grid.matrix.T
    np.save(folder / 'truth.npy', truth.astype(np.float32))


if __name__ == '__main__':
    main()
