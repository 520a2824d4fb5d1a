"""ITK's transform files in HDF5, made small: numbers as float32, compressed.

SimpleITK writes every number as float64 and uncompressed. What it wrote is copied here with the parameters of fields in
the form that ITK reads as well and that takes an eighth of the space.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .deflate import zlib_packed

#: Fewer numbers than these are an affine's: they stay as they are.
_MANY = 4096
_CHUNK = 1 << 18
_FIELD = b'DisplacementFieldTransform'


def has_hdf5() -> bool:
    """Whether h5py is installed."""
    return _h5py() is not None


def shrink(source: Path, target: Path) -> bool:
    """Copy a file of ITK with its large arrays as compressed float32; False where h5py is not installed.

    Args:
        source: Written by ITK.
        target: The copy.
    """
    return _copied(source, target, {})


def with_field(source: Path, target: Path, size: Sequence[int], components: Iterable[np.ndarray]) -> bool:
    """Copy a file of ITK with another field of vectors in place of its own; False where h5py is not installed.

    Args:
        source: Written by ITK; one of its transforms is a field, of any size.
        target: The copy.
        size: Of the other field, whose grid begins at the same place, with the same spacing and direction.
        components: Of its vectors, LPS mm, each ``(k, j, i)``.
    """
    vectors = np.empty((*reversed(size), len(size)), np.float32)
    for axis, component in enumerate(components):
        vectors[..., axis] = component
    return _copied(source, target, {'size': list(size), 'vectors': vectors.reshape(-1)})


def _copied(source: Path, target: Path, field: dict[str, Any]) -> bool:
    h5py = _h5py()
    if h5py is None:
        return False
    with h5py.File(source, 'r') as old, h5py.File(target, 'w') as new:
        old.visititems(lambda name, item: _copy(name, item, new, field))
    return True


def _copy(name: str, item: Any, new: Any, field: dict[str, Any]) -> None:
    if not hasattr(item, 'shape'):
        new.require_group(name)
        return
    if field and item.dtype.kind == 'f' and item.parent['TransformType'][0].startswith(_FIELD):
        if name.endswith('FixedParameters'):
            new.create_dataset(name, data=np.concatenate([field['size'], item[len(field['size']) :]]))
        else:
            _write(name, field['vectors'], new)
    elif item.dtype.kind != 'f' or item.size < _MANY:
        item.file.copy(item, new, name=name)
    else:
        _write(name, item.astype(np.float32)[...], new)


def _write(name: str, numbers: np.ndarray, new: Any) -> None:
    """Float32 ``(n,)``, chunk by chunk, packed here and not by the HDF5 library, which is slower."""
    size = min(_CHUNK, numbers.size)
    made = new.create_dataset(
        name, numbers.shape, np.dtype('<f4'), chunks=(size,), shuffle=True, compression='gzip', compression_opts=4
    )
    chunk = np.zeros(size, '<f4')
    for first in range(0, numbers.size, size):
        part = numbers[first : first + size]
        chunk[: len(part)], chunk[len(part) :] = part, 0
        shuffled = np.ascontiguousarray(chunk.view(np.uint8).reshape(-1, 4).T)
        made.id.write_direct_chunk((first,), zlib_packed(shuffled))


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        return None
    return h5py
