"""Distances between regions and contours, per slice of a cardiac stack or per volume."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from mmreg.evaluation.functional import contours
from mmreg.registry import METRICS

from .base import Scores
from .case import Case, array
from .label_metrics import LabelMetric


@METRICS.register_module()
class ContourMetric(LabelMetric):
    """Hausdorff, average region and mean contour distance per label in mm: keys ``hausdorff``, ``region``, ``mcd``.

    ``region`` is what GraDIRN's tables call average surface distance (over all voxels of a region); ``mcd`` is over
    contour voxels. See :mod:`mmreg.evaluation.functional.contours`.

    Args:
        slice_axis: Measure every slice along this axis and average over those where both masks have voxels; None:
            the whole volume.
        reverse_spacing: Published behaviour: spacing on the axes in reverse order; keys end in ``_published``.
        kwargs: See :class:`LabelMetric`.
    """

    name = 'contour'

    def __init__(self, slice_axis: int | None = None, reverse_spacing: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.slice_axis, self.reverse_spacing = slice_axis, reverse_spacing

    def describe(self) -> str:
        """Where contours are compared."""
        where = 'whole volumes' if self.slice_axis is None else f'slices along axis {self.slice_axis}'
        return f'{super().describe()}, {where}'

    def compare(self, case: Case, labels: Tensor) -> Scores:
        """Distances of the contours of labels ``(1, *spatial)``, mm, per label."""
        first, second, spacing = array(labels), array(case.given('fixed_labels')), list(case.spacing)
        if self.slice_axis is not None:
            first, second = (np.moveaxis(m, self.slice_axis, 0) for m in (first, second))
            del spacing[self.slice_axis]
        values = self.labels_of(case)
        options: dict[str, Any] = {
            'per_slice': self.slice_axis is not None,
            'reverse_spacing': self.reverse_spacing,
            'values': values,
        }
        regions = contours.class_distances(first, second, spacing, contours.region_distances, **options)
        edges = contours.class_distances(first, second, spacing, contours.contour_distances, **options)
        found = {
            'hausdorff': {value: regions[value].hausdorff for value in values},
            'region': {value: regions[value].average for value in values},
            'mcd': {value: edges[value].average for value in values},
        }
        suffix = '_published' if self.reverse_spacing else ''
        return {self.key(s + suffix): {str(v): float(d) for v, d in by.items()} for s, by in found.items()}
