"""Legacy VTK: the block behind ``POINTS`` is replaced, every other byte of the file stays."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mmreg.errors import DataError
from mmreg.io.atomic import atomic_path

from .content import Content, frame_of

_HEADER = re.compile(rb'# vtk DataFile[^\n]*\n[^\n]*\n\s*(ASCII|BINARY)\s*\n\s*DATASET\s+(\w+)', re.IGNORECASE)
_POINTS = re.compile(rb'^POINTS[ \t]+(\d+)[ \t]+(\w+)[ \t]*\r?\n', re.MULTILINE | re.IGNORECASE)
_NORMALS = re.compile(rb'^NORMALS[ \t]', re.MULTILINE | re.IGNORECASE)
_TYPES = {'float': '>f4', 'double': '>f8'}
_WORD = re.compile(rb'\S+')


def read_content(path: Path) -> Content:
    """Points of a data set that lists them: POLYDATA, UNSTRUCTURED_GRID, STRUCTURED_GRID.

    Raises:
        DataError: not a legacy VTK file, one without points, or truncated.
    """
    data = path.read_bytes()
    header = _HEADER.match(data)
    if header is None:
        raise DataError(f'{path}: found no header of a legacy VTK file, expected "# vtk DataFile Version"')
    found = _POINTS.search(data, header.end())
    if found is None:
        raise DataError(f'{path}: found a data set {header[2].decode()} without POINTS, expected a mesh or surface')
    count, kind, start = int(found[1]), found[2].decode().lower(), found.end()
    if kind not in _TYPES:
        raise DataError(f'{path}: found points of type {kind}, expected float or double')
    binary = header[1].upper() == b'BINARY'
    if binary:
        stop = start + count * 3 * np.dtype(_TYPES[kind]).itemsize
        if stop > len(data):
            raise DataError(f'{path}: found fewer bytes than {count} points need, expected a whole file')
        points = np.frombuffer(data[start:stop], _TYPES[kind])
    else:
        words = [word for word, _ in zip(_WORD.finditer(data, start), range(3 * count))]
        if len(words) < 3 * count:
            raise DataError(f'{path}: found {len(words)} numbers for {count} points, expected three each')
        points, stop = np.array([float(word[0]) for word in words]), words[-1].end() if words else start

    def write(target: Path, moved: np.ndarray) -> None:
        if binary:
            block = moved.astype(_TYPES[kind]).tobytes()
        else:
            digits = 9 if kind == 'float' else 17
            block = '\n'.join(' '.join(f'{value:.{digits}g}' for value in point) for point in moved).encode()
        with atomic_path(target) as temporary:
            temporary.write_bytes(data[:start] + block + data[stop:])

    return Content(
        points.astype(np.float64).reshape(-1, 3),
        write,
        frame_of(data[: header.end()]),
        _NORMALS.search(data, stop) is not None,
    )
