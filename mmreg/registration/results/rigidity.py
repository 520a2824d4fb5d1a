"""The rigidity report of a registered pair: how each labelled body moved, as rows, table and words."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from mmreg.evaluation.functional.rigidity import BodyRigidity, body_rigidity
from mmreg.io import write_text
from mmreg.io.tables import Row, write_json

from .values import ResultValues

#: Columns of ``rigidity.csv``; ``dice`` is empty where the fixed image has no labels.
COLUMNS = (
    'label', 'voxels', 'rotation_deg', 'translation_mm', 'residual_mm', 'orthonormality', 'properness', 'dice',
)  # fmt: skip
_METRICS = {
    'rigid_residual': 'residual_mm',
    'rigid_rotation': 'rotation_deg',
    'rigid_translation': 'translation_mm',
    'orthonormality': 'orthonormality',
    'properness': 'properness',
}


def add_rigidity(result: ResultValues, labels: Sequence[int] | None = None) -> None:
    """Measure the bodies in the warped labels of ``result``; their numbers become rows, what cannot be told a warning.

    Args:
        result: With ``warped_labels``; nothing happens without.
        labels: Bodies to look at; all by default.
    """
    if result.warped_labels is None:
        return
    bodies = body_rigidity(
        torch.from_numpy(result.displacement),
        torch.from_numpy(result.warped_labels.array.astype('int64')),
        result.geometry.spacing,
        labels,
    )
    result.rigidity = bodies
    result.rows += [
        Row(result.case_id, metric, str(body.label), getattr(body, name))
        for metric, name in _METRICS.items()
        for body in bodies
    ]
    result.warnings += [f'rigidity: {body.remark}' for body in bodies if body.remark]
    if not bodies:
        result.warnings.append('rigidity: no labelled body lies inside the fixed image, so none was measured.')


def write_rigidity(result: ResultValues, folder: Path) -> None:
    """``rigidity.csv`` (one row per body) and ``rigidity.json``; nothing where the rigidity was not measured."""
    if result.rigidity is None:
        return
    dice = {row.item: row.value for row in result.rows if row.metric == 'dice'}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(COLUMNS)
    records = [{**asdict(body), 'dice': dice.get(str(body.label))} for body in result.rigidity]
    writer.writerows(['' if record[name] is None else record[name] for name in COLUMNS] for record in records)
    write_text(folder / 'rigidity.csv', text.getvalue())
    content = {
        'case_id': result.case_id,
        'inside': 'warped labels of the moving image on the fixed grid',
        'bodies': records,
    }
    write_json(folder / 'rigidity.json', content)


__all__ = ['BodyRigidity', 'add_rigidity', 'write_rigidity']
