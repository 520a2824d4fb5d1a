"""What a transform of another program is relative to, and how its numbers become points in RAS millimetres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io.displacement import displacement_to_sitk
from mmreg.io.files import warn
from mmreg.io.geometry import Geometry, lps_flip
from mmreg.io.transforms import Transform, affine_transform


@dataclass(frozen=True)
class Spaces:
    """Grids of the two images, for programs that count in their voxels.

    Attributes:
        fixed: grid of the image that stays (FSL's reference); None where it is not known.
        moving: grid of the image that is moved (FSL's input).
    """

    fixed: Geometry | None = None
    moving: Geometry | None = None

    def both(self, path: Path, program: str) -> tuple[Geometry, Geometry]:
        """The two grids.

        Raises:
            DataError: one of them is not known.
        """
        if self.fixed is None or self.moving is None:
            lacking = ' and '.join(
                option for option, grid in (('--reference FIXED', self.fixed), ('--moving MOVING', self.moving))
                if grid is None
            )  # fmt: skip
            raise DataError(
                f'{path}: found a transform of {program}, which counts in voxels of both images, expected them as well '
                f'({lacking})'
            )
        return self.fixed, self.moving


def from_lps(matrix: np.ndarray) -> np.ndarray:
    """A (4, 4) map of LPS points as one of RAS points, or the other way round."""
    flip = lps_flip(len(matrix) - 1)
    return flip @ matrix @ flip


def matrix_transform(matrix: np.ndarray, path: Path) -> Transform:
    """An affine, fixed RAS mm -> moving RAS mm, with the path in its errors."""
    try:
        return affine_transform(matrix)
    except DataError as error:
        raise DataError(f'{path}: {error}') from error


def field_transform(positions: np.ndarray, grid: Geometry, path: Path) -> Transform:
    """The map that takes each voxel of a grid to a position.

    Args:
        positions: (*S, ndim) RAS mm; those that are not finite take the displacement of the nearest that is.
        grid: of shape S.
        path: of the file, for errors.

    Raises:
        DataError: no position is finite.
    """
    voxels = np.moveaxis(grid.world_to_voxel(positions), -1, 0)
    own = np.stack(np.meshgrid(*[np.arange(n, dtype=np.float64) for n in grid.shape], indexing='ij'))
    displacement = filled(voxels - own, path)
    return Transform(sitk.DisplacementFieldTransform(displacement_to_sitk(displacement, grid, dtype=np.float64)))


def filled(displacement: np.ndarray, path: Path) -> np.ndarray:
    """(ndim, *S) with the nearest finite vector where there is none."""
    bad = ~np.isfinite(displacement).all(axis=0)
    if not bad.any():
        return displacement
    if bad.all():
        raise DataError(f'{path}: found no finite vector in the field, expected a deformation')
    from scipy.ndimage import distance_transform_edt

    warn(f'{path}: {int(bad.sum())} of {bad.size} vectors are not finite; each took the nearest one that is')
    nearest = distance_transform_edt(bad, return_distances=False, return_indices=True)
    where: tuple[Any, ...] = (slice(None), *nearest)
    return displacement[where]


#: Reads one file: (path, spaces) -> fixed RAS mm to moving RAS mm.
Reader = Callable[[Path, Spaces], Transform]
#: Writes one file: (path, transform, spaces).
Writer = Callable[[Path, Transform, Spaces], None]
