"""One round of a template: what the registrations of all scans say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mmreg.errors import DataError
from mmreg.io import (
    Geometry,
    Transform,
    Volume,
    affine_transform,
    displacement_transform,
    read_displacement_image,
    read_transform,
)
from mmreg.populations.affine_means import common_grid
from mmreg.populations.averages import ImageAverage, intensity_scale
from mmreg.populations.fields import RunningField, composed, mirrored
from mmreg.populations.sampling import sampled_on
from mmreg.populations.scans import Scan


@dataclass(frozen=True)
class Placed:
    """A scan and the map from the template to it.

    Attributes:
        scan: The scan.
        affine: ``(ndim+1, ndim+1)`` template world -> scan world, RAS mm.
        displacement: Reads what precedes the affine, ``(ndim, *S)`` voxels of ``grid``; None: nothing does.
        grid: Its grid.
        inverse: Reads what a network itself says of the way back, the same; None: it says nothing.
    """

    scan: Scan
    affine: np.ndarray
    displacement: Callable[[], np.ndarray] | None = None
    grid: Geometry | None = None
    inverse: Callable[[], np.ndarray] | None = None

    def transform(self) -> Transform:
        """Template world -> scan world."""
        if self.displacement is None or self.grid is None:
            return affine_transform(self.affine)
        return displacement_transform(self.displacement(), self.grid, self.affine)


def read_matrix(folder: Path, ndim: int) -> np.ndarray:
    """The affine of a folder of results, the identity where it has none."""
    path = folder / 'affine.tfm'
    if not path.is_file():
        return np.eye(ndim + 1)
    matrix = read_transform(path).affine
    assert matrix is not None
    return matrix


def read_field(folder: Path) -> np.ndarray:
    """The displacement of a folder of results."""
    return read_displacement_image(folder / 'displacement.nii.gz')[0]


def mean_shape(placed: Sequence[tuple[Path, float]], symmetric: bool) -> np.ndarray:
    """The mean displacement of a round: from the template to the mean of the scans' shapes.

    Args:
        placed: Folder of each scan's result, and its weight.
        symmetric: Average it with its mirror image.

    Returns:
        ``(ndim, *S)`` voxels.
    """
    running = RunningField()
    for folder, weight in placed:
        running.add(read_field(folder), weight)
    mean = running.mean()
    return (mean + mirrored(mean)) / 2 if symmetric else mean


@dataclass(frozen=True)
class MeanShape:
    """The mean displacement of a round and its inverse, ``(ndim, *S)`` voxels."""

    mean: np.ndarray
    back: np.ndarray

    def placed(self, scan: Scan, affine: np.ndarray, folder: Path, grid: Geometry) -> Placed:
        """A scan as seen from the mean shape, from the folder of its result."""
        own = folder / 'inverse_displacement.nii.gz'  # there where the network has one itself

        def inverse() -> np.ndarray:
            return composed(self.mean, read_displacement_image(own)[0])

        forward = partial(_recentred, folder, self.back)
        return Placed(scan, affine, forward, grid, inverse if own.is_file() else None)


def _recentred(folder: Path, back: np.ndarray) -> np.ndarray:
    return composed(read_field(folder), back)


def average(
    placed: Sequence[Placed], grid: Geometry, kind: str, symmetric: bool, folder: Path
) -> tuple[Volume, dict[str, float]]:
    """The average of scans on a grid, in the middle of their intensities.

    Args:
        placed: The scans and where they are.
        grid: Of the average.
        kind: ``'mean'`` or ``'median'``.
        symmetric: Average it with its mirror image.
        folder: For what a median keeps on disk meanwhile.

    Returns:
        The average, and of each scan how much of the grid it covers, percent.
    """
    scales, coverage = [], {}
    with ImageAverage(kind, folder) as mean:
        for one in placed:
            volume = one.scan.read()
            if volume.array.ndim > volume.ndim:
                raise DataError(f'{one.scan.image}: found several channels, expected an image with one value per voxel')
            scale = intensity_scale(volume.array)
            transform = one.transform()
            sampled, covered = sampled_on(volume, grid, transform, 'spline')
            mean.add(sampled / scale, covered, one.scan.weight)
            scales.append(scale)
            coverage[one.scan.scan_id] = 100 * float(covered.mean())
        found = mean.result()
    if symmetric:
        found = (found + found[::-1]) / 2
    return Volume((found * np.mean(scales)).astype(np.float32), grid), coverage


def grid_of(placed: Sequence[Placed], spacing: float | None, symmetric: bool = False) -> Geometry:
    """The common grid after an affine round."""
    return common_grid([one.scan.geometry for one in placed], [one.affine for one in placed], spacing, symmetric)


def lengths_mm(displacement: np.ndarray, grid: Geometry, where: np.ndarray) -> float:
    """Root of the mean squared length of a displacement, mm, where it counts."""
    vectors = displacement[:, where] if where.any() else displacement.reshape(len(displacement), -1)
    return float(np.sqrt(np.square(grid.matrix @ vectors).sum(0).mean()))
