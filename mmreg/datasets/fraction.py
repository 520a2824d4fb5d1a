"""Less training data: a seeded share of the subjects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from mmreg.errors import ConfigError

from .seeding import stable_seed

_Subject = TypeVar('_Subject')


def seeded_fraction(subjects: Sequence[_Subject], fraction: float, seed: int = 0) -> list[_Subject]:
    """``floor(fraction * n)`` of the subjects (at least one), drawn by ``seed``, repeated in order up to ``n`` entries.

    The number of entries stays the same, so that an epoch has as many iterations whatever the fraction. For one seed a
    smaller fraction is a part of every larger one. Source: GraDIRN's ``train_limit_data``, which keeps the first ones.

    Raises:
        ConfigError: a fraction outside (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f'fraction={fraction} of a dataset, expected a number above 0 and up to 1.')
    count = len(subjects)
    if fraction == 1 or not count:
        return list(subjects)
    kept = max(1, math.floor(fraction * count + 1e-9))
    order = np.random.default_rng(stable_seed(seed, count)).permutation(count)
    chosen = sorted(int(k) for k in order[:kept])
    return [subjects[chosen[k % kept]] for k in range(count)]
