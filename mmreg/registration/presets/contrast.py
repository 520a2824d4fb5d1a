"""Whether two images show tissue in the same contrast: a quick test on small copies."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmreg.errors import InputError
from mmreg.io import affine_transform, resample_to

from .looks import Look

#: Settings of the quick rigid alignment before the comparison.
_SEARCH: dict[str, Any] = dict(
    transform='rigid', similarity='mi', search='moments', levels=1, samples=1500, iterations=20
)
#: Scores above belong to one contrast: measured 0.6 to 1 for scans of one kind, below 0 for T1 with T2.
_SAME = 0.4


@dataclass(frozen=True)
class Contrast:
    """Result of the test.

    Attributes:
        same: Whether bright is bright in both.
        correlation: Of the intensities where both images show something, after a rough alignment; -1 to 1.
        difference: Mean difference of the two intensity distributions, 0 to 1.
    """

    same: bool
    correlation: float
    difference: float

    def __str__(self) -> str:
        verdict = 'the same contrast' if self.same else 'different contrasts'
        return (
            f'the images show {verdict} (correlation {self.correlation:.2f} after a rough alignment, intensity '
            f'distributions {100 * self.difference:.0f} % apart)'
        )


def compare(fixed: Look, moving: Look) -> Contrast:
    """Align two small copies roughly and compare their intensities."""
    array, other = fixed.small.array, _aligned(fixed, moving)
    seen = np.isfinite(other)
    bright = other[seen] if seen.any() else np.zeros(1, np.float32)
    floor = float(np.percentile(bright, 1))
    limit = floor + 0.15 * (float(np.percentile(bright, 99)) - floor)
    both = seen & fixed.foreground & (np.nan_to_num(other, nan=-np.inf) > limit)
    if both.sum() < 20:
        return Contrast(False, 0.0, 1.0)
    first, second = array[both].astype(np.float64), other[both].astype(np.float64)
    correlation = 0.0
    if first.std() > 0 and second.std() > 0:
        correlation = float(np.corrcoef(first, second)[0, 1])
    difference = float(np.abs(_distribution(first) - _distribution(second)).mean())
    return Contrast(correlation - 2 * difference > _SAME, correlation, difference)


def _aligned(fixed: Look, moving: Look) -> np.ndarray:
    """The moving copy on the fixed copy's grid, NaN outside; by the headers where nothing better is found."""
    from mmreg.registration.affine import register_affine

    transform = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            found = register_affine(fixed.small, moving.small, seed=0, **_SEARCH)
        transform = affine_transform(found.matrix)
    except InputError:
        pass  # what is wrong is said by the search that counts
    return resample_to(moving.small, fixed.small.geometry, transform=transform, fill=float('nan')).array


def _distribution(values: np.ndarray) -> np.ndarray:
    """Quantiles between the 1st and the 99th percentile, on a scale from 0 to 1."""
    low, high = np.percentile(values, (1, 99))
    return (np.percentile(values, np.linspace(5, 95, 19)) - low) / max(high - low, 1e-9)
