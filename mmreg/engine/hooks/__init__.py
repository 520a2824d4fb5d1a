"""Hooks of the training loop. Every module of this package is imported and registers its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmreg.registry import HOOKS
from mmreg.utils.discovery import find_parts

from .checkpoint import AtomicBackend, save_checkpoint

_PARTS = find_parts(__name__, __path__, HOOKS)
globals().update(_PARTS)
__all__ = ['AtomicBackend', 'save_checkpoint', *_PARTS]

if TYPE_CHECKING:  # the parts are found when the package is imported

    def __getattr__(name: str) -> Any: ...
