"""The bytes behind a header: are there as many as it promises, and are they as they were written?

Readers pass over much in silence: a flipped bit in a zlib stream, a gzip file whose checksum does not fit, a raw file
that ends early. Here every stream is read to its end, which verifies its checksum, before a reader sees the file.
"""

from __future__ import annotations

import bz2
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mmreg.errors import DataError
from mmreg.io.deflate import broken_stream, gzip_reader
from mmreg.io.files import in_words

CHUNK = 1 << 20
GZIP_MAGIC = b'\x1f\x8b'
#: Deflate packs 1032 to 1 at most; bzip2 more.
_MOST_PACKED = {'gzip': 1040, 'zlib': 1040, 'bzip2': 1_000_000}
#: Packed tighter than this, and larger than that, a file is looked through before memory is asked for.
_SUSPICIOUS_RATIO, _SUSPICIOUS_BYTES = 500, 256 << 20
#: Bytes that may follow the voxels.
_TAIL = 64 << 20


def verify(path: Path, encoding: str, wanted: int, offset: int = 0, skip: int = 0) -> None:
    """Read the voxels of a file to their end without keeping them.

    Args:
        path: File with the voxels.
        encoding: 'raw', 'gzip', 'zlib' or 'bzip2'.
        wanted: Bytes of voxels that the header promises.
        offset: Where the stream begins in the file.
        skip: Bytes of the unpacked stream in front of the voxels.

    Raises:
        DataError: fewer bytes than promised, or a damaged stream.
    """
    there = max(0, path.stat().st_size - offset)
    check_claim(path, encoding, wanted, there)
    if encoding == 'raw':
        return
    length, model, varied = -skip, b'', False
    for chunk in chunks(path, encoding, offset):
        if length < 0:
            chunk, length = chunk[-length:], min(0, length + len(chunk))
        if not varied and len(chunk) == len(model):
            varied = chunk != model
        elif not varied:
            varied, model = not _periodic(chunk), chunk
        length += len(chunk)
        check_tail(path, length, wanted)
    check_length(path, length, wanted)
    if not varied and is_suspicious(wanted, there):
        raise DataError(
            f'{path}: found {in_words(there)} that unpack to one value, {in_words(wanted)} of it, expected an image'
        )


def check_claim(path: Path, encoding: str, wanted: int, there: int) -> None:
    """Refuse a header that promises more than a file of this size can hold."""
    if encoding == 'raw':
        check_length(path, there, wanted)
    elif wanted > _MOST_PACKED[encoding] * max(there, 64):
        raise DataError(
            f'{path}: found {there} packed bytes (a truncated file?) where the header promises {wanted} bytes of '
            'voxels, expected a complete image'
        )


def check_length(path: Path, length: int, wanted: int) -> None:
    """Refuse fewer bytes than promised."""
    if length < wanted:
        raise DataError(
            f'{path}: found {length} bytes of voxels of {wanted} (a truncated file?), expected a complete image'
        )


def check_tail(path: Path, length: int, wanted: int) -> None:
    """Refuse a stream that goes on and on behind the voxels."""
    if length > wanted + _TAIL:
        raise DataError(
            f'{path}: found more than {in_words(length)} where the header promises {in_words(wanted)} of voxels, '
            'expected a file that holds one image'
        )


def is_suspicious(wanted: int, there: int) -> bool:
    """Whether so many bytes out of so few may be a file made to exhaust the memory."""
    return wanted > _SUSPICIOUS_BYTES and wanted > _SUSPICIOUS_RATIO * there


def chunks(path: Path, encoding: str, offset: int = 0) -> Iterator[bytes]:
    """The unpacked bytes of a file in pieces of :data:`CHUNK`; a damaged stream is refused where it is damaged."""
    with open(path, 'rb') as file:
        file.seek(offset)
        try:
            with unpacked(file, encoding) as stream:
                while chunk := stream.read(CHUNK):
                    yield chunk
        except (ValueError, *broken_stream()) as error:  # type: ignore[misc]
            raise damaged(path, encoding) from error


def unpacked(file: BinaryIO, encoding: str) -> Any:
    """A buffered reader of the unpacked bytes of an open file; its ``read(n)`` always fills ``n``."""
    raw: Any = file
    if encoding == 'gzip':
        raw = gzip_reader(file)
    elif encoding == 'bzip2':
        raw = bz2.BZ2File(file)
    elif encoding == 'zlib':
        raw = _Zlib(file)
    return io.BufferedReader(raw, CHUNK)


def damaged(path: Path, encoding: str) -> DataError:
    """The error of a stream that breaks off or whose checksum does not fit."""
    return DataError(f'{path}: found a truncated or damaged {encoding} stream, expected a complete image')


def packing(path: Path) -> str:
    """'gzip' or 'raw', by the first bytes and not by the ending."""
    with open(path, 'rb') as file:
        return 'gzip' if file.read(2) == GZIP_MAGIC else 'raw'


def _periodic(chunk: bytes) -> bool:
    """Whether a piece repeats its first 16 bytes, as one value of any type does."""
    return chunk[16:] == chunk[:-16]


class _Zlib(io.RawIOBase):
    """A zlib stream inside a file; its checksum is compared when it ends."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._unpacker = file, zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._unpacker.eof:
                return 0
            packed = self._unpacker.unconsumed_tail or self._file.read(CHUNK)
            found = self._unpacker.decompress(packed, len(buffer))
            if found:
                buffer[: len(found)] = found
                return len(found)
            if not packed and not self._unpacker.eof:
                raise EOFError('the stream breaks off')
