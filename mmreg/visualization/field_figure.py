"""One slice of a displacement field as the patient lies: where it moves, how it changes volumes, maps of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .colours import JACOBIAN_RANGE, jacobian_colours, saturation_ticks
from .figure_marks import bar, mark_edges, points, view_words
from .slices import Plane

_PANEL, _ABOVE, _BELOW = 3.6, 0.35, 0.85
_BAR = np.linspace(0, 1, 256)


def field_figure(
    displacement: np.ndarray,
    determinants: np.ndarray,
    maps: Mapping[str, np.ndarray],
    labels: np.ndarray | None = None,
    spacing: Sequence[float] | None = None,
    codes: str = '',
    step: int | None = None,
    dpi: int = 100,
) -> Figure:
    """Arrows over the length of a field, its Jacobian determinants with their folds, and a panel per map.

    Volumes are cut across their last axis, where most voxels are labelled, else in the middle.

    Args:
        displacement: ``(ndim, *S)`` voxels.
        determinants: ``(*S)``; drawn on the scale of all reports.
        maps: Title with unit -> ``(*S)``, from 0 upwards.
        labels: ``(*S)``; their borders are drawn in white.
        spacing: Voxel size in mm.
        codes: Where each axis points in the patient, such as ``'RAS'``.
        step: Distance of the arrows in voxels.
        dpi: Resolution.
    """
    mm = np.ones(len(displacement)) if spacing is None else np.asarray(spacing, float)
    size = np.linalg.norm(displacement * mm.reshape(-1, *(1,) * (displacement.ndim - 1)), axis=0)
    plane = _plane(size.shape, labels)
    across, up = plane.in_plane
    ratio = float(np.clip(size.shape[up] * mm[up] / (size.shape[across] * mm[across]), 0.4, 1.8))
    lengths = {'displacement, mm': size, **maps}
    count = len(lengths) + 1
    figure = Figure((count * _PANEL, _PANEL * ratio + _ABOVE + _BELOW), dpi=dpi)
    FigureCanvasAgg(figure)
    below = _BELOW / figure.get_figheight()
    panels = figure.subplots(1, count, squeeze=False)[0]
    figure.subplots_adjust(0.005, below, 0.995, 1 - _ABOVE / figure.get_figheight(), 0.03)
    for number, (axis, (title, values)) in enumerate(zip(panels, lengths.items())):
        top = float(np.quantile(values, 0.995)) or 1.0
        _show(axis, plane.cut(values), cmap='viridis', vmin=0.0, vmax=top)
        _finish(axis, title, plane, codes, labels, mm[up] / mm[across])
        if number == 0:
            _arrows(axis, plane.cut(displacement), plane, step)
        _scale(figure, number / count, 1 / count, below, _viridis(), ('0', f'{top / 2:.3g}', f'≥ {top:.3g}'))
    _show(panels[-1], jacobian_colours(plane.cut(determinants)))
    _finish(panels[-1], 'Jacobian determinant, folds yellow', plane, codes, labels, mm[up] / mm[across])
    colours = jacobian_colours(np.geomspace(*JACOBIAN_RANGE, 256))[None]
    _scale(figure, (count - 1) / count, 1 / count, below, colours, saturation_ticks(determinants))
    figure.text(0.5, 0.03 * below, view_words(codes, len(displacement)), fontsize=points(figure), ha='center')
    return figure


def _plane(shape: Sequence[int], labels: np.ndarray | None) -> Plane:
    if len(shape) == 2:
        return Plane(None, 0)
    counts = np.zeros(shape[2]) if labels is None else (labels > 0).sum(axis=(0, 1))
    best = np.flatnonzero(counts == counts.max())
    return Plane(2, int(best[np.abs(best - shape[2] // 2).argmin()]))


def _show(axis: Axes, image: np.ndarray, **options: Any) -> None:
    axis.imshow(np.swapaxes(image, 0, 1), origin='lower', interpolation='nearest', **options)


def _finish(axis: Axes, title: str, plane: Plane, codes: str, labels: np.ndarray | None, aspect: float) -> None:
    if labels is not None:
        shown = plane.cut(labels)
        for value in np.unique(shown)[1:]:
            axis.contour((shown == value).T, levels=[0.5], colors='w', linewidths=0.8)
    axis.set_aspect(aspect)
    axis.set_axis_off()
    axis.set_title(title, fontsize=points(axis.figure.figure))  # type: ignore[arg-type]
    if codes:
        mark_edges(axis, plane, codes)


def _arrows(axis: Axes, field: np.ndarray, plane: Plane, step: int | None) -> None:
    across, up = plane.in_plane
    every = step or max(1, max(field.shape[1:]) // 28)
    i, j = np.meshgrid(*(np.arange(0, n, every) for n in field.shape[1:]), indexing='ij')
    u, v = field[across][i, j], field[up][i, j]
    axis.quiver(i, j, u, v, angles='xy', scale_units='xy', scale=1, color='w', width=0.004)


def _viridis() -> np.ndarray:
    from matplotlib import colormaps

    return colormaps['viridis'](_BAR)[None, :, :3]


def _scale(figure: Figure, left: float, width: float, height: float, colours: np.ndarray, texts: Sequence[str]) -> None:
    bar(figure, (left + 0.18 * width, height * 0.68, 0.64 * width, height * 0.14), colours, texts, '')
