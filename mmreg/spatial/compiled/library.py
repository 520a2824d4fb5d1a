"""The shared library of the kernels: found, checked, switched on and off, and called."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

#: What ``MMREG_KERNELS`` is in ``csrc/common.h``: a library built from other sources is not used.
KERNELS = 4
#: Offsets inside a volume are 32-bit numbers.
MOST_ELEMENTS = 2**31 - 1
#: Elements of the largest tensor per thread; fewer are done before a thread has started.
WORTH_A_THREAD = 1 << 14

_state = {'on': os.environ.get('MMREG_COMPILED', '1') != '0'}


@cache
def _library() -> ctypes.CDLL | None:
    for path in map(Path(__file__).with_name, ('_kernels.so', '_kernels.pyd')):
        if not path.is_file():
            continue
        try:
            found = ctypes.CDLL(str(path))
            if found.mmreg_kernels() == KERNELS:
                return found
        except (OSError, AttributeError):  # built for another system
            continue
    return None


def compiled_available() -> bool:
    """Whether the kernels were built and can be loaded."""
    return _library() is not None


def compiled_in_use() -> bool:
    """Whether the kernels are there and switched on."""
    return _state['on'] and compiled_available()


@contextmanager
def use_compiled(on: bool) -> Iterator[None]:
    """Inside the block, use the kernels where they are available (True) or PyTorch alone (False)."""
    before, _state['on'] = _state['on'], on
    try:
        yield
    finally:
        _state['on'] = before


def serves(*tensors: Tensor) -> bool:
    """Whether the kernels can take these tensors: volumes ``(N, C, *spatial)`` in float32 on the CPU, not empty."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or not compiled_in_use():
        return False
    return all(
        x.dtype == torch.float32
        and x.device.type == 'cpu'
        and type(x) in (Tensor, torch.nn.Parameter)
        and 0 < x.numel() <= MOST_ELEMENTS
        for x in tensors
    )


def sizes(values: Sequence[int]) -> ctypes.Array[ctypes.c_int64]:
    """Integers as C wants them."""
    return (ctypes.c_int64 * len(values))(*values)


def call(name: str, *arguments: object) -> None:
    """Call a kernel: tensors and None become pointers, integers 64-bit numbers; the number of threads is added.

    The caller makes sure that tensors are laid out as the kernel expects and outlive the call.
    """
    found = _library()
    assert found is not None
    work = max(x.numel() for x in arguments if isinstance(x, Tensor))
    threads = min(torch.get_num_threads(), max(1, work // WORTH_A_THREAD))
    found[name](*map(_argument, arguments), ctypes.c_int(threads))


def _argument(value: object) -> object:
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    if isinstance(value, bool):
        return ctypes.c_int(value)
    if isinstance(value, int):
        return ctypes.c_int64(value)
    if isinstance(value, float):
        return ctypes.c_float(value)
    return ctypes.c_void_p(None) if value is None else value
