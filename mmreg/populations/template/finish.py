"""What a template leaves behind: the image, the maps to and from every scan, labels, tables and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import InputError
from mmreg.evaluation.functional import jacobian
from mmreg.evaluation.functional.similarity import foreground
from mmreg.io import (
    Transform,
    Volume,
    affine_transform,
    compose,
    displacement_transform,
    read_labels,
    resample_to,
    write_transform,
    write_volume,
)
from mmreg.io.tables import write_json, write_table
from mmreg.populations.affine_means import TURNED, turn_degrees
from mmreg.populations.page import named_lines
from mmreg.populations.sampling import ALIKE, correlation
from mmreg.populations.scans import Scan
from mmreg.registration.results.folder import MARKER, replacing_folder
from mmreg.registration.results.inverse import COMPUTED, inverse_of, own_inverse
from mmreg.utils.text_files import read_json
from mmreg.version import __version__

from .page import write_template_page
from .round import Placed, lengths_mm

ROUND_COLUMNS = ('round', 'kind', 'spacing_mm', 'scans', 'failed', 'shape_change_mm', 'intensity_change_percent')
SCAN_COLUMNS = (
    'scan_id', 'image', 'weight', 'distance_mm', 'coverage_percent', 'similarity', 'sdlogj', 'folds_percent',
    'inverse_error_mm', 'turned_deg', 'inverse',
)  # fmt: skip
#: Volume of the voted label, mean volume over the scans in template space, mean share of the scans that agree.
LABEL_COLUMNS = ('label', 'volume_ml', 'mean_volume_ml', 'agreement')


@dataclass(frozen=True)
class Finished:
    """The last round.

    Attributes:
        out_dir: Where the results go.
        placed: The scans and where they are, seen from the template.
        template: The template.
        coverage: Per scan, how much of the template's grid it covers, percent.
        failures: Per scan without a place: why.
        rows: Per round its numbers.
        with_labels: Whether the scans have label maps.
    """

    out_dir: Path
    placed: Sequence[Placed]
    template: Volume
    coverage: Mapping[str, float]
    failures: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]]
    with_labels: bool


def write_results(finished: Finished, plan: Mapping[str, Any]) -> None:
    """Write everything but the page; ``template.nii.gz`` first, ``plan.json`` last."""
    out_dir = finished.out_dir
    write_volume(out_dir / 'template.nii.gz', finished.template)
    lines = [_write_scan(finished, one) for one in finished.placed]
    write_table(out_dir / 'scans.csv', SCAN_COLUMNS, lines, digits=6, nan='')
    write_table(out_dir / 'convergence.csv', ROUND_COLUMNS, finished.rows, digits=6)
    failures = [{'scan_id': name, 'reason': reason} for name, reason in finished.failures.items()]
    if failures:
        write_table(out_dir / 'failures.csv', ('scan_id', 'reason'), failures)
    else:
        (out_dir / 'failures.csv').unlink(missing_ok=True)
    labels = write_labels(finished) if finished.with_labels else []
    warnings = [f'{name} has no place in it: {reason}' for name, reason in finished.failures.items()]
    warnings += [
        f'{line["scan_id"]} is turned by {line["turned_deg"]:.0f} degrees against the mean of all: look at it.'
        for line in lines
        if line['turned_deg'] > TURNED
    ]
    warnings += [
        f'{line["scan_id"]} looks different: it correlates with the template by {line["similarity"]:.2f} only. '
        'Look at it; scans of another contrast do not belong into one average.'
        for line in lines
        if not line['similarity'] >= ALIKE
    ]
    found = {'rounds': list(finished.rows), 'scans': lines, 'labels': labels, 'warnings': warnings}
    write_json(out_dir / MARKER, {**plan, 'mmreg': __version__, **found})


def write_page(out_dir: Path, start: Path, names: Mapping[int, str]) -> list[str]:
    """Write ``index.html`` from what a finished template says in ``plan.json``; one of an older version keeps its page.

    Args:
        out_dir: Its folder.
        start: Image of the first round.
        names: Value -> name of labels.

    Returns:
        What deserves a look.
    """
    try:
        plan = read_json(out_dir / MARKER)
        tables = {
            'rounds': (ROUND_COLUMNS, plan['rounds']),
            'scans': (SCAN_COLUMNS, plan['scans']),
            'labels': (LABEL_COLUMNS, named_lines(plan['labels'], names)),
        }
    except (InputError, KeyError, TypeError):
        return []
    write_template_page(out_dir, start, tables, plan['warnings'])
    return list(plan['warnings'])


def _write_scan(finished: Finished, one: Placed) -> dict[str, Any]:
    """The maps between template and scan, and a line of numbers."""
    origin = COMPUTED
    scan, numbers = one.scan, {'sdlogj': 0.0, 'folds_percent': 0.0, 'distance_mm': 0.0, 'inverse_error_mm': 0.0}
    forward, backward = affine_transform(one.affine), affine_transform(np.linalg.inv(one.affine))
    if one.displacement is not None and one.grid is not None:
        displacement = one.displacement()
        forward = displacement_transform(displacement, one.grid, one.affine)
        own = None if one.inverse is None else own_inverse(displacement, one.grid, one.inverse())
        inverse = own or inverse_of(displacement, one.grid, divide=False)
        backward = compose(backward, displacement_transform(inverse.displacement, inverse.geometry))
        numbers = _numbers(displacement, one, finished.template)
        numbers['inverse_error_mm'], origin = inverse.residual.mean, inverse.origin
    with replacing_folder(finished.out_dir / 'transforms' / scan.scan_id) as folder:
        write_transform(folder / 'transform.h5', forward)
        write_transform(folder / 'inverse_transform.h5', backward)
        write_json(folder / MARKER, {'files': ['inverse_transform.h5', MARKER, 'transform.h5']})
    numbers['turned_deg'] = turn_degrees(one.affine)
    numbers['similarity'] = _similarity(finished.template, scan, forward)
    return {
        'scan_id': scan.scan_id, 'image': str(scan.image), 'weight': scan.weight,
        'coverage_percent': finished.coverage[scan.scan_id], **numbers, 'inverse': origin,
    }  # fmt: skip


def _numbers(displacement: np.ndarray, one: Placed, template: Volume) -> dict[str, float]:
    import torch

    assert one.grid is not None
    determinant = jacobian.determinant_map(torch.from_numpy(displacement), crop=0)
    front = foreground(resample_to(template, one.grid).array)
    return {
        'distance_mm': lengths_mm(displacement, one.grid, front),
        'sdlogj': float(jacobian.sd_log_jacobian(determinant)),
        'folds_percent': float(jacobian.fold_percent(determinant)),
    }


def _similarity(template: Volume, scan: Scan, forward: Transform) -> float:
    """Correlation of the template with the scan in it, where the template shows something."""
    sampled = resample_to(scan.read(), template.geometry, transform=forward).array
    front = foreground(template.array)
    return correlation(template.array[front], sampled[front])


def write_labels(finished: Finished) -> list[dict[str, Any]]:
    """Per label how probable it is in the template, 0 to 1, and the label that most scans see there.

    Returns:
        Lines with :data:`LABEL_COLUMNS`, which ``labels.csv`` has too.
    """
    grid = finished.template.geometry
    shares: dict[int, np.ndarray] = {}
    total = 0.0
    for one in finished.placed:
        assert one.scan.labels is not None
        labels = read_labels(one.scan.labels)
        warped = resample_to(labels, grid, 'nearest', transform=one.transform()).array
        for value in np.unique(warped[warped != 0]).tolist():
            share = shares.setdefault(int(value), np.zeros(grid.shape, np.float32))
            share += one.scan.weight * (warped == value)
        total += one.scan.weight
    values = sorted(shares)
    for value in values:
        shares[value] /= total
        write_volume(finished.out_dir / 'probabilities' / f'label_{value}.nii.gz', Volume(shares[value], grid))
    voted, best = np.zeros(grid.shape, np.int32), np.ones(grid.shape, np.float32)
    for value in values:
        best -= shares[value]  # what is left for the background
    for value in values:
        wins = shares[value] > best
        voted[wins], best[wins] = value, shares[value][wins]
    write_volume(finished.out_dir / 'labels.nii.gz', Volume(voted, grid))
    voxel = float(np.prod(grid.spacing)) / 1000
    lines: list[dict[str, Any]] = [
        {
            'label': value,
            'volume_ml': float((voted == value).sum() * voxel),
            'mean_volume_ml': float(shares[value].sum(dtype=np.float64) * voxel),
            'agreement': float(shares[value][voted == value].mean()) if (voted == value).any() else float('nan'),
        }
        for value in values
    ]
    write_table(finished.out_dir / 'labels.csv', LABEL_COLUMNS, lines, digits=6, nan='')
    return lines
