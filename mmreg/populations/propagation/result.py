"""What the propagation of labels to one scan returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .fusion import Fused


@dataclass
class PropagationResult:
    """What became of one target.

    Attributes:
        fused: Way of fusion -> label map on the target's grid.
        lines: Per atlas what was made of it.
        out_dir: Where everything lies.
        warnings: What deserves a look.
    """

    fused: dict[str, Fused]
    lines: list[dict[str, Any]]
    out_dir: Path
    warnings: list[str] = field(default_factory=list)
