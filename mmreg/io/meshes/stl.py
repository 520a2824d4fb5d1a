"""STL, text or binary: corners of triangles are replaced, and their normals computed again."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mmreg.errors import DataError
from mmreg.io.atomic import atomic_path

from .content import Content, frame_of

_LAYOUT = np.dtype([('normal', '<f4', 3), ('corners', '<f4', (3, 3)), ('attribute', '<u2')])
_HEADER = 84
_VERTEX = re.compile(r'^\s*vertex\s+(\S+)\s+(\S+)\s+(\S+)', re.IGNORECASE)
_FACET = re.compile(r'^(\s*)facet\s+normal\b.*', re.IGNORECASE)


def read_content(path: Path) -> Content:
    """Corners of the triangles, three rows each.

    Raises:
        DataError: neither a text nor a binary STL file, or truncated.
    """
    data = path.read_bytes()
    count = int.from_bytes(data[80:_HEADER], 'little') if len(data) >= _HEADER else -1
    if count >= 0 and len(data) == _HEADER + count * _LAYOUT.itemsize:
        return _binary(data)
    if data.lstrip()[:5].lower() == b'solid':
        return _text(data, path)
    raise DataError(
        f'{path}: found {len(data)} bytes, which are no text and not the {max(count, 0)} triangles of the header, '
        'expected an STL file'
    )


def _binary(data: bytes) -> Content:
    rows = np.frombuffer(data[_HEADER:], _LAYOUT)

    def write(target: Path, moved: np.ndarray) -> None:
        changed = rows.copy()
        changed['corners'] = moved.reshape(-1, 3, 3)
        changed['normal'] = _normals(moved)
        with atomic_path(target) as temporary:
            temporary.write_bytes(data[:_HEADER] + changed.tobytes())

    return Content(rows['corners'].astype(np.float64).reshape(-1, 3), write, frame_of(data[:_HEADER]))


def _text(data: bytes, path: Path) -> Content:
    lines = data.decode('latin-1').splitlines()
    found = [_VERTEX.match(line) for line in lines]
    points = np.array([[float(value) for value in match.groups()] for match in found if match]).reshape(-1, 3)
    if len(points) % 3 or not len(points):
        raise DataError(f'{path}: found {len(points)} corners of triangles, expected three for each')

    def write(target: Path, moved: np.ndarray) -> None:
        normals, corners = iter(_normals(moved)), iter(moved)
        told = []
        for line, match in zip(lines, found):
            facet = _FACET.match(line)
            if match:
                told.append(f'{line[: line.lower().index("vertex")]}vertex {_numbers(next(corners))}')
            else:
                told.append(f'{facet[1]}facet normal {_numbers(next(normals))}' if facet else line)
        with atomic_path(target) as temporary:
            temporary.write_bytes(('\n'.join(told) + '\n').encode('latin-1'))

    return Content(points, write, frame_of(lines[0].encode('latin-1')))


def _numbers(values: np.ndarray) -> str:
    return ' '.join(f'{value:.9g}' for value in values)


def _normals(points: np.ndarray) -> np.ndarray:
    """(T, 3) unit normals of triangles given by (3 T, 3) corners; 0 for one without area."""
    a, b, c = np.moveaxis(points.reshape(-1, 3, 3), 1, 0)
    across = np.cross(b - a, c - a)
    length = np.linalg.norm(across, axis=1, keepdims=True)
    return across / np.where(length > 0, length, 1)
