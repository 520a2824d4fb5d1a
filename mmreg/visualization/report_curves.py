"""Curves of an optimisation for the report: each stage has a panel and a scale of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: One value of a curve: level, iteration, value; stages run in the order of the points.
Point = tuple[int, int, float]

#: Size of a panel in pixels and its margins: left holds the numbers, which are never cut.
WIDTH, HEIGHT = 250, 150
LEFT, RIGHT, TOP, BOTTOM = 76, 8, 10, 24
_MOST_POINTS = 400


@dataclass(frozen=True)
class StagePanel:
    """One stage of a curve.

    Attributes:
        title: Which stage, and from where to where the values went.
        points: ``x,y`` pairs of a polyline in a picture of ``WIDTH`` x ``HEIGHT``.
        high: Largest value as text.
        low: Smallest value as text.
        iterations: How many there were.
    """

    title: str
    points: str
    high: str
    low: str
    iterations: int


@dataclass(frozen=True)
class TermCurve:
    """The curve of one term.

    Attributes:
        name: Of the term, and of those with the same values.
        panels: One per stage.
    """

    name: str
    panels: tuple[StagePanel, ...]


def term_curves(curves: Mapping[str, Sequence[Point]]) -> list[TermCurve]:
    """One :class:`TermCurve` per term with finite values; terms with the same values share one."""
    groups: dict[tuple[Point, ...], list[str]] = {}
    for name, points in curves.items():
        finite = tuple(_finite(points))
        if finite:
            groups.setdefault(finite, []).append(name)
    return [TermCurve(' = '.join(names), _panels(points)) for points, names in groups.items()]


def _panels(points: Sequence[Point]) -> tuple[StagePanel, ...]:
    stages: list[list[Point]] = []
    for point in points:
        if not stages or point[0] != stages[-1][-1][0]:
            stages.append([])
        stages[-1].append(point)
    return tuple(_panel(number, len(stages), stage) for number, stage in enumerate(stages, 1))


def _panel(number: int, count: int, stage: Sequence[Point]) -> StagePanel:
    values = [value for _, _, value in _thinned(stage)]
    low, high = min(values), max(values)
    span = (high - low) or max(abs(high), 1.0) * 1e-6
    last = max(1, len(values) - 1)
    places = (
        (LEFT + (WIDTH - LEFT - RIGHT) * n / last, TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / span)
        for n, value in enumerate(values)
    )
    return StagePanel(
        title=f'stage {number} of {count}: {short(values[0])} to {short(values[-1])}',
        points=' '.join(f'{x:.1f},{y:.1f}' for x, y in places),
        high=short(high),
        low=short(low),
        iterations=len(stage),
    )


def short(value: float) -> str:
    """A number of a curve, never longer than the margin."""
    return f'{value:.3g}' if value != 0 and not 1e-3 <= abs(value) < 1e5 else f'{value:.4g}'


def _finite(points: Sequence[Point]) -> list[Point]:
    return [(int(level), int(step), float(value)) for level, step, value in points if math.isfinite(value)]


def _thinned(points: Sequence[Point]) -> list[Point]:
    every = -(-len(points) // _MOST_POINTS)
    return list(points) if every <= 1 else [*points[:-1:every], points[-1]]
