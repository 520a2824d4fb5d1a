"""A few visits of one person: a template between them that favours none, and how volumes changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import DataError
from mmreg.io import Volume, write_volume
from mmreg.io.tables import write_table
from mmreg.populations.page import Page, Picture, Section, named_lines, table_section, write_page
from mmreg.populations.pictures import slices_png
from mmreg.populations.scans import Scan
from mmreg.populations.statistics.volumes import TemplateSpace
from mmreg.populations.template.build import Told, build_template
from mmreg.populations.template.settings import TemplateSettings
from mmreg.registration.cohort.engines.base import Engine
from mmreg.registration.options import RunOptions

COLUMNS = ('visit', 'years', 'label', 'volume_ml', 'change_percent', 'change_percent_per_year')
_YEAR = 365.25
#: Visits closer together than this have no rate.
_SHORTEST = 1 / 52


@dataclass
class LongitudinalResult:
    """What came out.

    Attributes:
        lines: Per visit and label its volume and change since the first visit.
        out_dir: Where everything lies.
        failures: Visit -> why it has no place.
    """

    lines: list[dict[str, Any]]
    out_dir: Path
    failures: dict[str, str]


def within_subject(
    visits: Sequence[Scan],
    out_dir: str | Path,
    options: RunOptions | None = None,
    *,
    rounds: int = 3,
    engine: Engine | None = None,
    told: Told = lambda stage, outcome: None,
    plugins: Sequence[str] = (),
    label_names: Mapping[int, str] | None = None,
) -> LongitudinalResult:
    """A template between the visits of one person, and how volumes changed from the first visit on.

    The visits are aligned rigidly, so that sizes stay; every visit is treated alike, so that none is smoother than the
    others because it was the reference.

    Args:
        visits: Two or more, the first one first; ``date`` (YYYY-MM-DD) in their tables makes rates.
        out_dir: Where everything goes: ``template/``, ``change/``, ``change.csv``, ``index.html``.
        options: How pairs are registered.
        rounds: Deformable rounds of the template.
        engine: Who registers.
        told: Called after each registration.
        plugins: Files that register parts.
        label_names: Value -> name, for the pages.

    Source: Reuter, Schmansky, Rosas, Fischl, Within-subject template estimation for unbiased longitudinal image
    analysis, NeuroImage 2012.

    Raises:
        InputError: one sentence for whatever is wrong with an input.
    """
    years = _years(visits)
    out_dir = Path(out_dir)
    settings = TemplateSettings(rounds=rounds, align='rigid', schedule=(1.0,))
    result = build_template(
        visits, out_dir / 'template', settings, options, engine=engine, told=told, plugins=plugins,
        label_names=label_names,
    )  # fmt: skip
    if engine is not None and not engine.is_first:
        return LongitudinalResult([], out_dir, result.failures)
    space = TemplateSpace.read(out_dir / 'template')
    if visits[0].scan_id not in space.scan_ids:
        raise DataError(
            f'{visits[0].scan_id}: {result.failures.get(visits[0].scan_id)}; expected the first visit in the template'
        )
    first = space.log_jacobian(visits[0].scan_id)
    baseline = {line['label']: line['volume_ml'] for line in space.region_lines(visits[0].scan_id, first)}
    lines, maps = [], {}
    for visit, year in zip(visits, years):
        if visit.scan_id not in space.scan_ids:
            continue
        values = first if visit is visits[0] else space.log_jacobian(visit.scan_id)
        change = Volume((100 * np.expm1(values - first)).astype(np.float32), space.template.geometry)
        write_volume(out_dir / 'change' / f'{visit.scan_id}.nii.gz', change)
        maps[visit.scan_id] = change
        lines += [_line(visit, year, line, baseline) for line in space.region_lines(visit.scan_id, values)]
    write_table(out_dir / 'change.csv', COLUMNS, lines, digits=7)
    _write_page(out_dir, space, maps, named_lines(lines, label_names or {}))
    return LongitudinalResult(lines, out_dir, result.failures)


def _line(visit: Scan, year: float | None, line: dict[str, Any], baseline: dict[Any, Any]) -> dict[str, Any]:
    ratio = line['volume_ml'] / baseline[line['label']]
    rate = None if year is None or abs(year) < _SHORTEST else 100 * (ratio ** (1 / year) - 1)
    return {
        'visit': visit.scan_id, 'years': year, 'label': line['label'], 'volume_ml': line['volume_ml'],
        'change_percent': 100 * (ratio - 1), 'change_percent_per_year': rate,
    }  # fmt: skip


def _years(visits: Sequence[Scan]) -> list[float | None]:
    """Years since the first visit, None where no dates are known."""
    texts = [visit.more.get('date') for visit in visits]
    if not any(texts):
        return [None] * len(visits)
    found = []
    for visit, text in zip(visits, texts):
        try:
            found.append(date.fromisoformat(text or ''))
        except ValueError as error:
            raise DataError(f'{visit.scan_id}: found the date {text!r}, expected YYYY-MM-DD of every visit') from error
    return [(one - found[0]).days / _YEAR for one in found]


def _write_page(out_dir: Path, space: TemplateSpace, maps: dict[str, Volume], lines: list[dict[str, Any]]) -> None:
    pictures = [
        Picture(slices_png({'template': space.template}), "The template; the patient's right is on the right."),
        Picture(slices_png(maps, 'RdBu_r', (-20, 20)), 'Change of volume since the first visit, percent.'),
    ]
    sections = [Section('Change', pictures=pictures), table_section('Volumes', COLUMNS, lines, _EXPLAINED)]
    write_page(out_dir / 'index.html', Page('Visits', f'{len(maps)} visits of one person.', sections))


_EXPLAINED = 'Volumes from the Jacobian determinant; rates per year where the table of visits has dates.'
