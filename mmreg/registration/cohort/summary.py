"""What the cases of a cohort are like together: one line per number, and which cases stand out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Numbers of ``results.csv`` -> what is worse: +1 large values, -1 small ones.
WORSE = {
    'dice': -1, 'hd95': 1, 'tre': 1, 'lncc': -1, 'nmi': -1, 'sdlogj': 1, 'folds_percent': 1, 'jacobian_min': -1,
    'jacobian_max': 1, 'displacement_mean_mm': 1, 'displacement_max_mm': 1, 'inverse_error_mm': 1,
    'overlap_percent': -1, 'seconds': 1,
}  # fmt: skip
COLUMNS = ('metric', 'cases', 'mean', 'sd', 'min', 'p25', 'median', 'p75', 'max', 'worst_case')
#: A case stands out where it lies so many robust standard deviations on the worse side of the median.
FAR = 3.5
#: Of fewer cases nothing can be said.
FEWEST = 6


@dataclass(frozen=True)
class Numbers:
    """One number of all cases: ``values`` ``(N,)``, NaN where a case has none."""

    values: np.ndarray
    worse: int

    @property
    def known(self) -> np.ndarray:
        """Those that are finite."""
        return self.values[np.isfinite(self.values)]

    def outliers(self) -> np.ndarray:
        """``(N,)`` bool: far from the median on the worse side."""
        none = np.zeros(len(self.values), bool)
        if len(self.known) < FEWEST:
            return none
        middle = np.median(self.known)
        deviation = np.abs(self.known - middle)
        scale = 1.4826 * np.median(deviation) or 1.2533 * deviation.mean()  # the second where most are equal
        if not scale > 1e-9 * max(abs(middle), 1.0):
            return none
        with np.errstate(invalid='ignore'):
            return np.isfinite(self.values) & ((self.values - middle) * self.worse > FAR * scale)

    def worst(self) -> int:
        """Position of the worst value."""
        return int(np.nanargmax(np.where(np.isfinite(self.values), self.values * self.worse, np.nan)))


def numbers_of(lines: Sequence[Mapping[str, Any]]) -> dict[str, Numbers]:
    """The numbers that any of the lines of ``results.csv`` has."""
    found = {}
    for name, worse in WORSE.items():
        given = (line.get(name) for line in lines)
        values = np.array([np.nan if value is None else float(value) for value in given], float)
        if np.isfinite(values).any():
            found[name] = Numbers(values, worse)
    return found


def summary_lines(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lines of ``summary.csv``: mean, spread and quartiles over the cases, and the name of the worst one."""
    result = []
    for name, numbers in numbers_of(lines).items():
        known = numbers.known
        quartiles = np.percentile(known, (0, 25, 50, 75, 100))
        values = (len(known), known.mean(), known.std(), *quartiles, lines[numbers.worst()]['case_id'])
        result.append({'metric': name, **dict(zip(COLUMNS[1:], values))})
    return result
