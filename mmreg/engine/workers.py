"""What a loader worker does before its first sample."""

from __future__ import annotations

import os
from contextlib import suppress

from mmreg.registry import FUNCTIONS


@FUNCTIONS.register_module()
def own_group_worker(worker_id: int) -> None:
    """Put a loader worker into a process group of its own.

    Terminals and launchers signal a whole group. Were the workers in it, they would die first and torch would abort
    the trainer before it could save; so the trainer gets the signal and ends its workers itself.
    """
    with suppress(OSError, AttributeError):  # no process groups on Windows
        os.setpgrp()
