"""All numbers and warnings of one result."""

from __future__ import annotations

from collections.abc import Sequence

from mmreg.io import resample_to
from mmreg.registration.inputs import Pair
from mmreg.registration.method import Method
from mmreg.registration.working.preparation import range_warning

from . import coverage, measure
from .result import RegistrationResult
from .rigidity import add_rigidity


def judge(
    result: RegistrationResult, pair: Pair, method: Method, overlap: float, labels: Sequence[int] | None = None
) -> None:
    """Fill ``rows``, ``metrics`` and ``warnings`` of a result.

    Args:
        result: With everything that follows the displacement.
        pair: Labels and landmarks to score with.
        method: Asked for the rigidity report, and whether its weights mean anything.
        overlap: Percentage of the fixed grid inside the moving field of view before the deformation.
        labels: Label values to score; all but background by default.
    """
    _rows(result, pair, labels)
    if method.preparation.rigidity:
        add_rigidity(result, labels)
    geometry = result.geometry
    shown = coverage.shown_voxels(result.fixed.volume)
    fields = ((result.displacement, None), (None, shown), (result.displacement, shown))
    mapped, before, after = (
        coverage.inside_percent(coverage.mapped_points(geometry, field, result.affine, where), result.moving.geometry)
        for field, where in fields
    )
    result.metrics = {**measure.summary(result.rows), 'overlap_percent': overlap, 'mapped_inside_percent': mapped}
    if result.inverse_residual is not None:
        result.metrics['inverse_residual_mm'] = vars(result.inverse_residual)
    for image in (result.fixed, result.moving):
        result.warnings += measure.geometry_warnings(image.name, image.geometry)
    result.warnings += result.alignment.warnings
    ranges = [range_warning(x.volume.array, x.name, method.preparation) for x in (result.fixed, result.moving)]
    result.warnings += [text for text in ranges if text]
    result.warnings += measure.warnings_in_words(
        overlap, (before, after), result.rows, result.inverse_residual, min(geometry.spacing)
    )
    if method.checkpoint is None and any(True for _ in method.source.model.parameters()):
        result.warnings.append('no checkpoint was given: the weights are random and the result means nothing.')


def _rows(result: RegistrationResult, pair: Pair, labels: Sequence[int] | None) -> None:
    geometry, case = result.geometry, result.case_id
    scored, points = pair.scored, pair.points
    if len(scored) == 2 and result.warped_labels is not None:
        before = resample_to(scored['moving'].volume, geometry, 'nearest').array
        fixed = scored['fixed'].volume.array
        result.rows += measure.label_rows(case, fixed, result.warped_labels.array, before, geometry.spacing, labels)
    if len(points) == 2 and result.landmarks_in_moving is not None:
        target = points['moving'].in_world(result.moving.geometry)
        result.rows += measure.landmark_rows(
            case, result.landmarks_in_moving.points, target, points['fixed'].in_world(geometry)
        )
    result.rows += measure.field_rows(case, result.displacement)
