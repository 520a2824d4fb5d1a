"""What a loader worker does before its first sample."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from mmreg.registry import FUNCTIONS

_FATAL = (signal.SIGSEGV, signal.SIGFPE, *((signal.SIGBUS,) if hasattr(signal, 'SIGBUS') else ()))


@FUNCTIONS.register_module()
def own_group_worker(worker_id: int) -> None:
    """Put a loader worker into a process group of its own.

    Terminals and launchers signal a whole group. Were the workers in it, they would die first and torch would abort
    the trainer before it could save; so the trainer gets the signal and ends its workers itself.
    """
    with suppress(OSError, AttributeError):  # no process groups on Windows
        os.setpgrp()
    # torch's handlers write a line of their own before the trainer says in a sentence which signal ended its worker.
    for fatal in _FATAL:
        signal.signal(fatal, signal.SIG_DFL)
