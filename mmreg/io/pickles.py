"""Arrays in numpy's archives and in pickles, read without running anything that the file says.

A pickle is a program. :func:`restricted_load` runs it with a dictionary of a dozen names that build arrays and plain
containers; the functions behind these names are ours, none of numpy's or Python's importable objects is handed out.
"""

from __future__ import annotations

import codecs
import pickle
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import DataError

from .archives import open_archive
from .files import regular_file

# Kinds of numbers and text that own no Python objects.
_KINDS = 'biufcSU'


class _Refused(pickle.UnpicklingError):
    """What the file wanted and may not have."""


class _Dtype:
    """Stands for ``numpy.dtype`` while loading: only plain numbers and text, only their byte order from the state."""

    def __init__(self, spec: Any, align: Any = False, copy: Any = True) -> None:
        if not isinstance(spec, str) or spec.lstrip('<>=|')[:1] not in _KINDS:
            raise _Refused(f'arrays of type {spec!r}')
        self.value: np.dtype = np.dtype(spec)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        if order in ('<', '>'):
            self.value = self.value.newbyteorder(order)


class _Array:
    """Stands for ``numpy.ndarray`` while loading; :func:`_plain` puts the real array in its place."""

    value: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _frombuffer(data, dtype, shape, 'F' if fortran else 'C').value


def _reconstruct(subtype: Any, shape: Any, typecode: Any) -> _Array:
    return _Array()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any, axis_order: Any = None) -> _Array:
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes | bytearray):
        raise _Refused('an array that does not hold plain numbers')
    if axis_order is not None:
        raise _Refused('an array with permuted axes')
    array = _Array()
    array.value = np.frombuffer(data, dtype=dtype.value).reshape(shape, order=order).copy(order='K')
    return array


def _scalar(dtype: Any, data: Any = None) -> Any:
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
        raise _Refused('a scalar that is not a plain number')
    return np.frombuffer(data, dtype=dtype.value)[0]


def _encode(text: Any, encoding: Any = 'latin1') -> bytes:
    # Python 2 style protocols spell bytes as text in latin-1; other codecs may do more than encode.
    if not isinstance(text, str) or encoding not in ('latin1', 'latin-1'):
        raise _Refused(f'the codec {encoding!r}')
    return codecs.latin_1_encode(text)[0]


def _bytes(kind: type, *arguments: Any) -> Any:
    # A number would be a length: as much memory as the file likes.
    if arguments and isinstance(arguments[0], int):
        raise _Refused(f'{kind.__name__} of a length instead of content')
    return kind(*arguments)


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ('numpy', 'ndarray'): _Array,
    ('numpy', 'dtype'): _Dtype,
    ('_codecs', 'encode'): _encode,
    ('collections', 'OrderedDict'): OrderedDict,
}
for _module in ('builtins', '__builtin__'):
    for _type in (set, frozenset, complex, list, dict, tuple, int, float, str, bool):
        _ALLOWED[_module, _type.__name__] = _type
    _ALLOWED[_module, 'bytes'] = partial(_bytes, bytes)
    _ALLOWED[_module, 'bytearray'] = partial(_bytes, bytearray)
for _core in ('numpy.core', 'numpy._core'):
    _ALLOWED[f'{_core}.multiarray', '_reconstruct'] = _reconstruct
    _ALLOWED[f'{_core}.multiarray', 'scalar'] = _scalar
    _ALLOWED[f'{_core}.numeric', '_frombuffer'] = _frombuffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"the global '{module}.{name}'") from None

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused('a persistent object')


def restricted_load(path: str | Path) -> Any:
    """Load a pickle that holds numpy arrays, numbers, text and plain containers of these.

    Raises:
        DataError: missing or damaged file, or one that asks for anything else; the refused name is in the sentence.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / 'a.pkl'
        ...     _ = file.write_bytes(pickle.dumps({'image': np.zeros((2, 3))}))
        ...     restricted_load(file)['image'].shape
        (2, 3)
    """
    path = Path(path)
    if path.exists():
        regular_file(path, 'a pickle of arrays')
    try:
        with open(path, 'rb') as file:
            return _plain(_Unpickler(file).load())
    except FileNotFoundError as error:
        raise DataError(f'{path}: found no such file, expected a pickle of arrays') from error
    except _Refused as error:
        raise DataError(f'{path}: found {error} in the pickle, expected only arrays and plain containers') from error
    except Exception as error:  # a damaged pickle can raise anything, and what it raises is the file's fault
        raise DataError(f'{path}: found a damaged pickle ({error}), expected numpy arrays') from error


def _plain(item: Any) -> Any:
    """Put real arrays and types in the place of the stand-ins."""
    if isinstance(item, _Array | _Dtype):
        return item.value
    if isinstance(item, dict):
        return type(item)((key, _plain(value)) for key, value in item.items())
    if isinstance(item, list | tuple):
        return type(item)(_plain(value) for value in item)
    return item


def read_npz(path: str | Path, keys: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read all arrays of an npz archive; pickled objects in it are refused.

    Args:
        path: the archive.
        keys: names that must be there.

    Raises:
        DataError: missing or damaged file, pickled content, or a missing key.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f'{folder}/a.npz', image=np.zeros((2, 3)))
        ...     read_npz(f'{folder}/a.npz')['image'].shape
        (2, 3)
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f'{path}: found no such file, expected an npz archive')
    try:
        with open_archive(path, 'an npz archive of plain arrays'), open(path, 'rb') as file:
            archive = np.load(file, allow_pickle=False)
            missing = [key for key in keys if key not in archive]
            if missing:
                raise DataError(f'{path}: found the keys {sorted(archive)}, expected {missing[0]!r} among them')
            arrays = {key: archive[key] for key in archive}
            strange = [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]
            if strange:
                raise DataError(f'{path}: found {strange[0]!r}, which is no array, expected arrays only')
            return arrays
    except DataError:
        raise
    except Exception as error:  # a damaged header can raise anything
        raise DataError(f'{path}: found something that is not an npz archive of plain arrays, expected one') from error
