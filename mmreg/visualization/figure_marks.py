"""What tells a reader where and what a figure shows: letters of the patient's sides, names of rows, colour bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .slices import PLANE_NAMES, Plane

#: Range of the Jacobian determinant in every picture; outside of it colours no longer change.
JACOBIAN_RANGE = (0.5, 2.0)
#: How both sides of the patient lie in the picture, by the direction of the first axis.
VIEWS = {
    'R': "the patient's right is on the right (neurological view)",
    'L': "the patient's left is on the right (radiological view)",
}
_OPPOSITE = dict(zip('RLAPSI', 'LRPAIS'))


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


def mark_edges(axis: Axes, plane: Plane, codes: str) -> None:
    """Write the letters of a slice at the edges of its panel."""
    halo = [patheffects.withStroke(linewidth=2, foreground='black')]
    sides = ((0.01, 0.5, 'left', 'center'), (0.99, 0.5, 'right', 'center'))
    places = (*sides, (0.5, 0.01, 'center', 'bottom'), (0.5, 0.99, 'center', 'top'))
    for letter, (x, y, across, up) in zip(edge_letters(codes, *plane.in_plane), places):
        axis.text(
            x, y, letter, color='white', fontsize=8, ha=across, va=up, transform=axis.transAxes, path_effects=halo
        )


def name_row(axis: Axes, name: str) -> None:
    """Write a row's name at the left edge of its first panel."""
    halo = [patheffects.withStroke(linewidth=2, foreground='black')]
    axis.text(
        0.02, 0.98, name, color='white', fontsize=7, ha='left', va='top', transform=axis.transAxes, path_effects=halo
    )


def jacobian_colours(values: np.ndarray) -> np.ndarray:
    """RGB in [0, 1] of determinants, by their logarithm over :data:`JACOBIAN_RANGE`; 1 is white."""
    low, high = np.log(JACOBIAN_RANGE)
    place = (np.log(np.maximum(values, JACOBIAN_RANGE[0] / 2)) - low) / (high - low)
    return colormaps['RdBu'](np.clip(place, 0, 1))[..., :3]


def colour_bars(figure: Figure, height: float, folds: Sequence[float] | None = None) -> None:
    """Bars of the differences and of the Jacobian at the lower edge of a figure.

    Args:
        figure: The figure.
        height: Share of the figure that is free there.
        folds: RGB of folded voxels, where there are any.
    """
    determinants = np.geomspace(JACOBIAN_RANGE[0], JACOBIAN_RANGE[1], 256)
    low, high = JACOBIAN_RANGE
    differences = colormaps['coolwarm'](np.linspace(0, 1, 256))[None, :, :3]
    bars = (
        (
            0.10,
            differences,
            (-1, 0, 1),
            'difference of scaled intensities',
        ),
        (0.58, jacobian_colours(determinants)[None], (f'≤ {low:g}', 1, f'≥ {high:g}'), 'Jacobian determinant'),
    )
    for left, colours, ticks, title in bars:
        axis = figure.add_axes((left, height * 0.52, 0.26, height * 0.2))
        axis.imshow(colours, aspect='auto', extent=(0, 1, 0, 1))
        axis.set_yticks([])
        axis.set_xticks([0, 0.5, 1], [str(tick) for tick in ticks], fontsize=6)
        axis.tick_params(length=2, pad=1)
        axis.set_title(title, fontsize=6.5, pad=2)
    if folds is None:
        return
    axis = figure.add_axes((0.87, height * 0.52, 0.02, height * 0.2))
    axis.imshow(np.asarray(folds)[None, None], aspect='auto')
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title('folded', fontsize=6.5, pad=2)
