"""Deflated DICOM: everything behind the first lines is one packed stream, which readers unpack whole into memory."""

from __future__ import annotations

import zlib
from pathlib import Path

from mmreg.errors import DataError
from mmreg.io.files import in_words

#: The transfer syntaxes whose data set is packed.
_DEFLATED = (b'1.2.840.10008.1.2.1.99', b'1.2.840.10008.1.2.4.95')
#: The longest group of lines in front that is looked at.
_MOST_LINES = 1 << 16
#: What unpacks to more than this, and to so many times its size, is no image.
_LARGEST, _RATIO = 64 << 20, 50
_CHUNK = 1 << 20


def refuse_bomb(path: Path) -> None:
    """Refuse a deflated file that unpacks to far more than it is; other files are not looked into.

    Raises:
        DataError: such a file, or one whose stream is damaged.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(_MOST_LINES)
            if head[128:132] != b'DICM' or not any(syntax in head for syntax in _DEFLATED):
                return
            size = path.stat().st_size
            file.seek(_begin(head, path))
            unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
            length, packed = 0, file.read(_CHUNK)
            while packed and not unpacker.eof:
                length += len(unpacker.decompress(packed, _CHUNK))
                if length > max(_LARGEST, _RATIO * size):
                    raise DataError(
                        f'{path}: found {in_words(size)} of deflated DICOM that unpack to more than '
                        f'{in_words(length)}, expected an image'
                    )
                packed = unpacker.unconsumed_tail or file.read(_CHUNK)
    except (OSError, zlib.error):
        return  # whoever reads it says what is wrong


def _begin(head: bytes, path: Path) -> int:
    """Where the packed stream begins: behind the lines whose length the first of them tells."""
    if head[132:140] != b'\x02\x00\x00\x00UL\x04\x00':
        raise DataError(f'{path}: found deflated DICOM without the length of its first lines, expected it')
    return 144 + int.from_bytes(head[140:144], 'little')
