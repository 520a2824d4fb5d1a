"""Metrics of label maps: Dice and surface distances of hard, warped labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.evaluation.functional import overlap, surface
from mmreg.evaluation.labels import LUMIR_LABELS
from mmreg.registry import METRICS

from .base import CaseMetric, Scores
from .case import WARP_MODES, Case, array


class LabelMetric(CaseMetric):
    """A metric of warped labels against fixed labels.

    Args:
        labels: Label values to score, or their number N for 1..N-1; default: all that occur in the fixed or moving
            labels of the pair, without background.
        warp: ``'nearest'`` (challenges) or ``'linear'`` (arg-max of the linearly warped one-hot; about 0.007 Dice
            higher). Printed, and part of the key where it is not nearest.
        unlabelled: The same as ``incomplete`` of :class:`CaseMetric`, for pairs without label maps.
        kwargs: See :class:`CaseMetric`.
    """

    def __init__(
        self,
        labels: Sequence[int] | int | None = None,
        warp: str = 'nearest',
        unlabelled: str | None = None,
        **kwargs: Any,
    ):
        if unlabelled is not None:
            kwargs['incomplete'] = unlabelled
        super().__init__(**kwargs)
        if warp not in WARP_MODES:
            raise ConfigError(f'{type(self).__name__}: warp={warp!r} is unknown, expected one of {WARP_MODES}.')
        self.warp = warp
        values = range(1, labels) if isinstance(labels, int) else labels
        self.labels = None if values is None else [int(value) for value in values]

    def describe(self) -> str:
        """Which labels, and how they are warped."""
        which = 'all labels present but 0' if self.labels is None else f'{len(self.labels)} labels'
        background = 'included' if self.labels and 0 in self.labels else 'excluded'
        return f'labels warped {self.warp}, {which}, background {background}'

    def key(self, score: str) -> str:
        """Name of a score; another than the nearest warp has its own."""
        return score if self.warp == 'nearest' else f'{score}_{self.warp}'

    @property
    def stem(self) -> str:
        """Name of the tables, with the warp."""
        return self.key(super().stem)

    def labels_of(self, case: Case) -> list[int]:
        """The labels to score in this pair."""
        if self.labels is not None:
            return self.labels
        found = {int(v) for name in ('fixed_labels', 'moving_labels') for v in case.given(name).unique()}
        return sorted(found - {0})

    def item_names(self) -> dict[str, str]:
        """Names of the labels, from the data set's ``label_names``: those of 1, 2, ..., or label -> name."""
        names = (self.dataset_meta or {}).get('label_names') or ()
        numbered = names.items() if isinstance(names, Mapping) else enumerate(names, start=1)
        return {str(label): str(name) for label, name in numbered}

    def needs(self) -> tuple[str, ...]:
        """Entries without which a pair is not measured."""
        return ('moving_labels', 'fixed_labels')

    def measure(self, case: Case) -> Scores:
        """Scores of the warped labels."""
        return self.compare(case, case.warped_labels(self.warp))

    def measure_initial(self, case: Case) -> Scores:
        """Scores of the moving labels as they are."""
        return self.compare(case, case.given('moving_labels'))

    def compare(self, case: Case, labels: Tensor) -> Scores:
        """Scores of ``labels`` ``(1, *spatial)`` against the fixed labels of the pair."""
        raise NotImplementedError


@METRICS.register_module()
class DiceMetric(LabelMetric):
    """Dice per label of warped against fixed labels, in [0, 1]: key ``dice``.

    Args:
        epsilon: Added to the denominator; 0 is exact.
        absent: Value of a label in neither map: NaN leaves it out, 0 is the habit of published validation loops.
        kwargs: See :class:`LabelMetric`.
    """

    name = 'dice'
    greater = ('dice',)

    def __init__(self, epsilon: float = 0.0, absent: float = float('nan'), **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon, self.absent = epsilon, absent

    def compare(self, case: Case, labels: Tensor) -> Scores:
        """Dice of labels ``(1, *spatial)`` against the fixed ones, per label."""
        names = self.labels_of(case)
        fixed = case.given('fixed_labels').to(labels.device)
        values = overlap.dice(labels, fixed, names, epsilon=self.epsilon, absent=self.absent)
        return {self.key(self.name): {str(name): float(value) for name, value in zip(names, values)}}


@METRICS.register_module()
class LUMIRDice(DiceMetric):
    """Published LUMIR validation Dice: key ``dice_lumir``.

    Mean over the fixed list of 133 labels, background included; a label in neither volume counts 0. For comparison
    with published numbers only: :class:`DiceMetric` is right. Source: ``eoir.md`` section 4, golden ``eoir/metrics``.
    """

    name = 'dice_lumir'

    def __init__(self, **kwargs: Any):
        super().__init__(labels=LUMIR_LABELS, epsilon=1e-5, absent=0.0, **kwargs)


@METRICS.register_module()
class SurfaceMetric(LabelMetric):
    """Surface distances per label in mm: keys ``hd95``, ``assd``, ``nsd``.

    A label without voxels in either map has no distance: NaN, counted under ``*_missing``.

    Args:
        scores: Which of ``hd95``, ``assd``, ``nsd``.
        tolerance: Of the NSD, in mm.
        elements: ``'areas'``: the public surface-distance definition (Learn2Reg). ``'voxels'``: MONAI's.
        spacing: Voxel size in mm; default: the sample's. Learn2Reg's scorer uses 1 everywhere.
        kwargs: See :class:`LabelMetric`.
    """

    name = 'surface'
    greater = ('nsd',)
    SCORES = ('hd95', 'assd', 'nsd')

    def __init__(
        self,
        scores: Sequence[str] = ('hd95',),
        tolerance: float = 1.0,
        elements: str = 'areas',
        spacing: Sequence[float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        unknown = set(scores) - set(self.SCORES)
        if unknown or elements not in surface.ELEMENTS:
            raise ConfigError(
                f'SurfaceMetric: scores={list(scores)}, elements={elements!r}, '
                f'expected scores of {self.SCORES} and elements of {surface.ELEMENTS}.'
            )
        self.scores, self.tolerance, self.elements, self.spacing = tuple(scores), tolerance, elements, spacing

    def describe(self) -> str:
        """Spacing, elements of the surface, tolerance."""
        unit = 'sample spacing' if self.spacing is None else f'spacing {tuple(self.spacing)}'
        nsd = f', NSD tolerance {self.tolerance} mm' if 'nsd' in self.scores else ''
        return f'{super().describe()}, surface elements by {self.elements}, {unit}{nsd}'

    def compare(self, case: Case, labels: Tensor) -> Scores:
        """Surface distances of labels ``(1, *spatial)`` to the fixed ones, per label."""
        names = self.labels_of(case)
        spacing = self.spacing or case.spacing
        first, second = array(labels), array(case.given('fixed_labels'))
        distances = surface.label_surface_distances(first, second, names, spacing, self.elements)
        result: Scores = {self.key(score): {} for score in self.scores}
        for name, found in zip(names, distances):
            for score in self.scores:
                result[self.key(score)][str(name)] = self._score(score, found)
        return result

    def _score(self, score: str, distances: surface.SurfaceDistances) -> float:
        if score == 'hd95':
            percentile = 'weighted' if self.elements == 'areas' else 'linear'
            return surface.robust_hausdorff(distances, 95.0, percentile)
        if score == 'assd':
            return surface.average_surface_distance(distances)
        return surface.normalised_surface_dice(distances, self.tolerance)
