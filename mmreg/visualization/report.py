"""The report of one registered pair: a single HTML page that opens from disk, without network or libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import DataError
from mmreg.io.tables import Row
from mmreg.utils.atomic import write_text

from .colours import FOLD_COLOUR, JACOBIAN_RANGE, OUTLINES, OVERLAY, jacobian_colours, saturation_ticks
from .figure_marks import edge_letters
from .figures import jacobian_of
from .page import render_page
from .report_curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Point, term_curves
from .report_images import (
    Cut,
    choose_cuts,
    grey_sprite,
    grid_points,
    jacobian_sprite,
    outline_sprite,
    picture_size,
)
from .report_tables import metric_details, metric_lines, plan_parts
from .slices import intensity_range

#: Images of a report by name, and what they are called on the page. The first three must be there.
IMAGES = {
    'fixed': 'fixed',
    'moving': 'moving, by the headers',
    'warped': 'warped',
    'aligned': 'moving, after the affine',
}
_REQUIRED = ('fixed', 'moving', 'warped')


@dataclass(frozen=True)
class ReportContent:
    """What a report shows.

    Attributes:
        title: Name of the pair.
        images: 'fixed', 'moving', 'warped' and perhaps 'aligned' (:data:`IMAGES`): ``(*S)`` on one grid.
        displacement: ``(ndim, *S)``, voxels of this grid.
        spacing: Voxel size in mm per axis.
        codes: Direction of each array axis such as 'RAS'; planes have anatomical names for axes that run to R, A, S.
        labels: Label maps by the same names, for outlines.
        headline: Short facts shown on top, name -> text.
        rows: Numbers after (``value``) and before (``initial``).
        warnings: What looks wrong, in words.
        curves: Name of a term -> (level, iteration, value) in order.
        plan: Settings, versions, digests, times; nested plain values.
        label_names: Value -> name of labels, for the tables.
        view: ``'neurological'`` or ``'radiological'``: how the page opens; it has a switch.
    """

    title: str
    images: Mapping[str, np.ndarray]
    displacement: np.ndarray
    spacing: Sequence[float]
    codes: str = ''
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    headline: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[Row] = ()
    warnings: Sequence[str] = ()
    curves: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    label_names: Mapping[int, str] = field(default_factory=dict)
    view: str = 'neurological'


def write_report(path: str | Path, content: ReportContent) -> None:
    """Write one self-contained HTML page, atomically; below 10 MB whatever the size of the images.

    Raises:
        DataError: an image is missing, or shapes do not belong together.
    """
    _check(content)
    write_text(path, report_html(content))


def report_html(content: ReportContent) -> str:
    """The page as text: style, script and pictures are inside, and its policy forbids to load anything."""
    return render_page(
        'report.html',
        content=content,
        warnings=[text[:1].upper() + text[1:] for text in content.warnings],
        lines=metric_lines(content.rows),
        details=metric_details(content.rows, content.label_names),
        curves=term_curves(content.curves),
        panel={'width': WIDTH, 'height': HEIGHT, 'left': LEFT, 'right': RIGHT, 'top': TOP, 'bottom': BOTTOM},
        plan=plan_parts(content.plan),
        data=viewer_data(content),
    )


def viewer_data(content: ReportContent) -> dict[str, Any]:
    """Everything the page's script draws, as plain values."""
    images = {name: np.asarray(content.images[name], np.float32) for name in IMAGES if name in content.images}
    field_ = np.asarray(content.displacement, np.float32)
    determinant = jacobian_of(field_)
    cuts = choose_cuts(images['fixed'], determinant <= 0, len(images) + 1 + bool(content.labels))
    ranges = {name: intensity_range(images['fixed' if name == 'fixed' else 'moving']) for name in images}
    return {
        'images': [{'key': name, 'name': IMAGES[name]} for name in images],
        'outlines': [name for name in images if name in content.labels],
        'jacobian': {'colours': _colours(), 'ticks': saturation_ticks(determinant)},
        'colours': {
            'outlines': OUTLINES,
            'overlay': OVERLAY,
            'fold': [round(255 * part) for part in FOLD_COLOUR],
        },
        'view': content.view if 'R' in content.codes else '',
        'planes': [_plane_data(content, cut, images, ranges, field_, determinant) for cut in cuts],
    }


def _plane_data(
    content: ReportContent,
    cut: Cut,
    images: Mapping[str, np.ndarray],
    ranges: Mapping[str, tuple[float, float]],
    displacement: np.ndarray,
    determinant: np.ndarray,
) -> dict[str, Any]:
    across, up = cut.in_plane
    shape = determinant.shape
    folds = [int((plane.cut(determinant) <= 0).sum()) for plane in cut.planes()]
    data: dict[str, Any] = {
        'name': cut.name if _anatomical(content.codes, len(shape)) else _plain_name(cut),
        'slices': cut.indices,
        'of': 1 if cut.axis is None else shape[cut.axis],
        'size': picture_size(cut, shape),
        'voxels': (shape[across], shape[up]),
        'mm': (shape[across] * float(content.spacing[across]), shape[up] * float(content.spacing[up])),
        'edges': edge_letters(content.codes, across, up),
        'folds': folds,
        'pictures': {name: grey_sprite(image, cut, ranges[name]) for name, image in images.items()},
        'jacobian': jacobian_sprite(determinant, cut),
        'grid': grid_points(displacement, cut),
    }
    names = [name for name in images if name in content.labels]
    if names:
        data['outline'] = outline_sprite(content.labels, names, cut)
    return data


def _anatomical(codes: str, ndim: int) -> bool:
    return ndim == 3 and codes == 'RAS'


def _plain_name(cut: Cut) -> str:
    return 'slice' if cut.axis is None else f'across axis {"ijk"[cut.axis]}'


def _colours() -> list[list[int]]:
    """RGB per grey value of the Jacobian pictures; 0 is the colour of folds."""
    determinants = np.concatenate([[0.0], np.geomspace(*JACOBIAN_RANGE, 255)])
    return (255 * jacobian_colours(determinants)).round().astype(int).tolist()


def _check(content: ReportContent) -> None:
    missing = [name for name in _REQUIRED if name not in content.images]
    if missing:
        raise DataError(f'report: found no {missing[0]} image, expected {", ".join(_REQUIRED)}')
    shape = np.shape(content.images['fixed'])
    for kind, arrays in (('image', content.images), ('label map', content.labels)):
        for name, array in arrays.items():
            if np.shape(array) != shape:
                raise DataError(f'report: found a {name} {kind} of shape {np.shape(array)}, expected {shape}')
    expected = (len(shape), *shape)
    if len(shape) not in (2, 3) or np.shape(content.displacement) != expected or len(content.spacing) != len(shape):
        raise DataError(
            f'report: found a displacement of shape {np.shape(content.displacement)} and {len(content.spacing)} '
            f'spacings, expected {expected} and one per axis'
        )
