"""Progress callback: what a registration says of itself while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ProgressEvent:
    """Where a registration is.

    Attributes:
        name: ``'read'``, ``'method'``, ``'affine'``, ``'network'``, ``'optimisation'``, ``'outputs'``, ``'inverse'``,
            ``'metrics'``, ``'writing'``.
        detail: More, in words.
        fraction: How much of this step is done, 0 to 1; None where it cannot be told.
    """

    name: str
    detail: str = ''
    fraction: float | None = None


#: Called at every step, and many times within the long ones.
ProgressCallback = Callable[[ProgressEvent], None] | None


def tell(watch: ProgressCallback, name: str, detail: str = '', fraction: float | None = None) -> None:
    """Call ``watch`` where there is one."""
    if watch is not None:
        watch(ProgressEvent(name, detail, fraction))
