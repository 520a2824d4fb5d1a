"""Weights in Keras' HDF5 files: arrays by the names of their layers, and the constructor arguments, read as data.

Nothing that such a file says is built or run: no layers, no Lambda, no pickles. Keras nested its groups in several
ways over the years (``model_weights/L/L/kernel:0``, ``model_weights/MODEL/L/kernel:0``, ``L/L/kernel:0`` where only
weights were saved, without ``:0`` since Keras 3): a weight is found by the last two names of its path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmreg.errors import CheckpointError, InputError
from mmreg.io.elsewhere import is_hdf5, survives
from mmreg.utils.text_files import parse_json, regular_file, within_limits

#: Last name in the file -> ours.
_WEIGHTS = {'kernel': 'weight', 'bias': 'bias'}
#: What an optimiser keeps beside the weights.
_ASIDE = ('optimizer_weights', 'optimizer')
#: No network comes near so many groups and arrays, so long a description, and so large an array.
_MOST, _LONGEST, _LARGEST = 20_000, 16 << 20, 1 << 30
#: How much larger than its file the content may be: weights hardly compress.
_RATIO = 10
#: gzip, shuffle, checksum, szip, lzf: any other filter is a library that HDF5 would look for and load.
_FILTERS = (1, 2, 3, 4, 32000)
#: Reads all that is read here; what is too large for it is refused before it is read here.
_READ = (
    'import h5py\n'
    'def look(name, item):\n'
    '    dict(item.attrs)\n'
    '    plain = isinstance(item, h5py.Dataset) and not item.external and not item.is_virtual\n'
    f'    plain and item.nbytes <= {_LARGEST} and item.dtype.kind == "f" and item[()]\n'
    'with h5py.File(sys.argv[1], "r") as file:\n'
    '    dict(file.attrs), file.visititems(look)\n'
)


def read_published(path: str | Path) -> dict[str, Any]:
    """The content of a published file: one of Keras, by what is in it, or whatever :func:`read_checkpoint` reads.

    Raises:
        CheckpointError: see :func:`read_keras` and :func:`~mmreg.utils.checkpoint.read_checkpoint`.
    """
    from mmreg.utils.checkpoint import read_checkpoint

    path = Path(path).expanduser()
    return read_keras(path) if path.is_file() and is_hdf5(path) else read_checkpoint(path)


def read_keras(path: str | Path) -> dict[str, Any]:
    """Weights of a Keras model in HDF5, and what its constructor was given.

    Args:
        path: What ``model.save('F.h5')`` or ``model.save_weights('F.h5')`` wrote.

    Returns:
        ``state_dict``: tensors by ``LAYER.weight`` and ``LAYER.bias``; kernels of convolutions, in the file
        ``(*spatial, in, out)``, are ``(out, in, *spatial)``. ``config``: the arguments of the model's class; without
        the key where the file does not hold them. ``class_name``: the name of that class, or ''.

    Raises:
        CheckpointError: no HDF5 file of Keras, damaged, larger than it may be, or its data lie outside of it.
    """
    path = regular_file(Path(path).expanduser(), 'weights of Keras', CheckpointError)
    try:
        import h5py
    except ImportError as error:
        raise CheckpointError(f'{path} is an HDF5 file, which needs the package h5py: pip install h5py.') from error
    if not is_hdf5(path):
        raise CheckpointError(f'{path} is no HDF5 file, expected weights as Keras writes them.')
    if not survives(path, _READ):  # of some damaged files its library dies
        raise CheckpointError(f'{path}: found damaged data, expected a whole HDF5 file of Keras.')
    try:
        with h5py.File(path, 'r') as file:
            described = _description(file, path)
            weights = _weights(file, path)
    except InputError:
        raise
    except Exception as error:  # the library raises whatever the damage leads to
        reason = ' '.join(str(error).split())[:120].rstrip('.')
        raise CheckpointError(f'{path} is damaged or no HDF5 file of Keras ({reason}).') from error
    if not weights:
        raise CheckpointError(
            f'{path} is an HDF5 file without kernels of layers, expected weights as Keras writes them.'
        )
    return {'state_dict': weights, **described}


def _description(file: Any, path: Path) -> dict[str, Any]:
    """Class and arguments of the model, where the file says them."""
    text = file.attrs.get('model_config')
    if text is None:
        return {'class_name': ''}
    text = text.decode('utf-8', 'replace') if isinstance(text, bytes) else text
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise CheckpointError(f'{path}: found a model_config that is no text of a usual length, expected JSON.')
    try:
        told = parse_json(text, f'{path}: model_config', 'JSON', CheckpointError)
    except json.JSONDecodeError as error:
        raise CheckpointError(f'{path}: model_config is no JSON ({error.msg}).') from error
    if not isinstance(told, Mapping) or not isinstance(told.get('config'), Mapping):
        raise CheckpointError(f'{path}: model_config does not hold the arguments of a model, expected a key config.')
    config = within_limits(dict(told['config']), f'{path}: model_config', CheckpointError)
    return {'class_name': str(told.get('class_name', '')), 'config': config}


def _weights(file: Any, path: Path) -> dict[str, Tensor]:
    """All kernels and biases by the names of their layers."""
    room = _RATIO * path.stat().st_size + (1 << 20)
    found: dict[str, Tensor] = {}
    for name, array in _arrays(file, path):
        layer, _, last = name.rpartition('/')
        kind = _WEIGHTS.get(last.partition(':')[0])
        if kind is None or not layer or layer.split('/')[0] in _ASIDE:
            continue
        room -= int(array.nbytes)
        _check(array, f'{path}: {name}', room)
        key = f'{layer.rpartition("/")[2]}.{kind}'
        value = _as_torch(array[()])
        if key in found and not torch.equal(found[key], value):
            raise CheckpointError(f'{path} holds two different weights {key}, expected one model.')
        found[key] = value
    return found


def _arrays(file: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """All arrays of a file by their paths; links to other places are not followed."""
    import h5py

    names: list[str] = []

    def note(name: str) -> bool | None:
        names.append(name)
        return True if len(names) > _MOST else None

    file.visit(note)
    if len(names) > _MOST:
        raise CheckpointError(f'{path} holds more than {_MOST} groups and arrays, expected the weights of a network.')
    for name in names:
        item = file[name]
        if isinstance(item, h5py.Dataset):
            yield name, item


def _check(array: Any, where: str, room: int) -> None:
    """Refuse what is not plainly numbers inside this file, or more than the file can hold."""
    if array.dtype.kind != 'f':
        raise CheckpointError(f'{where} holds values of type {array.dtype}, expected floating-point numbers.')
    if array.external or array.is_virtual:
        raise CheckpointError(f'{where} has its numbers in another file, expected them in this one.')
    plan = array.id.get_create_plist()
    filters = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
    if any(number not in _FILTERS for number in filters):
        raise CheckpointError(f'{where} is packed by a filter that is no part of HDF5, expected gzip or none.')
    if array.nbytes > _LARGEST or room < 0:
        raise CheckpointError(f'{where} unpacks to more than its file can hold, expected weights as Keras writes them.')


def _as_torch(array: np.ndarray) -> Tensor:
    """Float32; kernels of convolutions ``(*spatial, in, out)`` become ``(out, in, *spatial)``."""
    if array.ndim > 2:
        array = np.moveaxis(array, (-1, -2), (0, 1))
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
