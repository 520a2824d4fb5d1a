"""All numbers and warnings of one result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmreg.evaluation.pair import AfterAndBefore, Measured, PairNumbers, measure_pair
from mmreg.registration.inputs import Pair
from mmreg.registration.inputs.views import shown_voxels
from mmreg.registration.method import Method
from mmreg.registration.working.preparation import range_warning
from mmreg.zoo.suitability import warnings_of_weights

from .coverage import compared_voxels, inside_percent
from .doubts import doubts_in_words
from .follow import unmoved
from .values import ResultValues
from .warnings import geometry_warnings, turn_warnings, warnings_in_words


def judge(
    result: ResultValues, pair: Pair, method: Method, overlap: float, labels: Sequence[int] | None = None
) -> None:
    """Fill ``rows``, ``metrics``, ``rigidity`` and ``warnings`` of a result.

    Args:
        result: With everything that follows the displacement.
        pair: Labels and landmarks to score with.
        method: Asked for the rigidity report, and whether its weights mean anything.
        overlap: Percentage of the fixed grid inside the moving field of view before the deformation.
        labels: Label values to score; all but background by default.
    """
    rigidity = method.preparation.rigidity and result.warped_labels is not None
    numbers = measure_pair(result.case_id, _given(result, pair, rigidity, labels))
    result.rows, result.rigidity = numbers.rows, numbers.bodies
    shown = shown_voxels(result.fixed.volume)
    fields = ((result.displacement, None), (None, shown), (result.displacement, shown))
    mapped, before, after = (
        inside_percent(result.geometry, field, result.affine, result.moving.geometry, where) for field, where in fields
    )
    result.metrics = {**numbers.summary, 'overlap_percent': overlap, 'mapped_inside_percent': mapped}
    if result.inverse_residual is not None:
        result.metrics['inverse_residual_mm'] = vars(result.inverse_residual)
    if result.affine is not None:
        result.metrics['affine_mm'] = _affine_lengths(result, shown)
    result.warnings += _rigidity_warnings(numbers)
    result.warnings += pair.remarks
    result.warnings += _input_warnings(result, method)
    result.warnings += doubts_in_words(numbers.summary)
    result.warnings += warnings_in_words(
        overlap,
        (before, after),
        numbers.folds_percent,
        _deformation(result, shown),
        result.inverse_residual,
        min(result.geometry.spacing),
    )
    if method.checkpoint is None and any(True for _ in method.source.model.parameters()):
        result.warnings.append('no checkpoint was given: the weights are random and the result means nothing.')


def _deformation(result: ResultValues, shown: np.ndarray) -> tuple[float, float]:
    """SDlogJ, and how far what the fixed image shows moves beyond the affine, 95th percentile in mm."""
    rough = next(row.value for row in result.rows if row.metric == 'sdlogj')
    moved = result.displacement[:, shown] if shown.any() else result.displacement.reshape(len(result.displacement), -1)
    length = np.linalg.norm(result.geometry.matrix @ moved, axis=0)
    return float(rough), float(np.percentile(length[:: max(1, len(length) // 200_000)], 95))


def _affine_lengths(result: ResultValues, shown: np.ndarray) -> dict[str, float]:
    """How far the affine brings what the fixed image shows, in mm: mean and largest."""
    voxels = np.argwhere(shown if shown.any() else np.ones_like(shown))
    world = result.geometry.voxel_to_world(voxels[:: max(1, len(voxels) // 200_000)])
    affine = np.asarray(result.affine)
    length = np.linalg.norm(world @ affine[:-1, :-1].T + affine[:-1, -1] - world, axis=1)
    return {'mean': float(length.mean()), 'max': float(length.max())}


def _given(result: ResultValues, pair: Pair, rigidity: bool, labels: Sequence[int] | None) -> Measured:
    """What the numbers are made of."""
    geometry = result.geometry
    scored, points = pair.scored, pair.points
    maps = places = None
    mask = pair.masks.get('fixed')
    if len(scored) == 2 and result.warped_labels is not None:
        before = unmoved(scored['moving'].volume, geometry, 'nearest').array
        maps = AfterAndBefore(scored['fixed'].volume.array, result.warped_labels.array, before)
    if len(points) == 2 and result.landmarks_in_moving is not None:
        target = points['moving'].in_world(result.moving.geometry)
        places = AfterAndBefore(target, result.landmarks_in_moving.points, points['fixed'].in_world(geometry))
    bodies = result.warped_labels.array if rigidity and result.warped_labels is not None else None
    return Measured(
        result.displacement, geometry.spacing, maps, places, bodies, labels,
        images=_images(result), minimised=result.minimised,
        where=compared_voxels(result), mask=None if mask is None else mask.volume.array > 0,
    )  # fmt: skip


def _images(result: ResultValues) -> AfterAndBefore:
    """First channels of the fixed image, the warped one and the moving one brought to its grid."""
    arrays = (volume.channel_first()[0] for volume in (result.fixed.volume, result.warped, result.before))
    return AfterAndBefore(*arrays)


def _rigidity_warnings(numbers: PairNumbers) -> list[str]:
    if numbers.bodies is None:
        return []
    if not numbers.bodies:
        return ['rigidity: no labelled body lies inside the fixed image, so none was measured.']
    return [f'rigidity: {body.remark}' for body in numbers.bodies if body.remark]


def _input_warnings(result: ResultValues, method: Method) -> list[str]:
    """Of both headers, the affine search, and the intensities."""
    images = (result.fixed, result.moving)
    found = [text for image in images for text in geometry_warnings(image.name, image.geometry)]
    found += result.alignment.warnings
    found += warnings_of_weights(method.meta.get('weights'), [(image.name, image.volume) for image in images])
    if result.alignment.search is not None:
        found += turn_warnings(result.alignment.matrix)
    ranges = [range_warning(image.volume.array, image.name, method.preparation) for image in images]
    return found + [text for text in ranges if text]
