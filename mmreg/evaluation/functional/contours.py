"""Distances between regions and between their contours, per volume or per slice, as used for cardiac images.

Distances are Euclidean, in the unit of the spacing, between voxel centres. The published code hands the spacing to
SimpleITK without reversing it, so it lands on the axes in reverse order; ``reverse_spacing`` does that for comparison
with its numbers. Source: ``gradirn.md`` section 6, golden ``gradirn/metrics``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from mmreg.errors import DataError

from .aggregate import nan_mean


class RegionDistances(NamedTuple):
    """``hausdorff``: the larger of both directed maxima. ``average``: mean of both directed means."""

    hausdorff: float
    average: float


_NOTHING = RegionDistances(math.nan, math.nan)


def region_distances(first: np.ndarray, second: np.ndarray, spacing: Sequence[float] | None = None) -> RegionDistances:
    """Hausdorff and average distance between all voxels of two masks; NaN when either is empty.

    The average is over *all* voxels of a mask (0 for those inside the other): published code calls it "average surface
    distance", which it is not; see :func:`mmreg.evaluation.functional.surface.average_surface_distance`.

    Args:
        first: Boolean mask, any number of axes.
        second: The same shape.
        spacing: Voxel size per axis; default 1.
    """
    if first.shape != second.shape:
        raise DataError(f'masks have the shapes {first.shape} and {second.shape}, expected one shape.')
    if not (first.any() and second.any()):
        return _NOTHING
    box = ndimage.find_objects((first | second).astype(np.uint8), max_label=1)[0]
    a, b = first[box], second[box]
    to_b = ndimage.distance_transform_edt(~b, sampling=spacing)[a]
    to_a = ndimage.distance_transform_edt(~a, sampling=spacing)[b]
    return RegionDistances(float(max(to_b.max(), to_a.max())), float((to_b.mean() + to_a.mean()) / 2))


def contour_distances(first: np.ndarray, second: np.ndarray, spacing: Sequence[float] | None = None) -> RegionDistances:
    """The same between the contours of two masks: Hausdorff and mean contour distance (MCD).

    A contour is the mask without its erosion by the face neighbours.
    """
    return region_distances(contour(first), contour(second), spacing)


def contour(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask with a face neighbour outside it or outside the image."""
    return mask & ~ndimage.binary_erosion(mask)


def class_distances(
    prediction: np.ndarray,
    target: np.ndarray,
    spacing: Sequence[float] | None = None,
    measure: Callable[..., RegionDistances] = region_distances,
    *,
    per_slice: bool = False,
    reverse_spacing: bool = False,
    values: Sequence[int] | None = None,
) -> dict[int, RegionDistances]:
    """Distances per class of the prediction.

    Args:
        prediction: Integer labels ``(*spatial)``, or with ``per_slice`` a stack ``(n, *spatial)``.
        target: The same shape.
        spacing: Voxel size per spatial axis.
        measure: :func:`region_distances` or :func:`contour_distances`.
        per_slice: Measure every entry of the stack by itself; mean over those where both masks have voxels.
        reverse_spacing: Published behaviour: the spacing on the axes in reverse order.
        values: Which classes; default: every value of the prediction but the smallest.

    Returns:
        A pair of distances per class; NaN where no slice could be measured.
    """
    if spacing is not None and reverse_spacing:
        spacing = tuple(reversed(tuple(spacing)))
    pairs = list(zip(prediction, target)) if per_slice else [(prediction, target)]
    result = {}
    for value in class_values(prediction) if values is None else values:
        found = [measure(p == value, t == value, spacing) for p, t in pairs]
        result[value] = RegionDistances(nan_mean(d.hausdorff for d in found), nan_mean(d.average for d in found))
    return result


def class_values(prediction: np.ndarray) -> list[int]:
    """The classes that published code scores: all values of the prediction except the smallest."""
    return [int(value) for value in np.unique(prediction)[1:]]
