"""ITK's transform files in HDF5, made small: numbers as float32, compressed.

SimpleITK writes every number as float64 and uncompressed. What it wrote is copied here with the parameters of fields in
the form that ITK reads as well and that takes an eighth of the space.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

#: Fewer numbers than these are an affine's: they stay as they are.
_MANY = 4096
_CHUNK = 1 << 18


def shrink(source: Path, target: Path) -> bool:
    """Copy a file of ITK with its large arrays as compressed float32; False where h5py is not installed.

    Args:
        source: Written by ITK.
        target: The copy.
    """
    try:
        import h5py
    except ImportError:
        return False
    with h5py.File(source, 'r') as old, h5py.File(target, 'w') as new:
        old.visititems(lambda name, item: _copy(name, item, new))
    return True


def _copy(name: str, item: Any, new: Any) -> None:
    if not hasattr(item, 'shape'):
        new.require_group(name)
        return
    if item.dtype.kind != 'f' or item.size < _MANY:
        item.file.copy(item, new, name=name)
        return
    new.create_dataset(
        name, data=item.astype(np.float32)[...], chunks=(min(_CHUNK, item.size),), shuffle=True, compression='gzip',
        compression_opts=4,
    )  # fmt: skip
