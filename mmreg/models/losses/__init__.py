"""Losses: how well two images, label maps, fields or point sets agree, each one scalar, lower is better.

Every module of this package is imported and registers its parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmreg.registry import LOSSES
from mmreg.utils.discovery import find_parts

from .base import ImageLoss, LabelLoss, Loss
from .consistency import ConsistencyLoss
from .field_base import FieldLoss

_PARTS = find_parts(__name__, __path__, LOSSES)
globals().update(_PARTS)
__all__ = ['ConsistencyLoss', 'FieldLoss', 'ImageLoss', 'LabelLoss', 'Loss', *_PARTS]

if TYPE_CHECKING:  # the parts are found when the package is imported

    def __getattr__(name: str) -> Any: ...
