"""Numbers of one registered pair, after and before: one function makes all rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mmreg.io.tables import Row

from .functional import jacobian, landmarks, overlap, similarity, surface
from .functional.aggregate import nan_mean
from .functional.rigidity import BodyRigidity, body_rigidity

#: Rows of a body's motion -> where the number stands in its :class:`BodyRigidity`.
_BODY_ROWS = {
    'rigid_residual': 'residual_mm',
    'rigid_rotation': 'rotation_deg',
    'rigid_translation': 'translation_mm',
    'orthonormality': 'orthonormality',
    'properness': 'properness',
}


@dataclass(frozen=True, eq=False)
class AfterAndBefore:
    """The same thing of a pair in three versions: images or label maps ``(*S)`` on the fixed grid, or points
    ``(P, ndim)`` in mm.

    Attributes:
        target: Of the fixed image; for points their true places in the moving image.
        after: By the registration.
        before: Without it.
    """

    target: np.ndarray
    after: np.ndarray
    before: np.ndarray


@dataclass(frozen=True)
class PairNumbers:
    """All numbers of one pair.

    Attributes:
        rows: One per metric and item (label, landmark, body).
        bodies: How rigidly each labelled body moved; None where that was not asked for.
    """

    rows: list[Row]
    bodies: list[BodyRigidity] | None = None

    @property
    def summary(self) -> dict[str, Any]:
        """Per metric ``after`` and ``before`` (means over items) and, where there are items, each of them."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.metric, []).append(row)
        return {name: _summary(rows) for name, rows in found.items()}

    @property
    def folds_percent(self) -> float:
        """Percentage of voxels with a non-positive Jacobian determinant."""
        return next(row.value for row in self.rows if row.metric == 'folds_percent')


@dataclass(frozen=True, eq=False)
class Measured:
    """What the numbers of a pair are made of.

    Attributes:
        displacement: ``(ndim, *S)`` voxels.
        spacing: Voxel size in mm.
        label_maps: Fixed labels, moving labels warped and as they were; None where one is missing.
        points: In the moving image, world mm; None where one of both lists is missing.
        bodies: Warped labels ``(*S)`` whose motion is looked at; None where nobody asks.
        labels: Which values count; all but background by default.
        images: Fixed image, moving image warped and as it was (brought to the grid); None: no similarities.
        where: ``(*S)`` bool: voxels at which images are compared; all by default.
        mask: ``(*S)`` bool: the field's numbers are given inside it, too.
        minimised: What the method itself minimised of the images, before and after; lower is better.
    """

    displacement: np.ndarray
    spacing: Sequence[float]
    label_maps: AfterAndBefore | None = None
    points: AfterAndBefore | None = None
    bodies: np.ndarray | None = None
    labels: Sequence[int] | None = field(default=None)
    images: AfterAndBefore | None = None
    where: np.ndarray | None = None
    mask: np.ndarray | None = None
    minimised: tuple[float, float] | None = None


def measure_pair(case_id: str, given: Measured) -> PairNumbers:
    """Dice and HD95 (mm) per label, TRE (mm) per landmark, similarities, what the field is like, rigidity per body.

    The field is judged on the whole grid; where a mask is given, inside it as well (``..._mask``).
    """
    rows: list[Row] = []
    if given.label_maps is not None:
        rows += _label_rows(case_id, given.label_maps, given.spacing, given.labels)
    if given.points is not None:
        rows += _landmark_rows(case_id, given.points)
    if given.images is not None:
        rows += _similarity_rows(case_id, given.images, given.where, given.spacing)
    if given.minimised is not None:
        rows.append(Row(case_id, 'minimised', '', given.minimised[1], given.minimised[0]))
    rows += _field_rows(case_id, given.displacement, given.spacing, given.mask)
    if given.bodies is None:
        return PairNumbers(rows)
    field_, labels = torch.from_numpy(given.displacement), torch.from_numpy(given.bodies.astype(np.int64))
    bodies = body_rigidity(field_, labels, given.spacing, given.labels)
    return PairNumbers(rows + list(_body_rows(case_id, bodies)), bodies)


def _label_rows(
    case_id: str, maps: AfterAndBefore, spacing: Sequence[float], labels: Sequence[int] | None
) -> list[Row]:
    if labels is None:
        labels = sorted({int(v) for a in (maps.target, maps.before, maps.after) for v in np.unique(a)} - {0})
    scores = []
    for other in (maps.after, maps.before):
        distances = surface.label_surface_distances(other, maps.target, labels, spacing)
        scores.append((overlap.dice(other, maps.target, labels), [surface.robust_hausdorff(d) for d in distances]))
    (dice, hd95), (dice_before, hd95_before) = scores
    rows = [Row(case_id, 'dice', str(n), float(a), float(b)) for n, a, b in zip(labels, dice, dice_before)]
    return rows + [Row(case_id, 'hd95', str(n), float(a), float(b)) for n, a, b in zip(labels, hd95, hd95_before)]


def _landmark_rows(case_id: str, points: AfterAndBefore) -> list[Row]:
    after, before = (landmarks.target_errors(found, points.target) for found in (points.after, points.before))
    return [Row(case_id, 'tre', str(n), float(a), float(b)) for n, (a, b) in enumerate(zip(after, before))]


def _similarity_rows(
    case_id: str, images: AfterAndBefore, where: np.ndarray | None, spacing: Sequence[float]
) -> list[Row]:
    others = (images.after, images.before)
    lncc, nmi = zip(*(similarity.both_similarities(images.target, other, where, spacing) for other in others))
    shown = [similarity.foreground_overlap(images.target, other) for other in others]
    return [Row(case_id, 'lncc', '', *lncc), Row(case_id, 'nmi', '', *nmi), Row(case_id, 'foreground_dice', '', *shown)]


def _field_rows(case_id: str, displacement: np.ndarray, spacing: Sequence[float], mask: np.ndarray | None) -> list[Row]:
    """Of the whole grid: central differences, one-sided at the border; no motion is what it was before."""
    determinants = jacobian.determinant_map(torch.from_numpy(displacement), crop=0)
    steps = np.asarray(spacing, np.float32).reshape(-1, *(1,) * (displacement.ndim - 1))
    lengths = np.sqrt(np.square(displacement * steps).sum(axis=0))
    rows = [
        Row(case_id, 'sdlogj', '', jacobian.sd_log_jacobian(determinants), 0.0),
        Row(case_id, 'folds_percent', '', jacobian.fold_percent(determinants), 0.0),
    ]
    ends = np.percentile(determinants.numpy(), (0, 1, 99, 100))
    names = ('jacobian_min', 'jacobian_p1', 'jacobian_p99', 'jacobian_max')
    rows += [Row(case_id, name, '', float(value), 1.0) for name, value in zip(names, ends)]
    rows += [
        Row(case_id, 'displacement_mean_mm', '', float(lengths.mean(dtype=np.float64)), 0.0),
        Row(case_id, 'displacement_max_mm', '', float(lengths.max()), 0.0),
    ]
    if mask is not None and mask.any():
        inside = torch.from_numpy(mask)
        rows += [
            Row(case_id, 'sdlogj_mask', '', jacobian.sd_log_jacobian(determinants, inside), 0.0),
            Row(case_id, 'folds_percent_mask', '', jacobian.fold_percent(determinants, inside), 0.0),
        ]
    return rows


def _body_rows(case_id: str, bodies: Sequence[BodyRigidity]) -> Iterator[Row]:
    for metric, name in _BODY_ROWS.items():
        for body in bodies:
            yield Row(case_id, metric, str(body.label), getattr(body, name))


def _summary(rows: Sequence[Row]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        'after': nan_mean(row.value for row in rows),
        'before': nan_mean(row.initial for row in rows),
    }
    if rows[0].item:
        entry['items'] = {row.item: {'after': row.value, 'before': row.initial} for row in rows}
    return entry
