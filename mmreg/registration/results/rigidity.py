"""The rigidity report of a registered pair: how each labelled body moved, as a table."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from mmreg.io.tables import write_json, write_table

from .values import ResultValues

#: Columns of ``rigidity.csv``; ``dice`` is empty where the fixed image has no labels.
COLUMNS = (
    'label', 'voxels', 'rotation_deg', 'translation_mm', 'residual_mm', 'orthonormality', 'properness', 'dice',
)  # fmt: skip


def write_rigidity(result: ResultValues, folder: Path) -> None:
    """``rigidity.csv`` (one row per body) and ``rigidity.json``; nothing where the rigidity was not measured."""
    if result.rigidity is None:
        return
    dice = {row.item: row.value for row in result.rows if row.metric == 'dice'}
    names = result.label_names
    records = [{**asdict(body), 'dice': dice.get(str(body.label))} for body in result.rigidity]
    if names:
        records = [{**record, 'name': names.get(record['label'], '')} for record in records]
    write_table(folder / 'rigidity.csv', (*COLUMNS, 'name') if names else COLUMNS, records)
    content = {
        'case_id': result.case_id,
        'inside': 'warped labels of the moving image on the fixed grid',
        'bodies': records,
    }
    write_json(folder / 'rigidity.json', content)
