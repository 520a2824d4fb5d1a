"""The model: parts joined, trained and run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmreg.registry import REGISTRARS
from mmreg.utils.discovery import find_parts

_PARTS = find_parts(__name__, __path__, REGISTRARS)
globals().update(_PARTS)
__all__ = [*_PARTS]

if TYPE_CHECKING:  # the parts are found when the package is imported

    def __getattr__(name: str) -> Any: ...
