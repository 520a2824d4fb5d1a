"""MetaImage (.mha, .mhd): its header compared with the bytes that hold the voxels, before ITK reads them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from mmreg.errors import DataError
from mmreg.io.files import check_room, regular_file

from . import payload

ENDINGS = ('.mha', '.mhd')
_MOST_AXES = 4
#: Characters of a line that ITK's reader has room for.
_LONGEST = 1000
_VECTORS = (
    'DimSize', 'ElementSpacing', 'ElementSize', 'Offset', 'Position', 'Origin', 'CenterOfRotation',
)  # fmt: skip
_MATRICES = ('TransformMatrix', 'Rotation', 'Orientation')
#: Where headers end at the latest.
_MOST = 1 << 20
_BYTES = {'CHAR': 1, 'UCHAR': 1, 'SHORT': 2, 'USHORT': 2, 'INT': 4, 'UINT': 4, 'LONG': 4, 'ULONG': 4, 'LONG_LONG': 8,
          'ULONG_LONG': 8, 'FLOAT': 4, 'DOUBLE': 8}  # fmt: skip


def check_meta(path: Path, voxels: bool = True) -> None:
    """Refuse a header that is wrong in itself or promises what its file does not hold, and damaged voxels.

    Raises:
        DataError: one sentence that names the path.
    """
    with open(path, 'rb') as file:
        head = file.read(_MOST)
    match = re.search(rb'^ElementDataFile\s*=[ \t]*([^\r\n]*)\r?\n?', head, re.MULTILINE)
    if match is None:
        raise DataError(f'{path}: found something that is not a readable image, expected a MetaImage')
    fields = _fields(head[: match.start()].decode('latin-1'))
    _check_counts(fields, path)
    wanted = _wanted(fields, path)
    _check_spacing(fields, path)
    if wanted is None or not voxels:
        return
    name, offset = match[1].decode('latin-1').strip(), match.end()
    encoding = 'zlib' if fields.get('CompressedData', 'False').lower().startswith('t') else 'raw'
    if name.upper().startswith('LIST') or '%' in name:
        _check_many(path, name, head[offset:].decode('latin-1'), wanted if encoding == 'raw' else 0)
    elif fields.get('BinaryData', 'True').lower().startswith('f'):
        _check_text(path if name.upper() == 'LOCAL' else _beside(path, name), fields)
    elif name.upper() == 'LOCAL':
        payload.verify(path, encoding, wanted, offset)
    else:
        data = _beside(path, name)
        skipped = int(fields.get('HeaderSize', '0')) if fields.get('HeaderSize', '0').lstrip('-').isdigit() else 0
        payload.verify(data, encoding, wanted, max(0, skipped))
    check_room(path, 2 * wanted)


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition('=') for line in text.splitlines() if '=' in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _check_counts(fields: Mapping[str, str], path: Path) -> None:
    """Lists no longer than the axes say: ITK's reader writes them into memory of that length without counting."""
    ndim = fields.get('NDims', '')
    if not ndim.isdecimal() or not 1 <= int(ndim) <= _MOST_AXES:
        raise DataError(f'{path}: found NDims = {ndim[:20]!r}, expected 2, 3 or 4')
    for key, text in fields.items():
        if len(key) + len(text) > _LONGEST:
            raise DataError(f'{path}: found a header line of {len(text)} characters, expected a MetaImage header')
        most = int(ndim) ** (2 if key in _MATRICES else 1)
        if key in (*_VECTORS, *_MATRICES) and len(text.split()) > most:
            raise DataError(f'{path}: found {len(text.split())} numbers in {key}, expected {most}')


def _wanted(fields: Mapping[str, str], path: Path) -> int | None:
    """Bytes of voxels, None where ITK has to say what is missing."""
    element = fields.get('ElementType', '').removeprefix('MET_').removesuffix('_ARRAY')
    try:
        sizes = [int(float(n)) for n in fields.get('DimSize', '').split()]
        channels = int(fields.get('ElementNumberOfChannels', '1'))
    except (ValueError, OverflowError) as error:
        raise DataError(f'{path}: found a DimSize that is not numbers, expected sizes') from error
    if not sizes or element not in _BYTES:
        return None
    if min(sizes) < 1 or channels < 1:
        raise DataError(f'{path}: found the sizes {sizes} with {channels} channels, expected positive numbers')
    return math.prod(sizes) * channels * _BYTES[element]


def _check_spacing(fields: Mapping[str, str], path: Path) -> None:
    text = fields.get('ElementSpacing')
    if text is None:
        return
    try:
        spacing = tuple(float(s) for s in text.split())
    except ValueError as error:
        raise DataError(f'{path}: found an ElementSpacing that is not numbers, expected positive numbers') from error
    if not all(0 < s < math.inf for s in spacing):
        raise DataError(f'{path}: found a voxel spacing of {spacing} mm, expected positive numbers')


def _beside(path: Path, name: str) -> Path:
    return regular_file(path.parent / name, f'the voxels of {path.name}')


def _check_many(path: Path, name: str, listed: str, wanted: int) -> None:
    """One file per slice: named in a list, or by a pattern with first, last and step."""
    if '%' in name:
        pattern, *numbers = name.split()
        if not re.fullmatch(r'[^%]*%0?\d{0,2}d[^%]*', pattern):
            raise DataError(f'{path}: found the pattern {pattern!r} for files, expected one such as %03d')
        first, last, step = ([int(n) for n in numbers if n.isdigit()] + [1, 1, 1])[:3]
        try:
            names = [pattern % n for n in range(first, min(last, first + 100_000) + 1, max(1, step))]
        except (TypeError, ValueError) as error:
            raise DataError(f'{path}: found the pattern {pattern!r} for files, expected one such as %03d') from error
    else:
        names = [line.strip() for line in listed.splitlines() if line.strip()]
    length = sum(_beside(path, one).stat().st_size for one in names)
    payload.check_length(path, length, wanted)


def _check_text(path: Path, fields: Mapping[str, str]) -> None:
    count = math.prod(int(float(n)) for n in fields['DimSize'].split())
    payload.check_length(path, path.stat().st_size, 2 * count - 1)
