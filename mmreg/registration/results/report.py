"""From a registration result to its report: everything in one orientation, so that planes have their usual names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.io import Volume, affine_transform, resample_to
from mmreg.io.displacement import reoriented_displacement
from mmreg.io.resample import outside_value
from mmreg.visualization.report import ReportContent, write_report

from .headline import facts
from .values import ResultValues

#: Parts of the plan that the page shows elsewhere.
_SHOWN = ('curves', 'metrics', 'warnings', 'files')
#: Name of the page in a folder of results.
REPORT = 'report.html'


def report_content(
    result: ResultValues,
    plan: Mapping[str, Any] | None = None,
    curves: Mapping[str, Sequence[tuple[int, int, float]]] | None = None,
    labels: Mapping[str, Volume] | None = None,
) -> ReportContent:
    """What the report of a result shows.

    Args:
        result: A registered pair.
        plan: Settings, versions, digests, times; by default ``result.provenance``.
        curves: Name of a term -> (level, iteration, value) in order; by default ``result.curves``.
        labels: 'fixed' on the fixed grid and 'moving' on the moving grid, for outlines; warped labels come from the
            result.
    """
    geometry = result.geometry
    codes = 'RAS'[: geometry.ndim]
    volumes = {'fixed': result.fixed.volume, 'moving': result.before, 'warped': result.warped}
    if result.affine is not None and not np.allclose(result.affine, np.eye(len(result.affine))):
        moving = result.moving.volume
        volumes['aligned'] = resample_to(
            moving, geometry, transform=affine_transform(result.affine), fill=outside_value(moving.array)
        )
    return ReportContent(
        title=result.case_id,
        images={name: volume.reoriented(codes).channel_first()[0] for name, volume in volumes.items()},
        displacement=reoriented_displacement(result.displacement, geometry, codes),
        spacing=geometry.reoriented(codes).spacing,
        codes=codes,
        labels={name: volume.reoriented(codes).array for name, volume in labels_of(result, labels or {}).items()},
        headline=_headline(result),
        rows=result.rows,
        warnings=result.warnings,
        label_names=result.label_names,
        view=result.view,
        curves=result.curves if curves is None else curves,
        plan={key: value for key, value in (result.provenance if plan is None else plan).items() if key not in _SHOWN},
    )


def write_result_report(result: ResultValues, folder: str | Path, labels: Mapping[str, Volume] | None = None) -> Path:
    """Write ``report.html`` of a result into a folder; returns its path."""
    path = Path(folder) / REPORT
    write_report(path, report_content(result, labels=labels))
    return path


def labels_of(result: ResultValues, given: Mapping[str, Volume]) -> dict[str, Volume]:
    """Label maps on the fixed grid by the names of the images they belong to."""
    found: dict[str, Volume] = {}
    if 'fixed' in given:
        found['fixed'] = given['fixed']
    if result.warped_labels is not None:
        found['warped'] = result.warped_labels
    if 'moving' in given:
        found['moving'] = resample_to(given['moving'], result.geometry, 'nearest')
    return found


def _headline(result: ResultValues) -> dict[str, str]:
    """The facts on top of the page."""
    shown = {'fixed image': Path(result.fixed.name).name, 'moving image': Path(result.moving.name).name}
    shape, spacing = result.geometry.shape, result.geometry.spacing
    shown['fixed grid'] = f'{" x ".join(map(str, shape))} voxels, {" x ".join(f"{s:.3g}" for s in spacing)} mm'
    shown |= facts(result.metrics)
    if 'total' in result.timings:
        shown['time'] = f'{result.timings["total"]:.1f} s'
    return shown
