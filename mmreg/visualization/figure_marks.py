"""What tells a reader where and what a figure shows: letters of the sides, names of rows, colour bars, keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .colours import FOLD_COLOUR, JACOBIAN_RANGE, OUTLINES, jacobian_colours
from .slices import PLANE_NAMES, Plane

#: How both sides of the patient lie in the picture, by the direction of the first axis.
VIEWS = {
    'R': "neurological view: the patient's right is on the right",
    'L': "radiological view: the patient's left is on the right",
}
#: Directions of the axes in three dimensions by the name of a view.
VIEW_CODES = {'neurological': 'RAS', 'radiological': 'LAS'}
#: Height of the letters in pixels of the figure.
LETTER = 12.5
_OPPOSITE = dict(zip('RLAPSI', 'LRPAIS'))


def points(figure: Figure, pixels: float = LETTER) -> float:
    """Size of a font that is so many pixels high."""
    return pixels * 72 / figure.dpi


def edge_letters(codes: str, across: int, up: int) -> list[str]:
    """Letters of the left, right, lower and upper edge of a slice; empty where the directions are unknown.

    Args:
        codes: Where each axis of the arrays points, such as ``'RAS'``.
        across: Axis that runs to the right.
        up: Axis that runs upwards.
    """
    if not all(code in _OPPOSITE for code in codes) or len(codes) <= max(across, up):
        return ['', '', '', '']
    return [_OPPOSITE[codes[across]], codes[across], _OPPOSITE[codes[up]], codes[up]]


def plane_name(plane: Plane, codes: str) -> str:
    """``'axial'`` and the like where the axes of the arrays are those of the patient, in their order; else empty."""
    usual = len(codes) == 3 and all(code in pair for code, pair in zip(codes, ('RL', 'AP', 'SI')))
    return PLANE_NAMES[plane.axis] if usual and plane.axis is not None else ''


def view_words(codes: str, ndim: int) -> str:
    """Which view a figure shows, in words; empty where the directions are unknown."""
    return VIEWS.get(codes[:1], '') if len(codes) == ndim else ''


def mark_edges(axis: Axes, plane: Plane, codes: str) -> None:
    """Write the letters of a slice at the edges of its panel."""
    sides = ((0.01, 0.5, 'left', 'center'), (0.99, 0.5, 'right', 'center'))
    places = (*sides, (0.5, 0.01, 'center', 'bottom'), (0.5, 0.99, 'center', 'top'))
    for letter, (x, y, across, up) in zip(edge_letters(codes, *plane.in_plane), places):
        _write(axis, x, y, letter, across, up)


def name_row(axis: Axes, name: str) -> None:
    """Write a row's name at the left edge of its first panel."""
    _write(axis, 0.02, 0.98, name, 'left', 'top')


def _write(axis: Axes, x: float, y: float, text: str, across: str, up: str) -> None:
    figure = axis.figure.figure
    assert figure is not None
    halo = [patheffects.withStroke(linewidth=2, foreground='black')]
    axis.text(
        x, y, text, color='white', fontsize=points(figure), ha=across, va=up,
        transform=axis.transAxes, path_effects=halo,
    )  # fmt: skip


def colour_bars(figure: Figure, height: float, ticks: Sequence[str], folded: bool = False) -> None:
    """Bars of the differences and of the Jacobian at the lower edge of a figure.

    Args:
        figure: The figure.
        height: Share of the figure that is free there.
        ticks: Texts of both ends and the middle of the Jacobian's bar.
        folded: Whether folds are in the figure: their colour is shown beside.
    """
    differences = colormaps['coolwarm'](np.linspace(0, 1, 256))[None, :, :3]
    determinants = jacobian_colours(np.geomspace(*JACOBIAN_RANGE, 256))[None]
    bars = (
        (0.05, differences, ('-1', '0', '1'), 'difference of scaled intensities'),
        (0.61, determinants, ticks, 'Jacobian determinant'),
    )
    for left, colours, texts, title in bars:
        bar(figure, (left, height * 0.45, 0.22, height * 0.2), colours, texts, title)
    if folded:
        bar(figure, (0.9, height * 0.45, 0.03, height * 0.2), np.asarray(FOLD_COLOUR)[None, None], (), 'folded')


def bar(
    figure: Figure,
    place: tuple[float, float, float, float],
    colours: np.ndarray,
    texts: Sequence[str],
    title: str,
) -> None:
    """One horizontal colour bar at ``place`` (left, bottom, width, height, shares of the figure).

    Args:
        figure: The figure.
        place: Where.
        colours: ``(1, n, 3)`` RGB.
        texts: At the left end, in the middle and at the right end, or none.
        title: Above it.
    """
    size = points(figure)
    axis = figure.add_axes(place)
    axis.imshow(colours, aspect='auto', extent=(0, 1, 0, 1))
    axis.set_yticks([])
    axis.set_xticks([0, 0.5, 1] if texts else [], list(texts), fontsize=size)
    axis.tick_params(length=2, pad=1)
    axis.set_title(title, fontsize=size, pad=3, y=1)


def outline_key(figure: Figure, height: float) -> None:
    """Say whose labels are outlined in which colour, between the bars."""
    handles = [
        Patch(color=(red / 255, green / 255, blue / 255), label=f'labels, {name}')
        for (red, green, blue), name in zip(OUTLINES, ('fixed', 'warped'))
    ]
    figure.legend(
        handles=handles, loc='center', bbox_to_anchor=(0.44, height * 0.33), ncols=2, frameon=False,
        fontsize=points(figure), handlelength=1, columnspacing=1,
    )  # fmt: skip
