"""Tables and page of a series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.io import Volume
from mmreg.io.tables import write_table
from mmreg.populations.page import Page, Picture, Section, table_section, write_page
from mmreg.populations.pictures import curves_png, slices_png

from .result import SeriesResult

#: So many labels are named below their curves.
_MOST_NAMES = 12
_MEASURES = ('from_reference_mm', 'from_previous_mm', 'power_fd_mm')


def write_series_page(
    out_dir: Path,
    result: SeriesResult,
    names: Sequence[str],
    mean: Volume,
    aligned: Sequence[np.ndarray],
    volumes: Sequence[Mapping[str, Any]],
) -> None:
    """Write ``motion.csv`` and ``index.html``: curves of the motion, mean and spread of the frames, tables.

    Args:
        out_dir: Where they go.
        result: What came out.
        names: Of the parameters of the motion.
        mean: Mean of the frames, on the grid of the reference.
        aligned: The frames on its grid.
        volumes: Per frame and label its volume.
    """
    columns = ('frame', 'name', *names, *_MEASURES, 'similarity', 'reason')
    write_table(out_dir / 'motion.csv', columns, result.rows, digits=6)
    half = mean.ndim
    spread = Volume(np.std(aligned, axis=0).astype(np.float32), mean.geometry)
    moved = _curves(result.rows, names[:half]), _curves(result.rows, names[half:]), _curves(result.rows, _MEASURES)
    pictures = [
        Picture(curves_png(moved[0], 'frame', 'mm'), 'Translation of the middle of the image.', chart=True),
        Picture(curves_png(moved[1], 'frame', 'degrees'), 'Rotation.', chart=True),
        Picture(curves_png(moved[2], 'frame', 'mm'), 'Distance from the reference and between frames.', chart=True),
    ]
    sections = [
        Section('Motion', _EXPLAINED, pictures),
        Section(
            'Frames together',
            pictures=[
                Picture(
                    slices_png({'mean': mean, 'standard deviation': spread}), 'Mean and spread of the aligned frames.'
                )
            ],
        ),
    ]
    if volumes:
        labels = list(dict.fromkeys(line['label'] for line in volumes))
        titles = {label: label if isinstance(label, str) else f'label {label}' for label in labels}
        curves = {
            title: [float(line['volume_ml']) for line in volumes if line['label'] == label]
            for label, title in titles.items()
        }
        told = f'Volume of each label: {", ".join(list(titles.values())[:_MOST_NAMES])}.'
        chart = Picture(curves_png(curves, 'frame', 'ml'), told, chart=True)
        sections.append(Section('Labels', pictures=[chart]))
    sections.append(table_section('Frames', columns, result.rows))
    summary = f'{len(result.rows)} frames.'
    if result.drift_mm is not None:
        summary += (
            f' After one turn of the cycle, points are {result.drift_mm:.3g} mm from where they began, on average.'
        )
    warnings = [f'{name}: {reason}' for name, reason in result.failures.items()] + result.warnings
    write_page(out_dir / 'index.html', Page('Series', summary, sections, warnings))


def _curves(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, list[float]]:
    return {name.replace('_', ' '): [float(row.get(name, np.nan)) for row in rows] for name in names}


_EXPLAINED = (
    'Of the map from the reference to each frame, in RAS mm. From reference and from previous: mean distance of what '
    'the reference shows. Power FD: sum of the changes of the six parameters, rotations on a sphere of 50 mm.'
)
