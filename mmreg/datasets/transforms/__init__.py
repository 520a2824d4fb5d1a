"""Transforms of one image or of a pair: callables on a flat dict, registered in TRANSFORMS.

Every module of this package is imported and registers its parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmreg.registry import TRANSFORMS
from mmreg.utils.discovery import find_parts

from .intensity import ImageTransform

_PARTS = find_parts(__name__, __path__, TRANSFORMS)
globals().update(_PARTS)
__all__ = ['ImageTransform', *_PARTS]

if TYPE_CHECKING:  # the parts are found when the package is imported

    def __getattr__(name: str) -> Any: ...
