"""Landmark files, and points that follow a registration.

Images are pulled: the displacement lives on the fixed grid and says where to look in the moving image. Points given in
the fixed space therefore move *with* it (:func:`fixed_to_moving`); points of the moving image need the inverse
(:func:`moving_to_fixed`).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import DataError

from .atomic import write_text
from .checks import check_points
from .geometry import Geometry, lps_flip
from .transforms import affine_transform, compose, displacement_transform

FRAMES = ('voxel', 'ras', 'lps')


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
    """Read landmarks from CSV (voxel or mm) or a 3D Slicer markup (.fcsv, .mrk.json).

    Args:
        path: a CSV without header holds voxel indices, as in Learn2Reg; a header ``i,j[,k]`` says the same, a header
            with ``x,y[,z]`` means millimetres. Other columns but ``name`` are ignored. Slicer files name their frame.
        frame: 'voxel', 'ras' or 'lps' of a CSV's numbers; by default 'voxel' without header or with ``i,j,k``, 'ras'
            with ``x,y,z``.

    Returns:
        Points in voxels or RAS mm (LPS files are converted).

    Raises:
        DataError: missing or empty file, wrong columns, entries that are not finite numbers.
    """
    path = Path(path)
    if frame is not None and frame not in FRAMES:
        raise DataError(f"{path}: frame '{frame}' was given, expected one of {', '.join(FRAMES)}")
    try:
        text = path.read_text(encoding='utf-8-sig')
    except FileNotFoundError as error:
        raise DataError(f'{path}: found no such file, expected landmarks') from error
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f'{path}: found something that is not text, expected landmarks') from error
    if path.name.lower().endswith('.json'):
        points, found, names = _parse_markup(text, path)
    elif path.suffix.lower() == '.fcsv':
        points, found, names = _parse_fcsv(text, path)
    else:
        points, found, names = _parse_csv(text, path, frame)
    array = check_points(points, name=str(path))
    if found == 'lps':
        array, found = array * _flip(array), 'ras'
    return Landmarks(array, found, tuple(names))


def write_landmarks_voxel(path: str | Path, points: np.ndarray) -> None:
    """Write (P, ndim) voxel indices as Learn2Reg CSV: no header, one point per row, atomically."""
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
    """
    if frame not in ('ras', 'lps'):
        raise DataError(f"{path}: frame '{frame}' was given, expected ras or lps")
    array = check_points(points, name=str(path))
    if names and len(names) != len(array):
        raise DataError(f'{path}: {len(names)} names were given for {len(array)} landmarks, expected one each')
    array = array * _flip(array) + 0.0 if frame == 'lps' else array
    header = ','.join('xyz'[: array.shape[1]]) + (',name' if names else '')
    rows = [','.join(repr(v) for v in row) for row in array.tolist()]
    if names:
        rows = [f'{row},{name}' for row, name in zip(rows, names)]
    write_text(path, '\n'.join([header, *rows]) + '\n')


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
    """
    backward = displacement_transform(inverse_displacement, fixed_geometry)
    if affine is not None:
        backward = compose(affine_transform(affine).inverse(), backward)
    return backward.transform_points(points)


def _flip(points: np.ndarray) -> np.ndarray:
    ndim = points.shape[1]
    return np.diag(lps_flip(ndim))[:ndim]


def _numbers(cells: Sequence[str], path: Path, line: int) -> list[float]:
    try:
        return [float(cell) for cell in cells]
    except ValueError as error:
        raise DataError(f"{path}: found '{','.join(cells)}' in row {line}, expected numbers") from error


def _parse_csv(text: str, path: Path, frame: str | None) -> tuple[list[list[float]], str, list[str]]:
    lines = [(n, row) for n, row in enumerate(csv.reader(text.splitlines()), 1) if row and not row[0].startswith('#')]
    if not lines:
        raise DataError(f'{path}: found no rows, expected landmarks')
    header = [cell.strip().lower() for cell in lines[0][1]]
    if _is_number(header[0]):
        return _same_width([_numbers(row, path, n) for n, row in lines], path), frame or 'voxel', []
    columns, default = _coordinate_columns(header, path)
    if any(len(row) <= max(columns) for _, row in lines):
        raise DataError(f'{path}: found rows with fewer columns than the header, expected {len(header)}')
    points = [_numbers([row[c] for c in columns], path, n) for n, row in lines[1:]]
    names = [row[header.index('name')] for _, row in lines[1:]] if 'name' in header else []
    return points, frame or default, names


def _coordinate_columns(header: list[str], path: Path) -> tuple[list[int], str]:
    for letters, frame in (('xyz', 'ras'), ('ijk', 'voxel'), ('xy', 'ras'), ('ij', 'voxel')):
        if all(letter in header for letter in letters):
            return [header.index(letter) for letter in letters], frame
    raise DataError(f'{path}: found the header {",".join(header)}, expected x,y,z (mm) or i,j,k (voxels) or none')


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _same_width(rows: list[list[float]], path: Path) -> list[list[float]]:
    widths = sorted({len(row) for row in rows})
    if len(widths) > 1:
        raise DataError(f'{path}: found rows of {widths} numbers, expected the same count in each')
    return rows


def _parse_fcsv(text: str, path: Path) -> tuple[list[list[float]], str, list[str]]:
    """Slicer's older fiducial list: comment lines with the frame, then ``id,x,y,z,...,label,...``."""
    frame, columns = 'ras', ['id', 'x', 'y', 'z', 'ow', 'ox', 'oy', 'oz', 'vis', 'sel', 'lock', 'label']
    points: list[list[float]] = []
    names: list[str] = []
    for n, line in enumerate(text.splitlines(), 1):
        key, _, value = line.lstrip('# ').partition('=')
        if line.startswith('#'):
            if key.strip() == 'CoordinateSystem':
                # Versions before 4.11 number the frames: 0 is RAS, 1 is LPS.
                frame = {'0': 'ras', '1': 'lps'}.get(value.strip(), value.strip().lower())
            elif key.strip() == 'columns':
                columns = [c.strip() for c in value.split(',')]
        elif line.strip():
            row = next(csv.reader([line]))
            points.append(_numbers(row[1:4], path, n))
            at = columns.index('label') if 'label' in columns else -1
            names.append(row[at] if 0 <= at < len(row) else '')
    return points, _known_frame(frame, path), names


def _parse_markup(text: str, path: Path) -> tuple[list[list[float]], str, list[str]]:
    """Slicer's markup JSON: ``markups[0]`` with its ``coordinateSystem`` and ``controlPoints``."""
    try:
        markup: dict[str, Any] = json.loads(text)['markups'][0]
        frame = str(markup.get('coordinateSystem', 'LPS')).lower()
        placed = [p for p in markup['controlPoints'] if p.get('position') is not None]
        points, names = [p['position'] for p in placed], [str(p.get('label', '')) for p in placed]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise DataError(f'{path}: found no control points, expected a 3D Slicer markup') from error
    return points, _known_frame({'0': 'ras', '1': 'lps'}.get(frame, frame), path), names


def _known_frame(frame: str, path: Path) -> str:
    if frame not in ('ras', 'lps'):
        raise DataError(f"{path}: found the coordinate system '{frame}', expected RAS or LPS")
    return frame
