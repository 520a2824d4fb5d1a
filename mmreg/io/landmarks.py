"""Landmark files, and points that follow a registration.

Images are pulled: the displacement lives on the fixed grid and says where to look in the moving image. Points given in
the fixed space therefore move *with* it (:func:`fixed_to_moving`); points of the moving image need the inverse
(:func:`moving_to_fixed`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmreg.errors import DataError

from .atomic import write_text
from .checks import check_points
from .csv_text import as_cell
from .files import regular_file, warn
from .geometry import Geometry, lps_flip
from .landmark_files import FRAMES, parse_landmarks
from .transforms import affine_transform, compose, displacement_transform


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Points and their names.

    Args:
        points: (P, ndim), RAS mm where ``frame`` is 'ras', indices of a grid where it is 'voxel'.
        frame: 'ras' or 'voxel'.
        names: one per point, or empty.
    """

    points: np.ndarray
    frame: str
    names: tuple[str, ...] = ()

    def in_voxels(self, geometry: Geometry) -> np.ndarray:
        """Return (P, ndim) float64 voxel indices of ``geometry``."""
        _check_dimension(self.points, geometry)
        return self.points if self.frame == 'voxel' else geometry.world_to_voxel(self.points)

    def in_world(self, geometry: Geometry) -> np.ndarray:
        """Return (P, ndim) RAS mm; ``geometry`` is the grid of voxel points."""
        _check_dimension(self.points, geometry)
        return self.points if self.frame == 'ras' else geometry.voxel_to_world(self.points)


def _check_dimension(points: np.ndarray, geometry: Geometry) -> None:
    check_points(points, geometry.ndim)


def read_landmarks(path: str | Path, frame: str | None = None) -> Landmarks:
    """Read landmarks from a table (voxel or mm), 3D Slicer (.fcsv, .mrk.json), FreeSurfer, elastix or DIR-Lab.

    Args:
        path: a CSV without header holds voxel indices, as in Learn2Reg; a header ``i,j[,k]`` says the same, ``x,y[,z]``
            and ``r,a,s`` mean RAS millimetres, ``l,p,s`` LPS. Columns may be separated by semicolons or tabs. Other
            columns but ``name`` or ``label`` (and Slicer's ``defined``) are ignored. The other kinds of files name
            their frame. Points that were never placed are left out.
        frame: 'voxel' (from 0), 'dirlab' (voxels from 1), 'ras' or 'lps' of numbers whose file does not name it.

    Returns:
        Points in voxels or RAS mm (LPS files are converted).

    Raises:
        DataError: missing or empty file, wrong columns, entries that are not finite numbers.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_landmarks_world(f'{folder}/points.csv', np.array([[1.0, 2.0, 3.0]]))
        ...     read_landmarks(f'{folder}/points.csv').points.tolist()
        [[1.0, 2.0, 3.0]]
    """
    if frame is not None and frame not in FRAMES:
        raise DataError(f"{path}: frame '{frame}' was given, expected one of {', '.join(FRAMES)}")
    path = regular_file(path, 'landmarks')
    found = parse_landmarks(path, frame)
    array = check_points(found.rows, name=str(path))
    frame = found.frame
    if frame == 'lps':
        array, frame = array * _flip(array), 'ras'
    elif frame == 'dirlab':
        array, frame = array - 1, 'voxel'
    return Landmarks(array, frame, tuple(found.names))


def write_landmarks_voxel(path: str | Path, points: np.ndarray) -> None:
    """Write (P, ndim) voxel indices as Learn2Reg CSV: no header, one point per row, atomically.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_landmarks_voxel(f'{folder}/points.csv', np.array([[1.0, 2.0, 3.0]]))
        ...     read_landmarks(f'{folder}/points.csv').frame
        'voxel'
    """
    rows = check_points(points, name=str(path)).tolist()
    write_text(path, ''.join(','.join(repr(v) for v in row) + '\n' for row in rows))


def write_landmarks_world(
    path: str | Path, points: np.ndarray, *, frame: str = 'ras', names: Sequence[str] = ()
) -> None:
    """Write (P, ndim) RAS mm points as CSV with the header ``x,y[,z]``, atomically.

    Args:
        path: CSV file; ANTs' point tools read the LPS form.
        points: RAS mm.
        frame: 'ras', or 'lps' to convert on writing.
        names: one per point for a last column ``name``, or none.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_landmarks_world(f'{folder}/points.csv', np.array([[1.0, 2.0, 3.0]]), names=['tip'])
        ...     read_landmarks(f'{folder}/points.csv').names
        ('tip',)
    """
    if frame not in ('ras', 'lps'):
        raise DataError(f"{path}: frame '{frame}' was given, expected ras or lps")
    array = check_points(points, name=str(path))
    if names and len(names) != len(array):
        raise DataError(f'{path}: {len(names)} names were given for {len(array)} landmarks, expected one each')
    array = array * _flip(array) + 0.0 if frame == 'lps' else array
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow([*'xyz'[: array.shape[1]], *(['name'] if names else [])])
    for number, row in enumerate(array.tolist()):
        writer.writerow([*map(repr, row), *([as_cell(names[number])] if names else [])])
    write_text(path, text.getvalue())


def fixed_to_moving(
    points: np.ndarray, displacement: np.ndarray, fixed_geometry: Geometry, affine: np.ndarray | None = None
) -> np.ndarray:
    """Find where fixed points lie in the moving image.

    Args:
        points: (P, ndim) RAS mm in the fixed space.
        displacement: (ndim, *S) voxels of the fixed grid.
        fixed_geometry: grid of shape S.
        affine: fixed world -> moving world, applied after the displacement.

    Returns:
        (P, ndim) RAS mm in the moving space.

    Example:
        >>> grid = Geometry.from_parts((4, 3), (2.0, 1.0))
        >>> fixed_to_moving(np.array([[2.0, 1.0]]), np.ones((2, 4, 3), np.float32), grid).tolist()
        [[4.0, 2.0]]
    """
    return displacement_transform(displacement, fixed_geometry, affine).transform_points(points)


def moving_to_fixed(
    points: np.ndarray, inverse_displacement: np.ndarray, fixed_geometry: Geometry, affine: np.ndarray | None = None
) -> np.ndarray:
    """Find where moving points lie in the fixed image: the inverse of ``affine`` first, then the inverse displacement.

    Args:
        points: (P, ndim) RAS mm in the moving space.
        inverse_displacement: (ndim, *S) voxels of the fixed grid, undoing the displacement.
        fixed_geometry: grid of shape S.
        affine: fixed world -> moving world, as in :func:`fixed_to_moving`.

    Returns:
        (P, ndim) RAS mm in the fixed space.

    Example:
        >>> grid = Geometry.from_parts((4, 3), (2.0, 1.0))
        >>> moving_to_fixed(np.array([[4.0, 2.0]]), -np.ones((2, 4, 3), np.float32), grid).tolist()
        [[2.0, 1.0]]
    """
    backward = displacement_transform(inverse_displacement, fixed_geometry)
    if affine is not None:
        backward = compose(affine_transform(affine).inverse(), backward)
    return backward.transform_points(points)


def _flip(points: np.ndarray) -> np.ndarray:
    ndim = points.shape[1]
    return np.diag(lps_flip(ndim))[:ndim]


def paired(fixed: Landmarks, moving: Landmarks, names: tuple[str, str]) -> tuple[Landmarks, Landmarks]:
    """Bring the points of two lists together: by name where both have names of their own, else by row.

    Points whose name only one list has are left out, and it is said how many pairs remain.

    Args:
        fixed: points of the fixed image.
        moving: of the moving image.
        names: of the two lists, for errors.

    Raises:
        DataError: no names in common, and lists of different length.
    """
    both = [name for name in fixed.names if name in set(moving.names)]
    unique = all(x.names and '' not in x.names and len(set(x.names)) == len(x.names) for x in (fixed, moving))
    if not unique or not both:
        if len(fixed.points) != len(moving.points):
            raise DataError(
                f'{names[0]} has {len(fixed.points)} points and {names[1]} {len(moving.points)}, expected pairs, or '
                'names that both have'
            )
        return fixed, moving
    if fixed.names == moving.names:
        return fixed, moving
    lost = len(fixed.names) + len(moving.names) - 2 * len(both)
    told = f', {lost} without a partner are left out' if lost else ''
    warn(f'{names[0]} and {names[1]}: {len(both)} pairs of landmarks were found by their names{told}')
    first, second = ([x.names.index(name) for name in both] for x in (fixed, moving))
    return (
        Landmarks(fixed.points[first], fixed.frame, tuple(both)),
        Landmarks(moving.points[second], moving.frame, tuple(both)),
    )
