"""The page of a propagation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmreg.io import Volume
from mmreg.populations.page import Page, Picture, Section, table_section, write_page
from mmreg.populations.pictures import slices_png
from mmreg.populations.scans import Scan

from .fusion import Fused, disagreement

_COLUMNS = ('scan_id', 'similarity', 'used', 'agreement', 'reason')


def write_propagation_page(
    out_dir: Path, target: Scan, fused: Mapping[str, Fused], lines: Sequence[Mapping[str, Any]]
) -> None:
    """Write ``index.html``: the scan, its labels and where the atlases disagree, the atlases."""
    image = target.read()
    flat = image if image.array.ndim == image.ndim else Volume(image.array[..., 0], image.geometry)
    highest = max(1, *(int(one.labels.max()) for one in fused.values()))
    labels = {name: Volume(one.labels.astype('float32'), image.geometry) for name, one in fused.items()}
    doubts = {name: Volume(disagreement(one), image.geometry) for name, one in fused.items()}
    pictures = [
        Picture(slices_png({target.scan_id: flat}), "The scan: middle slices, the patient's right on the right."),
        Picture(slices_png(labels, 'nipy_spectral', (0, highest)), 'Its labels, by way of fusion.'),
        Picture(slices_png(doubts, 'magma', (0, 1)), 'Where the atlases disagree: 0 nowhere, 1 all of them.'),
    ]
    used = sum(line['used'] == 'yes' for line in lines)
    sections = [Section('Labels', pictures=pictures), table_section('Atlases', _COLUMNS, lines, _EXPLAINED)]
    warnings = [f'{line["scan_id"]} was not used: {line["reason"]}' for line in lines if line.get('reason')]
    summary = f'Labels of {target.scan_id} from {used} of {len(lines)} atlases, fused by {", ".join(fused)}.'
    write_page(out_dir / 'index.html', Page(f'Labels of {target.scan_id}', summary, sections, warnings))


_EXPLAINED = (
    'Similarity: correlation with the scan where that shows something. Agreement: share of labelled voxels in which '
    'the atlas says what the result says.'
)
