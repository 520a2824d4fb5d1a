"""What the alignment of a series returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmreg.io import Transform


@dataclass
class SeriesResult:
    """What came out.

    Attributes:
        transforms: Frame -> map from the reference to it; a frame that failed has none.
        rows: Per frame its motion.
        drift_mm: Mean distance after one turn of a cycle; None where none was asked for.
        failures: Frame -> why.
        out_dir: Where everything lies.
        warnings: What deserves a look.
    """

    transforms: dict[str, Transform]
    rows: list[dict[str, Any]]
    failures: dict[str, str]
    out_dir: Path
    drift_mm: float | None = None
    warnings: list[str] = field(default_factory=list)
