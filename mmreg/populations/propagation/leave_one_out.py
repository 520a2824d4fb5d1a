"""How good a set of atlases is: each one in turn is the scan, and the others carry their labels to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import DataError
from mmreg.io.tables import write_table
from mmreg.populations.scans import Scan

from .page import write_leave_one_out_page
from .propagate import Work, carried, check_atlases, check_contrast, on_grid_of

COLUMNS = ('scan_id', 'fusion', 'label', 'dice')


def leave_one_out(atlases: Sequence[Scan], out_dir: str | Path, work: Work) -> list[dict[str, Any]]:
    """Dice of every label, fusion and atlas.

    Args:
        atlases: Two or more scans with label maps.
        out_dir: A folder per atlas, ``leave_one_out.csv`` and ``index.html``.
        work: How.

    Returns:
        Lines with :data:`COLUMNS`; empty in all processes but the first.
    """
    check_atlases(atlases)
    if len(atlases) < 2:
        raise DataError(f'atlases: found {len(atlases)}, expected two or more, of which each in turn is the scan')
    check_contrast(None, atlases, work.settings)
    lines: list[dict[str, Any]] = []
    for target in atlases:
        others = [atlas for atlas in atlases if atlas.scan_id != target.scan_id]
        result = carried(target, others, Path(out_dir) / target.scan_id, work)
        assert target.labels is not None
        truth = on_grid_of(target, target.labels) if result.fused else None
        for name, fused in result.fused.items():
            assert truth is not None
            lines += [
                {
                    'scan_id': target.scan_id,
                    'fusion': name,
                    'label': int(value),
                    'dice': _dice(truth, fused.labels, value),
                }
                for value in np.unique(truth[truth != 0])
            ]
    if lines:
        write_table(Path(out_dir) / 'leave_one_out.csv', COLUMNS, lines, digits=6)
        write_leave_one_out_page(Path(out_dir), atlases, mean_dice(lines), work.label_names)
    return lines


def mean_dice(lines: Sequence[dict[str, Any]]) -> list[tuple[str, str, float]]:
    """(fusion, label, mean over the scans), and of each fusion the mean over all as label ``'all'``."""
    found = []
    for fusion in dict.fromkeys(line['fusion'] for line in lines):
        own = [line for line in lines if line['fusion'] == fusion]
        for label in sorted({line['label'] for line in own}):
            found.append((fusion, str(label), float(np.mean([x['dice'] for x in own if x['label'] == label]))))
        found.append((fusion, 'all', float(np.mean([line['dice'] for line in own]))))
    return found


def _dice(truth: np.ndarray, found: np.ndarray, value: int) -> float:
    first, second = truth == value, found == value
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))
