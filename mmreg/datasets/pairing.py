"""Which two images make a pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class IndexPair:
    """Two positions in a data set's list of sources.

    Attributes:
        moving: The moving image.
        fixed: The fixed image; None where it is drawn among all others, anew in every draw.
        case_id: Name of the pair; made from the two subjects' ids when empty.
        exchange: The two directions are exchanged with probability 0.5, anew in every draw.
    """

    moving: int
    fixed: int | None = None
    case_id: str = ''
    exchange: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a data list keeps them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, info: dict[str, Any]) -> IndexPair:
        """The pair that :meth:`as_dict` made."""
        return cls(info['moving'], info['fixed'], info['case_id'], info['exchange'])

    def choose(self, count: int, rng: np.random.Generator) -> tuple[int, int]:
        """``(fixed, moving)``; a drawn fixed image is uniform over the ``count - 1`` others."""
        if self.fixed is None:
            other = int(rng.integers(count - 1))
            return other + (other >= self.moving), self.moving
        if self.exchange and rng.random() < 0.5:
            return self.moving, self.fixed
        return self.fixed, self.moving


Listed = Sequence[IndexPair] | None


def _listed(sources: Sequence[dict[str, Any]], pairs: Listed) -> list[IndexPair]:
    return list(pairs) if pairs is not None else _ordered(sources, pairs)


def _random(sources: Sequence[dict[str, Any]], pairs: Listed) -> list[IndexPair]:
    return [IndexPair(moving) for moving in range(len(sources))] if len(sources) > 1 else []


def _ordered(sources: Sequence[dict[str, Any]], pairs: Listed) -> list[IndexPair]:
    count = len(sources)
    return [IndexPair(moving, fixed) for moving in range(count) for fixed in range(count) if moving != fixed]


def _next(sources: Sequence[dict[str, Any]], pairs: Listed) -> list[IndexPair]:
    count = len(sources)
    return [IndexPair((fixed + 1) % count, fixed) for fixed in range(count)] if count > 1 else []


def _exchange(sources: Sequence[dict[str, Any]], pairs: Listed) -> list[IndexPair]:
    return [IndexPair(p.moving, p.fixed, p.case_id, exchange=True) for p in _listed(sources, pairs)]


def _both(sources: Sequence[dict[str, Any]], pairs: Listed) -> list[IndexPair]:
    both = []
    for pair in _listed(sources, pairs):
        assert pair.fixed is not None
        back = IndexPair(pair.fixed, pair.moving, f'{pair.case_id}_reverse' if pair.case_id else '')
        both += [pair, back]
    return both


#: Name of a pairing -> function of (sources, listed pairs).
PAIRINGS: dict[str, Callable[[Sequence[dict[str, Any]], Listed], list[IndexPair]]] = {
    'listed': _listed,
    'random': _random,
    'ordered': _ordered,
    'next': _next,
    'exchange': _exchange,
    'both': _both,
}
