"""The ranking of LUMIR: normalised scores, weighted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

#: Measure -> its weight in LUMIR's ranking. Source: the challenge's page; a third each for landmarks and regularity.
LUMIR_WEIGHTS: dict[str, float] = {'dice': 1 / 6, 'hd95': 1 / 6, 'tre': 1 / 3, 'ndv_percent': 1 / 3}
#: Measures of which more is better.
GREATER = frozenset({'dice'})


@dataclass(frozen=True)
class Ranked:
    """A method's place.

    Attributes:
        method: Its name.
        score: From 0, worst in everything, to 1, best in everything.
        rank: From 1; equal scores share a rank.
    """

    method: str
    score: float
    rank: int


def rank(scores: Mapping[str, Mapping[str, float]], weights: Mapping[str, float] | None = None) -> list[Ranked]:
    """Methods by the weighted mean of their scores, each brought to 0 (the worst of all methods) to 1 (the best).

    Measures that a method lacks or that are no number are left out for all, and the weights of the others fill up to 1.

    Args:
        scores: Method -> measure -> mean over cases.
        weights: Measure -> weight; LUMIR's by default.
    """
    weights = LUMIR_WEIGHTS if weights is None else weights
    shared = [m for m in weights if all(math.isfinite(found.get(m, math.nan)) for found in scores.values())]
    total = sum(weights[measure] for measure in shared)
    points = dict.fromkeys(scores, 0.0)
    for measure in shared:
        values = [found[measure] for found in scores.values()]
        low, high = min(values), max(values)
        for method, found in scores.items():
            share = (found[measure] - low) / (high - low) if high > low else 1.0
            better = share if measure in GREATER or high == low else 1.0 - share
            points[method] += weights[measure] / total * better
    ordered = sorted(points.items(), key=lambda item: -item[1])
    return [Ranked(name, score, 1 + sum(other > score + 1e-12 for _, other in ordered)) for name, score in ordered]
