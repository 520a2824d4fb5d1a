"""The page of a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmreg.io import Volume, read_image, read_labels
from mmreg.populations.page import Page, Picture, Section, table_section, write_page
from mmreg.populations.pictures import curves_png, labels_png, slices_png


def write_template_page(
    out_dir: Path,
    start: Path,
    tables: Mapping[str, tuple[Sequence[str], Sequence[Mapping[str, Any]]]],
    warnings: Sequence[str],
) -> None:
    """Write ``index.html``: the template beside the image of the first round, convergence, scans, labels.

    Args:
        out_dir: Where it goes, and where the template and its labels are.
        start: Image of the first round.
        tables: ``'rounds'``, ``'scans'`` and ``'labels'``: columns and lines.
        warnings: What deserves a look.
    """
    template = read_image(out_dir / 'template.nii.gz')
    columns, rounds = tables['rounds']
    names, scans = tables['scans']
    curves = {
        'shape, mm': [float(row['shape_change_mm']) for row in rounds],
        'intensity, %': [float(row['intensity_change_percent']) for row in rounds],
    }
    pictures = [
        Picture(slices_png({'start': read_image(start), 'template': template}), 'Where the first round began, and the '
                'template: middle slices, the patient\'s right on the right.'),
    ]  # fmt: skip
    chart = Picture(curves_png(curves, 'round', 'change'), 'How far each round moved shape and intensity.', chart=True)
    sections = [
        Section('The template', pictures=pictures),
        Section('Convergence', pictures=[chart]),
        table_section('Rounds', columns, rounds),
        table_section('Scans', names, scans, 'Distance: root of the mean squared displacement, where the template '
                      'shows something. Similarity: correlation of the scan with the template in it.'),
    ]  # fmt: skip
    shown, labels = tables['labels']
    if labels:
        voted = read_labels(out_dir / 'labels.nii.gz', check=False)
        picture = Picture(labels_png({'labels': voted}), 'What most scans say.')
        sections.insert(2, table_section('Labels', shown, labels, _LABELS, [picture]))
    summary = f'Built from {len(scans)} scans in {len(rounds)} rounds, on a grid of {_words(template)}.'
    write_page(out_dir / 'index.html', Page('Template', summary, sections, warnings))


_LABELS = (
    'Volume of what most scans say, mean volume over the scans in the space of the template, and the mean share of the '
    'scans that say so there, 0 to 1.'
)


def _words(volume: Volume) -> str:
    shape = ' × '.join(map(str, volume.geometry.shape))
    return f'{shape} voxels of {" × ".join(f"{step:.3g}" for step in volume.geometry.spacing)} mm'
