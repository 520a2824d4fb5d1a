"""Distances between the surfaces of two segmentations: HD95, ASSD, NSD.

Surfaces follow the public surface-distance definition: a surface element sits wherever the 2x2(x2) neighbourhood of
voxels is neither empty nor full, and weighs as much as the area (2-D: contour length) that the pattern of its voxels
cuts out. ``elements='voxels'`` is MONAI's definition instead: mask voxels with a neighbour outside, all of weight 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from mmreg.errors import DataError

ELEMENTS = ('areas', 'voxels')


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances in the unit of the spacing between the surface elements of two masks.

    ``to_second[k]`` is the distance of element k of the first mask to the nearest of the second, ``first_weights[k]``
    its area; likewise the other way round. ``empty`` when either mask has no surface; nothing can be measured then.
    """

    to_second: np.ndarray
    to_first: np.ndarray
    first_weights: np.ndarray
    second_weights: np.ndarray

    @property
    def empty(self) -> bool:
        """Whether one of the two surfaces is missing."""
        return not (len(self.to_second) and len(self.to_first))


def surface_distances(
    first: np.ndarray, second: np.ndarray, spacing: Sequence[float] | None = None, elements: str = 'areas'
) -> SurfaceDistances:
    """Distances between the surfaces of two boolean masks.

    Args:
        first: Boolean mask, 2-D or 3-D.
        second: The same shape.
        spacing: Voxel size per axis, in mm; default 1.
        elements: ``'areas'`` (public surface-distance definition) or ``'voxels'`` (MONAI: mask without its erosion).

    Raises:
        DataError: shapes or spacing do not fit, or the masks are not 2-D or 3-D.
    """
    spacing = _check(first, second, spacing)
    if elements not in ELEMENTS:
        raise DataError(f'elements={elements!r} is unknown, expected one of {ELEMENTS}.')
    box = _bounding_box(first, second)
    if box is None:
        nothing = np.zeros(0)
        return SurfaceDistances(nothing, nothing, nothing, nothing)
    find = _area_elements if elements == 'areas' else _voxel_elements
    edges_first, weights_first = find(np.pad(first[box], 1), spacing)
    edges_second, weights_second = find(np.pad(second[box], 1), spacing)
    return SurfaceDistances(
        _distance_to(edges_second, spacing)[edges_first],
        _distance_to(edges_first, spacing)[edges_second],
        weights_first,
        weights_second,
    )


def robust_hausdorff(distances: SurfaceDistances, percent: float = 95.0, percentile: str = 'weighted') -> float:
    """Robust Hausdorff distance: the larger of both directed percentiles; NaN when either surface is empty.

    Args:
        distances: From :func:`surface_distances`.
        percent: 95 for HD95, 100 for the maximum.
        percentile: ``'weighted'`` by surface area (public surface-distance definition: the smallest distance that
            at least ``percent`` of the area keeps to) or ``'linear'`` (numpy's interpolation over elements, MONAI).

    Source: Nikolov et al. 2018; golden ``eoir/metrics``, ``l2r_eval``.
    """
    if distances.empty:
        return float('nan')
    pairs = ((distances.to_second, distances.first_weights), (distances.to_first, distances.second_weights))
    if percentile == 'linear':
        return float(max(np.percentile(values, percent) for values, _ in pairs))
    return max(_weighted_percentile(values, weights, percent) for values, weights in pairs)


def average_surface_distance(distances: SurfaceDistances) -> float:
    """Average symmetric surface distance (ASSD): mean over the surface elements of both, weighted; NaN when empty."""
    if distances.empty:
        return float('nan')
    total = distances.first_weights.sum() + distances.second_weights.sum()
    moments = distances.to_second @ distances.first_weights + distances.to_first @ distances.second_weights
    return float(moments / total)


def normalised_surface_dice(distances: SurfaceDistances, tolerance: float) -> float:
    """Normalised surface Dice (NSD): the share of both surfaces within ``tolerance`` of the other, in [0, 1].

    0 when one surface is empty, NaN when both are.
    """
    total = distances.first_weights.sum() + distances.second_weights.sum()
    if not total:
        return float('nan')
    if distances.empty:
        return 0.0
    near = distances.first_weights[distances.to_second <= tolerance].sum()
    near += distances.second_weights[distances.to_first <= tolerance].sum()
    return float(near / total)


def label_surface_distances(
    first: np.ndarray,
    second: np.ndarray,
    labels: Sequence[int],
    spacing: Sequence[float] | None = None,
    elements: str = 'areas',
) -> list[SurfaceDistances]:
    """:func:`surface_distances` of each label of two integer label maps, each computed in its own box."""
    spacing = _check(first, second, spacing)
    boxes = [_label_boxes(m, max(labels, default=0)) for m in (first, second)]
    results = []
    for label in labels:
        box = _union(boxes[0].get(label), boxes[1].get(label))
        box = box or (slice(0, None if label == 0 else 0),) * first.ndim  # background has no box of its own
        results.append(surface_distances(first[box] == label, second[box] == label, spacing, elements))
    return results


def _check(first: np.ndarray, second: np.ndarray, spacing: Sequence[float] | None) -> tuple[float, ...]:
    if first.shape != second.shape or first.ndim not in (2, 3):
        raise DataError(f'masks have the shapes {first.shape} and {second.shape}, expected one 2-D or 3-D shape.')
    spacing = (1.0,) * first.ndim if spacing is None else tuple(float(s) for s in spacing)
    if len(spacing) != first.ndim or min(spacing) <= 0:
        raise DataError(f'spacing {spacing} does not fit {first.ndim}-D masks, expected {first.ndim} positive numbers.')
    return spacing


def _label_boxes(labels: np.ndarray, largest: int) -> dict[int, tuple[slice, ...]]:
    found = ndimage.find_objects(labels.astype(np.int32, copy=False), max_label=largest)
    return {value: box for value, box in enumerate(found, start=1) if box is not None}


def _union(a: tuple[slice, ...] | None, b: tuple[slice, ...] | None) -> tuple[slice, ...] | None:
    if a is None or b is None:
        return a or b
    return tuple(slice(min(x.start, y.start), max(x.stop, y.stop)) for x, y in zip(a, b))


def _bounding_box(first: np.ndarray, second: np.ndarray) -> tuple[slice, ...] | None:
    """The smallest box that holds both masks, None when both are empty."""
    return ndimage.find_objects((first | second).astype(np.uint8), max_label=1)[0] if first.size else None


def _voxel_elements(mask: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    edges = mask & ~ndimage.binary_erosion(mask)
    return edges, np.ones(int(edges.sum()))


def _area_elements(mask: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Where surface elements sit and their areas; element x joins the voxels x - 1 and x along each axis."""
    areas, weights = _area_table(tuple(spacing))
    codes = np.zeros(tuple(n - 1 for n in mask.shape), np.uint8)
    for offset in np.ndindex(*weights.shape):
        corner = tuple(slice(o, n - 1 + o) for o, n in zip(offset, mask.shape))
        codes += mask[corner].astype(np.uint8) * np.uint8(weights[offset])
    edges = (codes != 0) & (codes != len(areas) - 1)
    return edges, areas[codes[edges]]


@lru_cache(maxsize=64)
def _area_table(spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """MONAI's table of element areas by neighbourhood code, and the code's weight of each corner."""
    from monai.metrics.utils import get_code_to_measure_table

    table, kernel = get_code_to_measure_table(spacing)
    return np.asarray(table, np.float64), np.asarray(kernel).reshape((2,) * len(spacing))


def _distance_to(edges: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    if not edges.any():
        return np.full(edges.shape, np.inf)
    return ndimage.distance_transform_edt(~edges, sampling=spacing)


def _weighted_percentile(values: np.ndarray, weights: np.ndarray, percent: float) -> float:
    order = np.argsort(values, kind='stable')
    share = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(share, percent / 100.0)), len(values) - 1)])
