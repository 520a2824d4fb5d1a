"""Paired comparison of two methods on the same cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmreg.errors import ConfigError
from mmreg.utils.choices import PAIRED_TESTS as TESTS


class Comparison(NamedTuple):
    """Second method minus first: mean difference with its 95 % bootstrap interval, p value, effect size.

    ``effect`` is the matched-pairs rank-biserial correlation in [-1, 1]: positive where the second method's values are
    larger. ``cases`` is the number of cases that both could be measured on.
    """

    cases: int
    difference: float
    low: float
    high: float
    p_value: float
    effect: float


def compare_paired(
    first: Sequence[float], second: Sequence[float], test: str = 'wilcoxon', seed: int = 0, draws: int = 2000
) -> Comparison:
    """Compare paired values; pairs with a NaN are left out.

    Args:
        first: One value per case.
        second: The same cases in the same order.
        test: ``'wilcoxon'`` (signed-rank, two-sided, zero differences split) or ``'t'`` (paired t-test).
        seed: Of the bootstrap.
        draws: Of the bootstrap.

    Returns:
        A p value of 1 where all differences are zero, NaN where fewer than two cases are left.

    Raises:
        ConfigError: unknown test.
    """
    if test not in TESTS:
        raise ConfigError(f'test={test!r} is unknown, expected one of {TESTS}.')
    difference = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    difference = difference[np.isfinite(difference)]
    count = len(difference)
    if count < 2:
        mean = float(difference.mean()) if count else math.nan
        return Comparison(count, mean, math.nan, math.nan, math.nan, math.nan)
    resampled = np.random.default_rng(seed).choice(difference, (draws, count)).mean(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Comparison(
        count, float(difference.mean()), float(low), float(high), _p_value(difference, test), rank_biserial(difference)
    )


def rank_biserial(difference: np.ndarray) -> float:
    """Share of positive minus share of negative ranks of the absolute differences; zeros left out, 0 if all are."""
    difference = difference[difference != 0]
    if not len(difference):
        return 0.0
    from scipy import stats  # half a second, for a command that compares

    ranks = stats.rankdata(np.abs(difference))
    return float((ranks[difference > 0].sum() - ranks[difference < 0].sum()) / ranks.sum())


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction for several tests; NaN stays NaN and does not count as a test.

    Source: Holm, Scand. J. Statist. 6 (1979).
    """
    values = np.asarray(p_values, np.float64)
    valid = np.flatnonzero(~np.isnan(values))
    corrected = np.full(len(values), np.nan)
    running = 0.0
    for position, index in enumerate(valid[np.argsort(values[valid], kind='stable')]):
        running = max(running, min(1.0, (len(valid) - position) * values[index]))
        corrected[index] = running
    return corrected.tolist()


def _p_value(difference: np.ndarray, test: str) -> float:
    if not difference.any():
        return 1.0
    from scipy import stats

    if test == 'wilcoxon':
        return float(stats.wilcoxon(difference, zero_method='zsplit').pvalue)
    if np.ptp(difference) == 0:  # no variance: the t statistic is infinite
        return 0.0
    return float(stats.ttest_1samp(difference, 0.0).pvalue)
