"""Landmark files of every kind, as points with their frame and names.

Tables (CSV with commas, semicolons or tabs; with and without header, 3D Slicer 5's), 3D Slicer's ``.fcsv`` and
``.mrk.json``, FreeSurfer's point sets, elastix and DIR-Lab text.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import MISFIT, DataError
from mmreg.utils.text_files import parse_json

from .csv_text import from_cell, read_plain_text, separator_of, split_rows
from .files import warn

#: What a file's numbers may be: indices from 0, indices from 1 (DIR-Lab), or mm of the world.
FRAMES = ('voxel', 'dirlab', 'ras', 'lps')
_MARKUP_FRAMES = {'0': 'ras', '1': 'lps', 'ras': 'ras', 'lps': 'lps'}
_MILLIMETRES = {
    'mm': 1.0, 'millimeter': 1.0, 'millimetre': 1.0, 'cm': 10.0, 'centimeter': 10.0, 'm': 1000.0, 'meter': 1000.0,
    'um': 1e-3, 'µm': 1e-3, 'micrometer': 1e-3, 'nm': 1e-6, '[in_i]': 25.4,
}  # fmt: skip
#: Letters of coordinates in the header of a table, and what they mean.
_COLUMNS = (
    ('ras', 'ras'), ('lps', 'lps'), ('xyz', 'ras'), ('ijk', 'voxel'), ('ra', 'ras'), ('lp', 'lps'), ('xy', 'ras'),
    ('ij', 'voxel'),
)  # fmt: skip
_NAMES = ('name', 'label')
_NO = ('0', 'false', 'no', 'undefined')


@dataclass
class Points:
    """What a parser found.

    Attributes:
        rows: coordinates.
        frame: one of :data:`FRAMES`.
        names: one per row, or none.
        unplaced: how many points of the file have no place.
    """

    rows: list[list[float]] = field(default_factory=list)
    frame: str = 'voxel'
    names: list[str] = field(default_factory=list)
    unplaced: int = 0


def parse_landmarks(path: Path, frame: str | None) -> Points:
    """Read a file by its ending and its first line.

    Args:
        path: the file.
        frame: one of :data:`FRAMES` for files that do not name theirs.

    Raises:
        DataError: not a landmark file, wrong columns, or text where numbers should be.
    """
    try:
        text = read_plain_text(path, 'landmarks')
    except DataError as error:
        raise DataError(
            str(error).replace('bytes that are not UTF-8 text', 'bytes that are not text in UTF-8')
        ) from error
    name = path.name.lower()
    parser: Callable[[str, Path, str | None], Points] = _parse_table
    if name.endswith('.json'):
        parser = _parse_json
    elif name.endswith('.fcsv'):
        parser = _parse_fcsv
    elif text.lstrip()[:5].lower() in ('point', 'index'):
        parser = _parse_elastix
    found = parser(text, path, frame)
    if found.unplaced:
        count = found.unplaced + len(found.rows)
        warn(f'{path}: {found.unplaced} of {count} points were never placed; they are left out')
    return found


def _parse_table(text: str, path: Path, frame: str | None) -> Points:
    rows = split_rows(text, path)
    if not rows:
        raise DataError(f'{path}: found no rows, expected landmarks')
    header = [cell.lower() for cell in rows[0][1]]
    if _is_number(header[0]):
        numbers = _same_width([_numbers(row, path, n) for n, row in rows], path)
        return Points(numbers, frame or _frame_without_header(text, numbers, path))
    columns, told = _coordinate_columns(header, path)
    placed = header.index('defined') if 'defined' in header else None
    found = Points(frame=frame or told)
    named = next((header.index(name) for name in _NAMES if name in header), None)
    for number, row in rows[1:]:
        if len(row) <= max(columns):
            raise DataError(
                f'{path}: found fewer columns than the header in row {number} ({len(row)}), expected {len(header)}'
            )
        if placed is not None and placed < len(row) and row[placed].lower() in _NO:
            found.unplaced += 1
            continue
        found.rows.append(_numbers([row[c] for c in columns], path, number))
        if named is not None:
            found.names.append(from_cell(row[named]) if named < len(row) else '')
    return found


def _frame_without_header(text: str, numbers: Sequence[Sequence[float]], path: Path) -> str:
    """A CSV without header holds voxels, as in Learn2Reg; whole numbers from 1 in plain text are DIR-Lab's."""
    if path.suffix.lower() == '.csv' or separator_of(text) == ',':
        return 'voxel'
    values = np.array(numbers)
    if (values == np.rint(values)).all() and values.min() >= 1:
        warn(
            f'{path}: whole numbers without a header were taken for voxels counted from 1, as DIR-Lab does; '
            '--landmark-frame says what else they are'
        )
        return 'dirlab'
    raise DataError(
        f'{path}: found numbers without a header, expected --landmark-frame ras, lps, voxel (from 0) or dirlab (from '
        '1) with them'
    )


def _coordinate_columns(header: list[str], path: Path) -> tuple[list[int], str]:
    for letters, frame in _COLUMNS:
        if all(letter in header for letter in letters):
            return [header.index(letter) for letter in letters], frame
    raise DataError(f'{path}: found the header {",".join(header)}, expected x,y,z (mm) or i,j,k (voxels) or none')


def _parse_fcsv(text: str, path: Path, frame: str | None) -> Points:
    """Slicer's older fiducial list: comment lines with the frame, then ``id,x,y,z,...,label,...``."""
    found = Points(frame='ras')
    columns = ['id', 'x', 'y', 'z', 'ow', 'ox', 'oy', 'oz', 'vis', 'sel', 'lock', 'label']
    for n, line in enumerate(text.splitlines(), 1):
        key, _, value = line.lstrip('# ').partition('=')
        if line.startswith('#'):
            if key.strip() == 'CoordinateSystem':  # versions before 4.11 number the frames: 0 is RAS, 1 is LPS
                found.frame = _known_frame(value.strip(), path)
            elif key.strip() == 'columns':
                columns = [c.strip() for c in value.split(',')]
        elif line.strip():
            row = next(csv.reader([line]))
            found.rows.append(_numbers(row[1:4], path, n))
            at = columns.index('label') if 'label' in columns else -1
            found.names.append(row[at] if 0 <= at < len(row) else '')
    return found


def _parse_json(text: str, path: Path, frame: str | None) -> Points:
    """Slicer's markups, all of the file, or a point set of FreeSurfer."""
    try:
        content = parse_json(text, str(path), 'a 3D Slicer markup')
    except DataError as error:
        raise DataError(f'{path}: found no control points (no readable JSON), expected a 3D Slicer markup') from error
    if isinstance(content, Mapping) and content.get('data_type') == 'fs_pointset':
        return _parse_point_set(content, path)
    found = Points(frame='ras')
    try:
        for markup in content['markups']:
            _add_markup(found, markup, path)
    except MISFIT as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f'{path}: found no control points, expected a 3D Slicer markup') from error
    if not found.rows and not found.unplaced:
        raise DataError(f'{path}: found no control points, expected a 3D Slicer markup')
    return found


def _add_markup(found: Points, markup: Mapping[str, Any], path: Path) -> None:
    frame = _known_frame(str(markup.get('coordinateSystem', 'LPS')), path)
    scale = _millimetres(markup.get('coordinateUnits', 'mm'), path)
    for point in markup['controlPoints']:
        if str(point.get('positionStatus', 'defined')) != 'defined':
            found.unplaced += 1
            continue
        if point.get('position') is None:
            continue
        place = [scale * float(value) for value in point['position']]
        if len(place) not in (2, 3):
            raise DataError(f'{path}: found a position of {len(place)} numbers, expected 2 or 3 of every control point')
        if frame == 'lps':
            place = [-place[0], -place[1], *place[2:]]
        found.rows.append(place)
        found.names.append(str(point.get('label', '')))


def _millimetres(units: Any, path: Path) -> float:
    """Factor from the units of a markup, text or a coded entry ``[code, scheme, meaning]``."""
    text = units.strip('[]"') if isinstance(units, str) else units[0] if isinstance(units, list) and units else units
    if str(text) not in _MILLIMETRES:
        raise DataError(f'{path}: found the units {units!r}, expected one of {", ".join(_MILLIMETRES)}')
    return _MILLIMETRES[str(text)]


def _parse_point_set(content: Mapping[str, Any], path: Path) -> Points:
    if content.get('vox2ras') != 'scanner_ras':
        raise DataError(
            f'{path}: found points in {content.get("vox2ras")!r} of FreeSurfer, expected scanner_ras (saved as such by '
            'freeview)'
        )
    try:
        rows = [[float(point['coordinates'][axis]) for axis in 'xyz'] for point in content['points']]
    except MISFIT as error:
        raise DataError(f'{path}: found points without coordinates, expected a point set of FreeSurfer') from error
    return Points(rows, 'ras')


def _parse_elastix(text: str, path: Path, frame: str | None) -> Points:
    """elastix and transformix: ``point`` (LPS mm) or ``index`` (voxels), how many there are, and a row each."""
    kind, *rest = [line.split() for line in text.splitlines() if line.strip()]
    if not rest or not rest[0][0].isdigit() or len(rest[0]) != 1:
        raise DataError(f'{path}: found no number of points in row 2, expected a point file of elastix')
    rows = _same_width([_numbers(row, path, n) for n, row in enumerate(rest[1:], 3)], path)
    if len(rows) != int(rest[0][0]):
        raise DataError(f'{path}: found {len(rows)} points, expected {rest[0][0]} as the file says')
    return Points(rows, frame or ('lps' if kind[0].lower() == 'point' else 'voxel'))


def _numbers(cells: Sequence[str], path: Path, line: int) -> list[float]:
    try:
        return [float(cell) for cell in cells]
    except ValueError as error:
        raise DataError(f"{path}: found '{','.join(cells)}' in row {line}, expected numbers") from error


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


def _known_frame(frame: str, path: Path) -> str:
    if frame.lower() not in _MARKUP_FRAMES:
        raise DataError(f"{path}: found the coordinate system '{frame.lower()}', expected RAS or LPS")
    return _MARKUP_FRAMES[frame.lower()]
