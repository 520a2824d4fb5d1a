"""What the comparison of two groups found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class GroupDifference:
    """Two groups compared.

    Attributes:
        names: Of the first and the second.
        sizes: How many scans they have.
        t: ``S`` float32, above 0 where the second group is larger.
        p: ``S`` float32, family-wise over the mask; 1 outside.
        regions: Per label its numbers.
        permutations: How many there were.
    """

    names: tuple[str, str]
    sizes: tuple[int, int]
    t: np.ndarray
    p: np.ndarray
    regions: list[dict[str, Any]]
    permutations: int
