"""NRRD (.nrrd, .nhdr): its header compared with the bytes that hold the voxels, before ITK reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmreg.errors import DataError
from mmreg.io.files import check_room, regular_file

from . import payload

ENDINGS = ('.nrrd', '.nhdr')
_MOST = 1 << 20
_BYTES = {
    1: ('signed char', 'int8', 'int8_t', 'uchar', 'unsigned char', 'uint8', 'uint8_t', 'char'),
    2: ('short', 'short int', 'signed short', 'signed short int', 'int16', 'int16_t', 'ushort', 'unsigned short',
        'unsigned short int', 'uint16', 'uint16_t'),
    4: ('int', 'signed int', 'int32', 'int32_t', 'uint', 'unsigned int', 'uint32', 'uint32_t', 'float'),
    8: ('longlong', 'long long', 'long long int', 'signed long long', 'signed long long int', 'int64', 'int64_t',
        'ulonglong', 'unsigned long long', 'unsigned long long int', 'uint64', 'uint64_t', 'double'),
}  # fmt: skip
_ENCODINGS = {'raw': 'raw', 'gz': 'gzip', 'gzip': 'gzip', 'bz2': 'bzip2', 'bzip2': 'bzip2'}


def check_nrrd(path: Path, voxels: bool = True) -> None:
    """Refuse a header that promises what its file does not hold, and damaged voxels.

    Raises:
        DataError: one sentence that names the path.
    """
    with open(path, 'rb') as file:
        head = file.read(_MOST)
    if not head.startswith(b'NRRD'):
        raise DataError(f'{path}: found something that is not a readable image, expected a NRRD file')
    text, offset = _header(head)
    fields = _fields(text)
    name = fields.get('data file', fields.get('datafile'))
    # ITK opens them for the header already: a pipe would be waited for.
    files = [] if name is None else _detached(path, name, text)
    wanted = _wanted(fields, path)
    if wanted is None or not voxels:
        return
    encoding = _ENCODINGS.get(fields.get('encoding', 'raw').lower())
    if name is None:
        if encoding is None:  # text: at least a digit and a space per number
            payload.check_length(path, path.stat().st_size - offset, wanted // 8)
        else:
            payload.verify(path, encoding, wanted, offset)
    else:
        _check_detached(files, fields, encoding, wanted)
    check_room(path, 2 * wanted)


def _header(head: bytes) -> tuple[str, int]:
    """The lines before the first empty one, and where the voxels begin."""
    ends = [at + len(gap) for gap in (b'\n\n', b'\r\n\r\n') if (at := head.find(gap)) >= 0]
    end = min(ends, default=len(head))
    return head[:end].decode('latin-1'), end


def _fields(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        key, colon, value = line.partition(':')
        if colon and not line.startswith('#') and not value.startswith('='):
            found[key.strip().lower()] = value.strip()
    return found


def _wanted(fields: Mapping[str, str], path: Path) -> int | None:
    kind = fields.get('type', '').lower()
    size = next((size for size, names in _BYTES.items() if kind in names), None)
    try:
        sizes = [int(n) for n in fields.get('sizes', '').split()]
    except ValueError as error:
        raise DataError(f'{path}: found the sizes {fields["sizes"]!r}, expected whole numbers') from error
    if not sizes or size is None:
        return None
    if min(sizes) < 1:
        raise DataError(f'{path}: found the sizes {sizes}, expected positive numbers')
    return math.prod(sizes) * size


def _detached(path: Path, name: str, text: str) -> list[Path]:
    """Voxels in files of their own: one, a list, or a pattern with first, last and step."""
    if name.upper().startswith('LIST'):
        lines = [line.strip() for line in text.splitlines()]
        at = next(n for n, line in enumerate(lines) if line.lower().replace(' ', '').startswith('datafile:'))
        names = [line for line in lines[at + 1 :] if line]
    elif '%' in name:
        pattern, *numbers = name.split()
        first, last, step = ([int(n) for n in numbers if n.lstrip('-').isdigit()] + [1, 1, 1])[:3]
        try:
            names = [pattern % n for n in range(first, min(last, first + 100_000) + 1, max(1, step))]
        except (TypeError, ValueError) as error:
            raise DataError(f'{path}: found the pattern {pattern!r} for files, expected one such as %03d') from error
    else:
        names = [name]
    if not names:
        raise DataError(f'{path}: found an empty list of files, expected those with the voxels')
    return [regular_file(path.parent / one, f'the voxels of {path.name}') for one in names]


def _check_detached(files: Sequence[Path], fields: Mapping[str, str], encoding: str | None, wanted: int) -> None:
    skip = fields.get('byte skip', fields.get('byteskip', '0'))
    lines_skipped = fields.get('line skip', fields.get('lineskip', '0')) != '0'
    offset = max(0, int(skip)) if skip.lstrip('-').isdigit() and not lines_skipped and encoding == 'raw' else 0
    if encoding is not None and not lines_skipped:
        for data in files:
            payload.verify(data, encoding, wanted // len(files), offset)
