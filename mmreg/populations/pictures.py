"""Pictures of groups as PNG: slices side by side in patient orientation, and curves."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmreg.io import Volume
from mmreg.visualization.figure_marks import mark_edges, points
from mmreg.visualization.slices import Plane, grey, intensity_range, planes_of

#: So many images stand in one row of a picture.
_MOST = 8
#: Inches of a row, and of a column at least and at most: eight fit a page of 70 rem, at 90 dots per inch.
_ROW, _NARROW, _BROAD = 11.8, 1.45, 2.6
#: So many labels have their number beside the colours.
_TICKS = 14
#: Steps of this size around a circle leave no gap that is much larger than others.
_GOLDEN = 0.618034
#: Letters of a name that fit into an inch.
_LETTERS = 12


def slices_png(
    images: Mapping[str, Volume],
    colours: str | Colormap = 'gray',
    limits: tuple[float, float] | None = None,
    ticks: Mapping[float, str] | None = None,
) -> bytes:
    """The middle slices of some images, a column each, seen with the patient's right on the right.

    Args:
        images: Name -> image with one channel; the first :data:`_MOST` are shown.
        colours: A colour map of matplotlib, or its name.
        limits: Values of the map's ends, for all of them; those of each image by default. The colour bar of a map that
            goes beyond them ends in a point.
        ticks: Value -> text beside the colour bar; numbers by default.
    """
    shown = {name: volume.reoriented('RAS'[: volume.ndim]) for name, volume in list(images.items())[:_MOST]}
    plain = isinstance(colours, str) and colours == 'gray'
    planes: list[Plane] = planes_of(next(iter(shown.values())).geometry.shape)
    inches = float(np.clip(_ROW / len(shown), _NARROW, _BROAD))
    figure = Figure((inches * len(shown), inches * len(planes) + 0.3), layout='constrained', dpi=90)
    axes = figure.subplots(len(planes), len(shown), squeeze=False)
    for column, (name, volume) in enumerate(shown.items()):
        low, high = limits or intensity_range(volume.array)
        for row, plane in enumerate(planes_of(volume.geometry.shape)):
            axis = axes[row][column]
            across, up = plane.in_plane
            spacing = volume.geometry.spacing
            cut = plane.cut(volume.array)
            picture = grey(cut, low, high) if plain else cut
            axis.imshow(
                picture.T, origin='lower', cmap=colours, aspect=spacing[up] / spacing[across], interpolation='nearest',
                **({} if plain else {'vmin': low, 'vmax': high}),
            )  # fmt: skip
            axis.set_axis_off()
            if column == 0:
                mark_edges(axis, plane, 'RAS'[: volume.ndim])
        most = int(inches * _LETTERS)
        short = name if len(name) <= most else f'{name[: most - 1]}…'
        axes[0][column].set_title(short, fontsize=points(figure))
    if not plain:
        beyond = _beyond(shown.values(), limits)
        bar = figure.colorbar(axes[0][-1].images[0], ax=list(axes.flat), shrink=0.8, pad=0.01, extend=beyond)
        if ticks is not None:
            bar.set_ticks(list(ticks), labels=list(ticks.values()))
        bar.ax.tick_params(labelsize=points(figure))
    return _png(figure)


def _beyond(volumes: Iterable[Volume], limits: tuple[float, float] | None) -> Literal['neither', 'both', 'min', 'max']:
    """At which ends of a colour bar there is more than it shows: it ends in a point there."""
    if limits is None:
        return 'neither'
    arrays = [volume.array[np.isfinite(volume.array)] for volume in volumes]
    below = any(bool((array < limits[0]).any()) for array in arrays)
    above = any(bool((array > limits[1]).any()) for array in arrays)
    return 'both' if below and above else 'min' if below else 'max' if above else 'neither'


def labels_png(images: Mapping[str, Volume]) -> bytes:
    """The middle slices of label maps, which share their colours; see :func:`slices_png`.

    Labels count by their order, not by their values: those of FreeSurfer would share a few colours. Neighbours in that
    order, such as both sides or white and grey matter, are far apart in colour.
    """
    values = np.unique(np.concatenate([np.unique(volume.array) for volume in images.values()]))
    values = values[values != 0]
    shown = {
        name: Volume(np.where(volume.array != 0, 1 + np.searchsorted(values, volume.array), 0).astype(np.float32),
                     volume.geometry)
        for name, volume in images.items()
    }  # fmt: skip
    places = 0.06 + 0.9 * (_GOLDEN * np.arange(len(values)) % 1)
    colours = ListedColormap(np.vstack([(0, 0, 0, 1), colormaps['nipy_spectral'](places)]))
    every = max(1, math.ceil(len(values) / _TICKS))
    ticks = {float(rank): str(values[rank - 1]) for rank in range(1, len(values) + 1, every)}
    return slices_png(shown, colours, (-0.5, len(values) + 0.5), ticks)


def curves_png(curves: Mapping[str, Sequence[float]], across: str, unit: str, start: int = 1) -> bytes:
    """Curves over the numbers of rounds or frames.

    Args:
        curves: Name -> values; NaN leaves a gap.
        across: What is counted along the horizontal axis.
        unit: Of the values.
        start: The first number.
    """
    figure = Figure((5.6, 2.9), layout='constrained', dpi=90)
    axis, size = figure.subplots(), points(figure)
    for name, values in curves.items():
        marker = 'o' if len(values) < 40 else None
        axis.plot(np.arange(start, start + len(values)), values, marker=marker, markersize=3, linewidth=1.2, label=name)
    axis.set_xlabel(across, fontsize=size)
    axis.set_ylabel(unit, fontsize=size)
    axis.tick_params(labelsize=size)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.3)
    figure.legend(fontsize=size, ncols=3, loc='outside upper center', frameon=False, columnspacing=1)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png')
    return buffer.getvalue()
