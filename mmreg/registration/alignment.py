"""An affine before the deformation, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .affine import AffineResult


@dataclass(frozen=True)
class Alignment:
    """An affine and how it came about.

    Attributes:
        matrix: ``(ndim+1, ndim+1)`` fixed world -> moving world in RAS mm; None: the headers alone.
        record: The same in plain values, for the plan: what was asked for, settings, stages, seconds.
        search: What the search found and how; None without one.
    """

    matrix: np.ndarray | None = None
    record: dict[str, Any] = field(default_factory=lambda: {'asked': 'none'})
    search: AffineResult | None = None

    @property
    def warnings(self) -> list[str]:
        """Of the search, in words."""
        return [] if self.search is None else list(self.search.warnings)
