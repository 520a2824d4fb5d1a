"""What the reader of every kind of mesh returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Content:
    """A file of a mesh.

    Attributes:
        points: (P, 3) float64 as the file has them.
        write: Writes the file with other points, (P, 3) in its own frame.
        frame: 'ras' or 'lps' where the file says so.
        normals: Whether it holds normals, which do not turn with the points.
    """

    points: np.ndarray
    write: Callable[[Path, np.ndarray], None]
    frame: str | None = None
    normals: bool = False


def frame_of(header: bytes) -> str | None:
    """What 3D Slicer writes into titles and comments: ``SPACE=LPS``."""
    text = header.upper()
    return next((name for name in ('lps', 'ras') if b'SPACE=' + name.upper().encode() in text), None)
