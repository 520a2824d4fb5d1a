"""Curves of an optimisation as SVG, drawn here so that the page needs no library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

#: One value of a curve: level (0 is the finest), iteration, value.
Point = tuple[int, int, float]

_WIDTH, _HEIGHT = 420, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 12, 26
_MOST_POINTS = 600


def curves_html(curves: Mapping[str, Sequence[Point]]) -> str:
    """One figure per curve, empty text where there are none."""
    return ''.join(curve_svg(name, points) for name, points in curves.items() if _finite(points))


def curve_svg(name: str, points: Sequence[Point]) -> str:
    """A curve over the steps of the optimisation; vertical lines where another level, a new stage, begins.

    Values of different stages are those of images of different resolution, hence the jumps between them.

    Args:
        name: Of the term.
        points: (level, iteration, value) in the order in which they were computed; values that are not finite are left
            out.
    """
    points = _thinned(_finite(points))
    values = [value for _, _, value in points]
    low, high = min(values), max(values)
    span = (high - low) or max(abs(high), 1.0) * 1e-6
    last = max(1, len(points) - 1)

    def at(n: int, value: float) -> str:
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * n / last
        y = _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / span
        return f'{x:.1f},{y:.1f}'

    path = ' '.join(at(n, value) for n, value in enumerate(values))
    title = f'{name}: {_stages_in_words(points)}'
    return (
        f'<figure class="curve"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'<title>{escape(title)}</title>{_axes(low, high)}{_stages(points, last)}'
        f'<polyline class="line" points="{path}"/></svg><figcaption>{escape(title)}</figcaption></figure>'
    )


def _axes(low: float, high: float) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    return (
        f'<path class="axis" d="M{_LEFT},{_TOP} V{bottom} H{right}"/>'
        f'<text x="{_LEFT - 6}" y="{_TOP + 8}" text-anchor="end">{high:.4g}</text>'
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">{low:.4g}</text>'
    )


def _starts(points: Sequence[Point]) -> list[int]:
    """Where the level changes, and the first step."""
    return [n for n, point in enumerate(points) if not n or point[0] != points[n - 1][0]]


def _stages_in_words(points: Sequence[Point]) -> str:
    starts = _starts(points)
    ends = [*(n - 1 for n in starts[1:]), len(points) - 1]
    return ', '.join(
        f'stage {i} {points[a][2]:.4g} to {points[b][2]:.4g}' for i, (a, b) in enumerate(zip(starts, ends), 1)
    )


def _stages(points: Sequence[Point], last: int) -> str:
    """A line where a stage begins, and its number below."""
    marks = []
    for number, n in enumerate(_starts(points), 1):
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * n / last
        if n:
            marks.append(f'<path class="level" d="M{x:.1f},{_TOP} V{_HEIGHT - _BOTTOM}"/>')
        marks.append(f'<text x="{x + 2:.1f}" y="{_HEIGHT - _BOTTOM + 14}">stage {number}</text>')
    return ''.join(marks)


def _finite(points: Sequence[Point]) -> list[Point]:
    return [(int(level), int(step), float(value)) for level, step, value in points if math.isfinite(value)]


def _thinned(points: list[Point]) -> list[Point]:
    every = -(-len(points) // _MOST_POINTS)
    return points if every <= 1 else [*points[:-1:every], points[-1]]
