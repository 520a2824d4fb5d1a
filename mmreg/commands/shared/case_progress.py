"""A progress bar for lists of cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from mmreg.utils import console

T = TypeVar('T')


def track(work: Sequence[T], what: str) -> Iterable[T]:
    """Iterate over ``work`` with a bar and the remaining time on stderr, silent where that is no terminal."""
    from rich import progress

    terminal = console.console(stderr=True)
    return progress.track(work, description=what, console=terminal, disable=not terminal.is_terminal)
