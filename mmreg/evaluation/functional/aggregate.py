"""From one number per case to a line of a table; NaN (not measurable) is left out and counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Summary(NamedTuple):
    """Mean, population standard deviation, quartiles and 30 % quantile over the cases that could be measured."""

    mean: float
    sd: float
    median: float
    lower: float
    upper: float
    quantile30: float
    measured: int
    missing: int


def summarise(values: Iterable[float]) -> Summary:
    """Summary of one number per case; all NaN where no case could be measured."""
    values = np.asarray(list(values), np.float64)
    found = values[~np.isnan(values)]
    missing = len(values) - len(found)
    if not len(found):
        return Summary(*(float('nan'),) * 6, measured=0, missing=missing)
    with np.errstate(invalid='ignore'):  # infinite values have a mean but no standard deviation
        lower, quantile30, median, upper = np.quantile(found, [0.25, 0.3, 0.5, 0.75])
        sd = float(found.std())
    return Summary(
        float(found.mean()), sd, float(median), float(lower), float(upper), float(quantile30),
        len(found), missing,
    )  # fmt: skip


def nan_mean(values: Iterable[float]) -> float:
    """Mean without NaN; NaN (and no warning) where nothing is left."""
    found = np.asarray(list(values), np.float64)
    found = found[~np.isnan(found)]
    return float(found.mean()) if len(found) else float('nan')
