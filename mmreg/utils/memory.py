"""Memory that is free, given back to the system between the steps of a registration."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache


@cache
def _trim() -> Callable[[int], int] | None:
    """``malloc_trim`` of the C library; None where it has none."""
    if not sys.platform.startswith('linux'):
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return None


def give_back() -> None:
    """Let the C library return the pages of freed volumes; takes milliseconds, and nothing where it cannot.

    It keeps what was freed for the next allocation, and smaller ones that come between keep it there for good: what a
    step has used adds to what the next one needs.
    """
    trim = _trim()
    if trim is not None:
        trim(0)
