"""The page of a propagation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmreg.io import Volume
from mmreg.io.label_tables import label_title
from mmreg.populations.page import Page, Picture, Section, named_lines, table_section, write_page
from mmreg.populations.pictures import labels_png, slices_png
from mmreg.populations.scans import Scan

from .fusion import disagreement
from .result import PropagationResult

_COLUMNS = ('scan_id', 'similarity', 'used', 'agreement', 'reason')
LABEL_COLUMNS = ('fusion', 'label', 'volume_ml', 'agreement')


def write_propagation_page(
    result: PropagationResult,
    target: Scan,
    labelled: Sequence[Mapping[str, Any]],
    names: Mapping[int, str],
) -> None:
    """Write ``index.html``: the scan, its labels and where the atlases disagree, the atlases.

    Args:
        result: What came out.
        target: The scan.
        labelled: Per way of fusion and label its volume, :data:`LABEL_COLUMNS`.
        names: Value -> name of labels.
    """
    fused, lines = result.fused, result.lines
    image = target.read()
    flat = image if image.array.ndim == image.ndim else Volume(image.array[..., 0], image.geometry)
    labels = {name: Volume(one.labels, image.geometry) for name, one in fused.items()}
    doubts = {name: Volume(disagreement(one), image.geometry) for name, one in fused.items()}
    pictures = [
        Picture(slices_png({target.scan_id: flat}), "The scan: middle slices, the patient's right on the right."),
        Picture(labels_png(labels), 'Its labels, by way of fusion.'),
        Picture(slices_png(doubts, 'magma', (0, 1)), 'Where the atlases disagree: 0 nowhere, 1 all of them.'),
    ]
    used = sum(line['used'] == 'yes' for line in lines)
    sections = [
        Section('Labels', pictures=pictures),
        table_section('Volumes', LABEL_COLUMNS, named_lines(labelled, names), _VOLUMES),
        table_section('Atlases', _COLUMNS, lines, _EXPLAINED),
    ]
    warnings = [f'{line["scan_id"]} was not used: {line["reason"]}' for line in lines if line.get('reason')]
    warnings += result.warnings
    summary = f'Labels of {target.scan_id} from {used} of {len(lines)} atlases, fused by {", ".join(fused)}.'
    write_page(result.out_dir / 'index.html', Page(f'Labels of {target.scan_id}', summary, sections, warnings))


def write_leave_one_out_page(
    out_dir: Path, atlases: Sequence[Scan], means: Sequence[tuple[str, str, float]], names: Mapping[int, str]
) -> None:
    """Write ``index.html`` of atlases that were scored by each other.

    Args:
        out_dir: Where it goes.
        atlases: The atlases.
        means: (way of fusion, label, mean Dice over the scans).
        names: Value -> name of labels.
    """
    lines = [{'fusion': fusion, 'label': label_title(label, names), 'Dice': dice} for fusion, label, dice in means]
    section = table_section('Dice', ('fusion', 'label', 'Dice'), lines, 'Means over the scans; label "all": over the '
                            'labels too. What belongs to one scan is in the folder of its name.')  # fmt: skip
    summary = f'Each of {len(atlases)} atlases in turn was the scan, and the others carried their labels to it.'
    write_page(out_dir / 'index.html', Page('Leave one out', summary, [section]))


_VOLUMES = 'Agreement: mean weight of the atlases that say so where the label is, 0 to 1.'
_EXPLAINED = (
    'Similarity: correlation with the scan where that shows something. Agreement: share of labelled voxels in which '
    'the atlas says what the result says.'
)
