"""Images -> features. Every module of this package is imported and registers its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmreg.registry import BACKBONES
from mmreg.utils.discovery import find_parts

_PARTS = find_parts(__name__, __path__, BACKBONES)
globals().update(_PARTS)
__all__ = [*_PARTS]

if TYPE_CHECKING:  # the parts are found when the package is imported

    def __getattr__(name: str) -> Any: ...
