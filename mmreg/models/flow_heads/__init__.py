"""Features -> velocities and displacements. Every module here is imported and registers its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmreg.registry import FLOW_HEADS
from mmreg.utils.discovery import find_parts

_PARTS = find_parts(__name__, __path__, FLOW_HEADS)
globals().update(_PARTS)
__all__ = [*_PARTS]

if TYPE_CHECKING:  # the parts are found when the package is imported

    def __getattr__(name: str) -> Any: ...
