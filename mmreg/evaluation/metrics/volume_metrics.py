"""Registrations of slices, reported per volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmreg.evaluation.functional.aggregate import nan_mean
from mmreg.registry import METRICS

from .base import CaseMetric, Scores
from .case import Case

#: Meta information by which slices belong together.
VOLUME = 'volume_id'


@METRICS.register_module()
class PerVolume(CaseMetric):
    """Any metric of single pairs, first averaged over the slices of a volume, then over volumes.

    A slice belongs to the volume that its meta information names (``volume_id``). A score that cannot be measured in a
    slice (no voxel of a label) is left out there. So Hausdorff and contour distances are means over the slices where
    both masks have voxels, as published.

    Args:
        metric: Config of a :class:`CaseMetric`, such as ``dict(type='ContourMetric', labels=4)``.
        kwargs: See :class:`CaseMetric`; ``initial`` and ``per_item`` belong here.

    Source: GraDIRN release; golden gradirn/metrics.
    """

    name = 'volume'

    def __init__(self, metric: dict[str, Any], **kwargs: Any):
        super().__init__(**kwargs)
        self.inner: CaseMetric = METRICS.build(metric)
        self.name = f'{self.inner.name}_per_volume'

    def needs(self) -> tuple[str, ...]:
        """Entries without which a pair is not measured."""
        return self.inner.needs()

    def is_greater_better(self, score: str) -> bool:
        """As the metric inside says."""
        return self.inner.is_greater_better(score)

    def describe(self) -> str:
        """Those of the metric inside, and that slices are averaged."""
        return f'{self.inner.describe()}, slices averaged per volume'.lstrip(', ')

    def measure(self, case: Case) -> Scores:
        """Scores of one slice."""
        return self.inner.measure(case)

    def measure_initial(self, case: Case) -> Scores:
        """Scores of one slice before registration."""
        return self.inner.measure_initial(case)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Score a batch, and note which volume every slice belongs to."""
        before = len(self.results)
        super().process(data_batch, data_samples)
        for result, sample in zip(self.results[before:], data_samples):
            result['volume'] = str(sample.get(VOLUME, result['case_id']))

    def combine_cases(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Put the slices of every volume together, then the volumes."""
        volumes: dict[str, list[dict[str, Any]]] = {}
        for result in results:
            volumes.setdefault(result['volume'], []).append(result)
        grouped = [
            {'case_id': name, **{key: self.combine([s[key] for s in slices]) for key in ('scores', 'initial')}}
            for name, slices in volumes.items()
        ]
        return super().combine_cases(grouped)

    def combine(self, slices: list[Scores]) -> Scores:
        """Scores of a volume from those of its slices."""
        names = dict.fromkeys(score for scores in slices for score in scores)
        result: Scores = {}
        for score in names:
            items = dict.fromkeys(item for scores in slices for item in scores.get(score, {}))
            result[score] = {
                item: nan_mean(scores[score][item] for scores in slices if item in scores.get(score, {}))
                for item in items
            }
        return result


@METRICS.register_module()
class VolumeDice(PerVolume):
    """Dice of whole volumes from their slices: voxels are counted over all slices of a volume first. Key ``dice``.

    Args:
        labels: Label values to score, or their number N for 1..N-1.
        warp: How labels are warped, see :class:`LabelMetric`.
        kwargs: See :class:`CaseMetric`.
    """

    def __init__(self, labels: Sequence[int] | int, warp: str = 'nearest', **kwargs: Any):
        super().__init__({'type': 'DiceMetric', 'labels': labels, 'warp': warp}, **kwargs)

    def describe(self) -> str:
        """Which labels, and that voxels are counted per volume."""
        return f'{self.inner.describe()}, voxels counted per volume'

    def measure(self, case: Case) -> Scores:
        """Voxel counts of one slice."""
        return self._counts(case, case.warped_labels(self.inner.warp))

    def measure_initial(self, case: Case) -> Scores:
        """Voxel counts of one slice before registration."""
        return self._counts(case, case.given('moving_labels'))

    def _counts(self, case: Case, labels: Any) -> Scores:
        fixed = case.given('fixed_labels').to(labels.device)
        both: dict[str, float] = {}
        total: dict[str, float] = {}
        for value in self.inner.labels:
            first, second = labels == value, fixed == value
            both[str(value)] = float((first & second).sum())
            total[str(value)] = float(first.sum() + second.sum())
        return {'both': both, 'total': total}

    def combine(self, slices: list[Scores]) -> Scores:
        """Dice per label from the counts of all slices."""
        slices = [counts for counts in slices if counts]
        if not slices:
            return {}
        scores = {}
        for value in slices[0]['both']:
            both, total = (sum(counts[key][value] for counts in slices) for key in ('both', 'total'))
            scores[value] = 2 * both / total if total else float('nan')
        return {self.inner.key('dice'): scores}
