"""The shared library of the kernels: found, checked, switched on and off, and called."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

#: What ``MMREG_KERNELS`` is in ``csrc/kernels.h``: a library built from other sources is not used.
KERNELS = 5
#: Offsets inside a volume are 32-bit numbers.
MOST_ELEMENTS = 2**31 - 1
#: Elements of the largest tensor per thread; fewer are done before a thread has started.
WORTH_A_THREAD = 1 << 14

#: What a pointer of the table in ``csrc/kernels.h`` takes: a tensor of this type, a sequence of such numbers, or None.
_POINTERS: dict[str, tuple[torch.dtype, Callable[[int], type[ctypes.Array[Any]]]]] = {
    'float': (torch.float32, lambda n: ctypes.c_float * n),
    'double': (torch.float64, lambda n: ctypes.c_double * n),
    'int32_t': (torch.int32, lambda n: ctypes.c_int32 * n),
    'int64_t': (torch.int64, lambda n: ctypes.c_int64 * n),
}
_NUMBERS: dict[str, Callable[[Any], object]] = {'float': ctypes.c_float, 'int64_t': ctypes.c_int64, 'int': ctypes.c_int}
_NO_MEMORY = 1

#: A value of its own in every thread and every task, so that blocks which overlap in time do not undo each other.
_on: ContextVar[bool] = ContextVar('mmreg_compiled', default=os.environ.get('MMREG_COMPILED', '1') != '0')


@cache
def _library() -> ctypes.CDLL | None:
    # Wheels carry one for every Python; one that was built for this Python alone comes first.
    for path in (Path(__file__).with_name(f'_kernels{suffix}') for suffix in (*EXTENSION_SUFFIXES, '.so', '.pyd')):
        if not path.is_file():
            continue
        try:
            found = ctypes.CDLL(str(path))
            if found.mmreg_kernels() == KERNELS:
                return found
        except (OSError, AttributeError):  # built for another system
            continue
    return None


@cache
def signatures() -> dict[str, list[tuple[str, bool]]]:
    """Per kernel the types of its arguments as the library itself tells them: the C type, and whether a pointer."""
    found = _library()
    assert found is not None
    found.mmreg_signatures.restype = ctypes.c_char_p
    table = {}
    for name, arguments in re.findall(r'(\w+)\(([^)]*)\);', found.mmreg_signatures().decode()):
        words = [re.fullmatch(r'(?:const )?(\w+) (\*?)\w+', argument.strip()) for argument in arguments.split(',')]
        table[name] = [(word[1], bool(word[2])) for word in words if word]
        assert len(table[name]) == len(words), f'{name}({arguments})'
    return table


def has(*names: str) -> bool:
    """Whether the library holds these kernels: one that was built before they came may serve all the others."""
    return compiled_available() and all(name in signatures() for name in names)


def compiled_available() -> bool:
    """Whether the kernels were built and can be loaded."""
    return _library() is not None


def compiled_in_use() -> bool:
    """Whether the kernels are there and switched on."""
    return _on.get() and compiled_available()


@contextmanager
def use_compiled(on: bool) -> Iterator[None]:
    """Inside the block, use the kernels where they are available (True) or PyTorch alone (False).

    The choice holds for the calling thread (or asynchronous task) only. A backward pass that autograd runs on another
    thread, as for losses on a GPU, starts from what the environment says.
    """
    before = _on.set(on)
    try:
        yield
    finally:
        _on.reset(before)


def serves(*tensors: Tensor) -> bool:
    """Whether the kernels can take these tensors: volumes ``(N, C, *spatial)`` in float32 on the CPU, not empty."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or not compiled_in_use():
        return False
    return all(
        x.dtype == torch.float32
        and x.device.type == 'cpu'
        and type(x) in (Tensor, torch.nn.Parameter)
        and x.layout is torch.strided
        and 0 < x.numel() <= MOST_ELEMENTS
        for x in tensors
    )


def call(name: str, *arguments: object) -> None:
    """Call a kernel; arguments are converted and checked by the table of the library, the number of threads is added.

    The caller makes sure that tensors are laid out as the kernel expects.

    Raises:
        TypeError: an argument is not of the type that the kernel takes.
        MemoryError: there is no memory to work in; what the kernel should have written is undefined then.
    """
    found = _library()
    assert found is not None
    types = signatures()[name]
    if len(arguments) != len(types) - 1:
        raise TypeError(f'{name} takes {len(types) - 1} arguments besides the threads, got {len(arguments)}')
    work = max(x.numel() for x in arguments if isinstance(x, Tensor))
    threads = min(torch.get_num_threads(), max(1, work // WORTH_A_THREAD))
    values = [_converted(name, value, *kind) for value, kind in zip((*arguments, threads), types)]
    if found[name](*values) == _NO_MEMORY:
        raise MemoryError(
            f'no memory to work in, found a tensor of {work} numbers; smaller images, or fewer threads, need less.'
        )


def _converted(name: str, value: object, kind: str, pointer: bool) -> object:
    if not pointer:
        return _NUMBERS[kind](value)
    dtype, array = _POINTERS[kind]
    if value is None:
        return ctypes.c_void_p(None)
    if isinstance(value, Tensor):
        if value.dtype != dtype or value.device.type != 'cpu':
            raise TypeError(f'{name} takes {dtype} on the CPU, got {value.dtype} on {value.device}')
        return ctypes.c_void_p(value.data_ptr())
    assert isinstance(value, Sequence)
    return array(len(value))(*value)
