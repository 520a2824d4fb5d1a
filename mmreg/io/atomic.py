"""Writing files so that a reader never sees half of one: the writer of :mod:`mmreg.utils.atomic`."""

from __future__ import annotations

from mmreg.utils.atomic import replacing as atomic_path
from mmreg.utils.atomic import split_suffix, write_text

__all__ = ['atomic_path', 'split_suffix', 'write_text']
