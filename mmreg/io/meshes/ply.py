"""PLY: x, y and z of the vertices are replaced, everything else of the file stays."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmreg.errors import DataError
from mmreg.io.atomic import atomic_path

from .content import Content, frame_of

_TYPES = {
    'char': 'i1', 'int8': 'i1', 'uchar': 'u1', 'uint8': 'u1', 'short': 'i2', 'int16': 'i2', 'ushort': 'u2',
    'uint16': 'u2', 'int': 'i4', 'int32': 'i4', 'uint': 'u4', 'uint32': 'u4', 'float': 'f4', 'float32': 'f4',
    'double': 'f8', 'float64': 'f8',
}  # fmt: skip
_ORDERS = {'binary_little_endian': '<', 'binary_big_endian': '>'}
_EXPECTED = 'a PLY mesh with vertices of x, y and z'


@dataclass
class _Element:
    name: str
    count: int
    properties: list[tuple[str, str]] = field(default_factory=list)
    lists: bool = False


def read_content(path: Path) -> Content:
    """Vertices of a PLY file, as text or binary.

    Raises:
        DataError: not a PLY file, one without x, y and z, or truncated.
    """
    data = path.read_bytes()
    end = data.find(b'end_header')
    begin = data.find(b'\n', end) + 1
    if not data.startswith(b'ply') or end < 0 or not begin:
        raise DataError(f'{path}: found no header of a PLY file, expected {_EXPECTED}')
    form, elements = _header(data[:end].decode('latin-1'), path)
    names = [element.name for element in elements]
    if 'vertex' not in names:
        raise DataError(f'{path}: found no vertices, expected {_EXPECTED}')
    position = names.index('vertex')
    vertex, before = elements[position], elements[:position]
    columns = [name for name, _ in vertex.properties]
    if not {'x', 'y', 'z'} <= set(columns) or vertex.lists or any(element.lists for element in before):
        raise DataError(f'{path}: found vertices of {", ".join(columns)}, expected {_EXPECTED}')
    frame, normals = frame_of(data[:begin]), 'nx' in columns
    if form == 'ascii':
        return _text(data, begin, sum(e.count for e in before), vertex, frame, normals, path)
    return _binary(data, begin, _ORDERS[form], before, vertex, frame, normals, path)


def _header(text: str, path: Path) -> tuple[str, list[_Element]]:
    form, elements = '', []
    for line in text.splitlines()[1:]:
        words = line.split()
        if words[:1] == ['format'] and len(words) > 1:
            form = words[1]
        elif words[:1] == ['element'] and len(words) == 3 and words[2].isdigit():
            elements.append(_Element(words[1], int(words[2])))
        elif words[:1] == ['property'] and elements and len(words) > 2:
            elements[-1].lists |= words[1] == 'list'
            elements[-1].properties.append((words[-1], words[1]))
    if form not in ('ascii', *_ORDERS):
        raise DataError(f'{path}: found the format {form!r}, expected ascii, {" or ".join(_ORDERS)}')
    return form, elements


def _text(
    data: bytes, begin: int, skipped: int, vertex: _Element, frame: str | None, normals: bool, path: Path
) -> Content:
    lines = data[begin:].decode('latin-1').splitlines()
    rows = [line.split() for line in lines[skipped : skipped + vertex.count]]
    places = [[name for name, _ in vertex.properties].index(axis) for axis in 'xyz']
    if len(rows) < vertex.count or any(len(row) < len(vertex.properties) for row in rows):
        raise DataError(f'{path}: found fewer vertices than the {vertex.count} of its header, expected a whole file')
    points = np.array([[float(row[place]) for place in places] for row in rows]).reshape(-1, 3)

    def write(target: Path, moved: np.ndarray) -> None:
        told = []
        for row, point in zip(rows, moved):
            cells = list(row)
            for place, value in zip(places, point):
                cells[place] = f'{value:.9g}'
            told.append(' '.join(cells))
        whole = [*lines[:skipped], *told, *lines[skipped + vertex.count :]]
        with atomic_path(target) as temporary:
            temporary.write_bytes(data[:begin] + ('\n'.join(whole) + '\n').encode('latin-1'))

    return Content(points, write, frame, normals)


def _binary(
    data: bytes,
    begin: int,
    order: str,
    before: list[_Element],
    vertex: _Element,
    frame: str | None,
    normals: bool,
    path: Path,
) -> Content:
    start = begin + sum(element.count * _layout(element, order, path).itemsize for element in before)
    layout = _layout(vertex, order, path)
    stop = start + vertex.count * layout.itemsize
    if stop > len(data):
        raise DataError(f'{path}: found fewer bytes than {vertex.count} vertices need, expected a whole file')
    rows = np.frombuffer(data[start:stop], layout)
    points = np.stack([rows[axis].astype(np.float64) for axis in 'xyz'], axis=1)

    def write(target: Path, moved: np.ndarray) -> None:
        changed = rows.copy()
        for axis, values in zip('xyz', moved.T):
            changed[axis] = values
        with atomic_path(target) as temporary:
            temporary.write_bytes(data[:start] + changed.tobytes() + data[stop:])

    return Content(points, write, frame, normals)


def _layout(element: _Element, order: str, path: Path) -> np.dtype:
    unknown = [kind for _, kind in element.properties if kind not in _TYPES]
    if unknown:
        raise DataError(f'{path}: found properties of type {unknown[0]}, expected {_EXPECTED}')
    return np.dtype([(name, order + _TYPES[kind]) for name, kind in element.properties])
