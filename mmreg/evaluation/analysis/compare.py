"""Tables that compare methods on the same cases."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmreg.errors import DataError, listed
from mmreg.evaluation.functional.aggregate import Summary, nan_mean, summarise
from mmreg.io.tables import Row

from .statistics import Comparison, compare_paired, holm

#: (case, item) -> value of one method and metric.
Values = dict[tuple[str, str], float]
#: Name of the row that stands for the mean over items of a case.
MEAN = 'mean'


@dataclass(frozen=True)
class Test:
    """One line of the table of tests: two methods, a metric, and an item (label) or their mean."""

    metric: str
    item: str
    first: str
    second: str
    result: Comparison
    corrected: float


class ResultSet:
    """The results of several methods, matched by case and item.

    Args:
        tables: Method -> rows.
        metrics: Which metrics; default: all that every method has.
        initial: Add the values before registration as a method of that name.

    Raises:
        DataError: a method lacks a case or item that another has, holds one twice, or they share no metric.
    """

    def __init__(
        self, tables: Mapping[str, Sequence[Row]], metrics: Sequence[str] | None = None, initial: str | None = None
    ):
        values = {method: _by_metric(method, rows) for method, rows in tables.items()}
        shared = [m for m in next(iter(values.values())) if all(m in found for found in values.values())]
        self.metrics = list(metrics) if metrics else shared
        for method, found in values.items():
            missing = [metric for metric in self.metrics if metric not in found]
            if missing or not self.metrics:
                raise DataError(
                    f'{method} has the metrics {sorted(found)}, expected {", ".join(missing) or "shared ones"}.'
                )
        if initial:
            first = next(iter(tables))
            rows = [row._replace(value=row.initial) for row in tables[first]]
            values = {initial: _by_metric(first, rows), **values}
        self.methods = list(values)
        self._values = {metric: {m: values[m][metric] for m in self.methods} for metric in self.metrics}
        for metric in self.metrics:
            self._check_matching(metric)

    def items(self, metric: str) -> list[str]:
        """Items (labels) of a metric; empty for a metric of whole cases."""
        found = dict.fromkeys(item for _, item in self._first(metric))
        return [] if list(found) == [''] else list(found)

    def values(self, metric: str, method: str, item: str | None = None) -> list[float]:
        """One value per case, in the same order for every method: of one item, or the mean over items."""
        found = self._values[metric][method]
        cases = dict.fromkeys(case for case, _ in self._first(metric))
        if item is not None:
            return [found.get((case, item), math.nan) for case in cases]
        by_case: dict[str, list[float]] = {case: [] for case in cases}
        for (case, _), value in found.items():
            by_case[case].append(value)
        return [nan_mean(by_case[case]) for case in cases]

    def summary(self, metric: str, method: str, item: str | None = None) -> Summary:
        """Mean, SD, quartiles over cases."""
        return summarise(self.values(metric, method, item))

    def tests(
        self, reference: str | None = None, per_item: bool = False, test: str = 'wilcoxon', seed: int = 0
    ) -> list[Test]:
        """Paired tests of all pairs of methods, or of all against ``reference``.

        Holm's correction covers all tests of one metric: every pair of methods and, with ``per_item``, every item.
        """
        if reference is not None and reference not in self.methods:
            raise DataError(f'the reference {reference!r} is no method, expected one of {", ".join(self.methods)}.')
        pairs = [(a, b) for a, b in itertools.combinations(self.methods, 2) if reference is None or reference in (a, b)]
        # The reference comes first, so that a difference says what the other method gains.
        pairs = [(b, a) if b == reference else (a, b) for a, b in pairs]
        found = []
        for metric in self.metrics:
            items = [None, *(self.items(metric) if per_item else [])]
            jobs = [(item, a, b) for item in items for a, b in pairs]
            results = [
                compare_paired(self.values(metric, a, item), self.values(metric, b, item), test, seed)
                for item, a, b in jobs
            ]
            corrected = holm([result.p_value for result in results])
            for (item, a, b), result, p in zip(jobs, results, corrected):
                found.append(Test(metric, MEAN if item is None else item, a, b, result, p))
        return found

    def _first(self, metric: str) -> Values:
        return self._values[metric][self.methods[0]]

    def _check_matching(self, metric: str) -> None:
        reference = self._first(metric)
        for method, found in self._values[metric].items():
            for missing, who in (
                (reference.keys() - found.keys(), method),
                (found.keys() - reference.keys(), self.methods[0]),
            ):
                if missing:
                    names = listed([' '.join(key).strip() for key in sorted(missing)], shown=5)
                    raise DataError(f'{who} lacks {len(missing)} values of {metric} that others have: {names}')


def _by_metric(method: str, rows: Sequence[Row]) -> dict[str, Values]:
    found: dict[str, Values] = {}
    for row in rows:
        values = found.setdefault(row.metric, {})
        if (row.case_id, row.item) in values:
            raise DataError(f'{method} holds {row.metric} of case {row.case_id} {row.item} twice, expected it once.')
        values[row.case_id, row.item] = row.value
    if not found:
        raise DataError(f'{method} holds no results, expected rows.')
    return found
