"""What goes wrong around a program: no memory, a full disk, a killed worker. One sentence each, by kind."""

from __future__ import annotations

import os
import re

_MEMORY = re.compile(
    r"not enough memory|can't allocate memory|(?:cuda|hip|mps|xpu)\S* (?:error: )?out of memory|out of memory. tried|"
    r'unable to allocate|failed to allocate|'
    r"PlatformMultiThreader|can't start new thread|memory allocation|bad_alloc|"
    r'cannot allocate memory|allocation failed',
    re.IGNORECASE,
)
_WORKER = re.compile(r'DataLoader worker \(pid\(?s?\)? ?[^)]*\)? ?(?:exited unexpectedly|is killed by signal)')
_LESS = (
    'smaller images or larger voxels, a coarser working grid (inference.spacing), smaller batches, fewer levels or '
    'loader workers need less'
)


def around(error: BaseException) -> str | None:
    """The sentence for an error that the machine, not the program, is the cause of; None for every other."""
    text = ' '.join(str(error).split())
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError | OSError) and _MEMORY.search(text)):
        return f'there is not enough memory{_asked(text)}: {_LESS}.'
    if isinstance(error, RuntimeError) and _WORKER.search(text):
        return (
            f'a loader worker was {_ending(text)}; what was written is whole, so go on with '
            '--resume, with fewer num_workers where memory is short.'
        )
    if isinstance(error, BrokenPipeError):
        return 'the reader of the output is gone.'
    if isinstance(error, OSError) and error.errno is not None:
        return f'{_place(error)}{error.strerror or os.strerror(error.errno)}.'
    return None


def _ending(text: str) -> str:
    """How a loader worker ended, in the words of the signal where torch knows it."""
    found = re.search(r'is killed by signal: ([^.]+)\.', text)
    if found is None or found[1] == 'Killed':
        return 'killed from outside (often: no memory)'
    why = '; often: no shared memory is left in /dev/shm' if found[1] == 'Bus error' else ''
    return f'ended by a signal ({found[1].lower()}{why})'


def _asked(text: str) -> str:
    """How much was asked for, where the allocator says so."""
    found = re.search(r'(?:tried to allocate|allocate) ([\d.]+) ?(bytes|[KMGT]i?B)', text)
    if found is None:
        return ''
    amount = f'{int(float(found[1])) >> 20} MiB' if found[2] == 'bytes' else f'{found[1]} {found[2]}'
    return f' ({amount} more were asked for)'


def _place(error: OSError) -> str:
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return f'{names[-1]}: ' if names else ''
