"""Figures of one registered pair: arrays in, an RGB array out and, where a path is given, a PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from mmreg.errors import DataError
from mmreg.evaluation.functional.jacobian import determinant_map
from mmreg.utils.atomic import write_bytes
from mmreg.utils.plain_words import plain_words

from .colours import OUTLINES, jacobian_colours, percent, saturation_ticks
from .figure_marks import colour_bars, mark_edges, name_row, outline_key, plane_name, points, view_words
from .slices import Plane, checkerboard, grey, grid_lines, intensity_range, label_border, planes_of, to_array, to_image

_PANEL_INCHES, _BARS_INCHES = 1.9, 0.75
#: The first panels of a row show images: they carry the letters of the patient's sides.
_IMAGES = 3
Painter = Callable[[Axes, Plane], Any]


def overview_figure(
    fixed: Any,
    moving: Any,
    warped: Any,
    displacement: Any,
    path: str | Path | None = None,
    *,
    spacing: Sequence[float] | None = None,
    title: str | None = None,
    compare: str = 'difference',
    axes: Sequence[int] | None = None,
    dpi: int = 90,
    codes: str = '',
    labels: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """One pair at a glance: images, what differs before and after, the deformed grid, the Jacobian with its folds.

    Args:
        fixed: ``(C, *spatial)`` or ``spatial``, tensor or array; the first channel is shown.
        moving: Moving image on the same grid.
        warped: Moving image after registration.
        displacement: ``(ndim, *spatial)``, voxels.
        path: PNG to write, atomically; None for the array only.
        spacing: Voxel size in mm per axis, for the right aspect.
        title: Text above the figure.
        compare: ``'difference'`` or ``'checkerboard'`` for the panels before and after.
        axes: 3-D: axes to cut through; all three when None.
        dpi: Resolution.
        codes: Where each axis points in the patient, such as ``'RAS'``: letters mark the sides, rows get their names.
        labels: ``'fixed'`` and ``'warped'`` label maps ``spatial``, outlined in both images.

    Returns:
        ``(height, width, 3)`` uint8.

    Raises:
        DataError: shapes do not belong together.
    """
    field = to_array(displacement).astype(np.float32)
    given = {'fixed': fixed, 'moving': moving, 'warped': warped}
    images = {name: to_image(image, field.ndim - 1, name) for name, image in given.items()}
    _check_shapes(images, field)
    determinant = jacobian_of(field)
    panels = [
        *((name, _image_painter(image, _outlines(labels or {}, name))) for name, image in _common_range(images)),
        *_comparison(images, compare),
        ('grid', _grid_painter(field)),
        (f'Jacobian, {percent(fold_percentage(determinant))} folded', _jacobian_painter(determinant)),
    ]
    planes = planes_of(images['fixed'].shape, axes)
    rgb = render(
        panels, planes, images['fixed'].shape, spacing, title, dpi, codes,
        ticks=saturation_ticks(determinant), folded=bool((determinant <= 0).any()), key=bool(labels),
    )  # fmt: skip
    if path is not None:
        save_png(rgb, path)
    return rgb


def jacobian_of(displacement: np.ndarray) -> np.ndarray:
    """Jacobian determinant ``spatial`` of ``x + displacement(x)``; 1 where nothing is deformed."""
    return determinant_map(torch.from_numpy(np.ascontiguousarray(displacement)), crop=0).numpy()


def fold_percentage(determinant: np.ndarray) -> float:
    """Percentage of voxels whose determinant is not positive."""
    return 100.0 * float((determinant <= 0).mean())


def render(
    panels: Sequence[tuple[str, Painter]],
    planes: Sequence[Plane],
    shape: Sequence[int],
    spacing: Sequence[float] | None = None,
    title: str | None = None,
    dpi: int = 90,
    codes: str = '',
    *,
    ticks: Sequence[str] | None = None,
    folded: bool = False,
    key: bool = False,
) -> np.ndarray:
    """Paint a table of panels: one column per painter, one row per plane, colour bars below.

    Args:
        panels: Title and painter of each column.
        planes: One per row.
        shape: Of the volume.
        spacing: Voxel size in mm per axis.
        title: Text above.
        dpi: Resolution.
        codes: Where each axis points in the patient.
        ticks: Texts of the Jacobian's bar.
        folded: Whether folds are shown.
        key: Whether labels are outlined.

    Returns ``(height, width, 3)`` uint8.
    """
    size = np.asarray(shape, float) * (np.ones(len(shape)) if spacing is None else np.asarray(spacing, float))
    ratios = [size[p.in_plane[1]] / size[p.in_plane[0]] for p in planes]
    heights = [min(max(r, 0.4), 1.6) * _PANEL_INCHES for r in ratios]
    words = view_words(codes, len(shape))
    told = _lines(title, int(len(panels) * _PANEL_INCHES * dpi / 7.5)) if title else []
    above = (0.1 + 0.2 * (len(told) + 1)) * 90 / dpi
    figure = Figure((len(panels) * _PANEL_INCHES, sum(heights) + above + 0.05 + _BARS_INCHES), dpi=dpi)
    below = _BARS_INCHES / figure.get_figheight()
    canvas = FigureCanvasAgg(figure)
    table = figure.subplots(len(planes), len(panels), squeeze=False, gridspec_kw={'height_ratios': heights})
    for row, (plane, ratio) in enumerate(zip(planes, ratios)):
        voxel_ratio = ratio * shape[plane.in_plane[0]] / shape[plane.in_plane[1]]
        for column, (name, paint) in enumerate(panels):
            axis = table[row, column]
            paint(axis, plane)
            axis.set_aspect(voxel_ratio)
            axis.set_axis_off()
            if codes and column < _IMAGES:
                mark_edges(axis, plane, codes)
            if column == 0 and plane_name(plane, codes):
                name_row(axis, plane_name(plane, codes))
            if row == 0:
                axis.set_title(name, fontsize=points(figure), y=1)  # nothing above it has to be measured
    if title:
        text = figure.suptitle('\n'.join(told), fontsize=points(figure), y=0.995, va='top')
        text.set_parse_math(False)  # a name may hold a dollar
    colour_bars(figure, below, ticks or saturation_ticks(), folded)
    if words:
        figure.text(0.44, below * 0.68, words, fontsize=points(figure), ha='center', va='center')
    if key:
        outline_key(figure, below)
    figure.subplots_adjust(0.005, 0.01 + below, 0.995, 1 - above / figure.get_figheight(), 0.03, 0.03)
    plain_words(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_png(rgb: np.ndarray, path: str | Path) -> None:
    """Write ``(height, width, 3)`` uint8 as PNG, atomically."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, rgb, format='png')
    write_bytes(path, buffer.getvalue())


def _lines(title: str, room: int) -> list[str]:
    """A title in lines of so many letters at most, cut where three spaces part its facts."""
    lines = ['']
    for fact in title.split('   '):
        longer = f'{lines[-1]}   {fact}' if lines[-1] else fact
        if len(longer) > room and lines[-1]:
            lines.append(fact)
        else:
            lines[-1] = longer
    return lines


def _outlines(labels: Mapping[str, np.ndarray], name: str) -> list[tuple[np.ndarray, tuple[float, ...]]]:
    """Which label maps are outlined in an image, and in which colour: the fixed ones in the warped image too."""
    colours = {role: tuple(part / 255 for part in colour) for role, colour in zip(('fixed', 'warped'), OUTLINES)}
    wanted = {'fixed': ('fixed',), 'warped': ('fixed', 'warped')}.get(name, ())
    return [(labels[role], colours[role]) for role in wanted if role in labels]


def _check_shapes(images: dict[str, np.ndarray], field: np.ndarray) -> None:
    shape = images['fixed'].shape
    for name, image in images.items():
        if image.shape != shape:
            raise DataError(f'{name} has the shape {image.shape}, expected that of fixed, {shape}.')
    if field.shape != (len(shape), *shape):
        raise DataError(f'displacement has the shape {field.shape}, expected {(len(shape), *shape)}.')


def _common_range(images: dict[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """Images scaled to [0, 1]: the fixed one by its own range, moving and warped by that of moving."""
    ranges = {name: intensity_range(images['fixed' if name == 'fixed' else 'moving']) for name in images}
    return [(name, grey(image, *ranges[name])) for name, image in images.items()]


def _comparison(images: dict[str, np.ndarray], compare: str) -> list[tuple[str, Painter]]:
    scaled = dict(_common_range(images))
    if compare == 'difference':
        return [
            ('fixed - moving', _difference_painter(scaled['fixed'] - scaled['moving'])),
            ('fixed - warped', _difference_painter(scaled['fixed'] - scaled['warped'])),
        ]
    if compare == 'checkerboard':
        return [
            ('before', _checkerboard_painter(scaled['fixed'], scaled['moving'])),
            ('after', _checkerboard_painter(scaled['fixed'], scaled['warped'])),
        ]
    raise DataError(f"compare={compare!r} is unknown, expected 'difference' or 'checkerboard'.")


def _show(axis: Axes, image: np.ndarray, **kwargs: Any) -> None:
    """Draw a slice with its first axis to the right and its second upwards."""
    axis.imshow(np.swapaxes(image, 0, 1), origin='lower', interpolation='nearest', **kwargs)


def _image_painter(image: np.ndarray, outlines: Sequence[tuple[np.ndarray, tuple[float, ...]]] = ()) -> Painter:
    def paint(axis: Axes, plane: Plane) -> None:
        _show(axis, plane.cut(image), cmap='gray', vmin=0, vmax=1)
        for labels, colour in outlines:
            border = label_border(plane.cut(labels))
            shown = np.zeros((*border.shape, 4))
            shown[border] = (*colour, 1)
            _show(axis, shown)

    return paint


def _difference_painter(image: np.ndarray) -> Painter:
    return lambda axis, plane: _show(axis, plane.cut(image), cmap='coolwarm', vmin=-1, vmax=1)


def _checkerboard_painter(first: np.ndarray, second: np.ndarray) -> Painter:
    return lambda axis, plane: _show(
        axis, checkerboard(plane.cut(first), plane.cut(second)), cmap='gray', vmin=0, vmax=1
    )


def _grid_painter(field: np.ndarray) -> Painter:
    def paint(axis: Axes, plane: Plane) -> None:
        in_plane = plane.cut(field)[list(plane.in_plane)]
        axis.add_collection(LineCollection(grid_lines(in_plane), colors='tab:blue', linewidths=0.5))
        axis.set_xlim(-0.5, in_plane.shape[1] - 0.5)
        axis.set_ylim(-0.5, in_plane.shape[2] - 0.5)

    return paint


def _jacobian_painter(determinant: np.ndarray) -> Painter:
    def paint(axis: Axes, plane: Plane) -> None:
        _show(axis, jacobian_colours(plane.cut(determinant)))

    return paint
