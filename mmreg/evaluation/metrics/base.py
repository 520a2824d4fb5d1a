"""The common part of all metrics: numbers per case in, means and a table out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_distributed
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from mmreg.errors import ConfigError, EvaluationError, listed
from mmreg.evaluation.functional.aggregate import nan_mean, summarise
from mmreg.io.tables import Row, write_json, write_rows, write_table

from .case import Case

#: Score name -> item (label, landmark; '' for the whole case) -> number. NaN: not measurable.
Scores = dict[str, dict[str, float]]
#: What may be done with a pair that lacks something; None: an error, unless the run has announced such pairs.
INCOMPLETE = (None, 'error', 'skip')
_FAILED = 'failed'
_BY_NAME = ('metric', 'label', 'name', 'mean', 'sd', 'initial')


class CaseMetric(BaseMetric):
    """A metric that measures every pair by itself.

    Subclasses implement :meth:`measure` and :meth:`measure_initial`. Returned keys, under the prefix ``reg``: the mean
    over cases of each score, its standard deviation (``*_sd``), the value before registration (``initial_*``) and how
    many single values could not be measured (``*_missing``). Where a network was prompted with the fixed labels
    themselves, ``<name>_oracle`` is 1 and the files are called ``<name>_oracle``.

    Args:
        output_dir: Folder for ``<name>.csv`` (one row per case and item) and ``<name>.json``; written atomically by
            the main process. The name begins with the prefix where that is not ``reg``. None: no files.
        initial: Measure the pair before registration too.
        per_item: Return the mean of each item (label) as a key of its own, ``<score>_<item>``.
        incomplete: What becomes of a pair that lacks something of :meth:`needs`: ``'skip'`` leaves it out, ``'error'``
            refuses it. By default it is refused, unless a run has said at its start that such pairs are there (see
            :mod:`mmreg.engine.data_check`); then it is left out.
        kwargs: MMEngine's ``collect_device``, ``prefix``, ``collect_dir``.

    A metric that fails in one process of several fails in all of them, when the results are put together.
    """

    default_prefix = 'reg'
    #: Stem of the files in ``output_dir``.
    name = 'metric'
    #: Scores of which a larger value is better; of all others a smaller one is.
    greater: tuple[str, ...] = ()

    def __init__(
        self,
        output_dir: str | None = None,
        initial: bool = True,
        per_item: bool = False,
        incomplete: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if incomplete not in INCOMPLETE:
            raise ConfigError(
                f"{type(self).__name__}: incomplete={incomplete!r} is unknown, expected 'error' or 'skip'."
            )
        self.output_dir = Path(output_dir) if output_dir else None
        self.initial = initial
        self.per_item = per_item
        self.incomplete = incomplete
        #: What tells its files apart from those of another metric of one evaluation, see :func:`name_apart`.
        self.mark = ''
        #: The scores of the last evaluation: keys without prefix, standard deviations and the like left out.
        self.returned: tuple[str, ...] = ()
        #: The means of the last evaluation of each structure that the data set names; lines as in ``*_by_name.csv``.
        self.by_name: list[tuple[Any, ...]] = []

    def needs(self) -> tuple[str, ...]:
        """Entries of a sample, such as ``fixed_labels``, without which a pair cannot be measured."""
        return ()

    def is_greater_better(self, score: str) -> bool:
        """Whether a larger value of one of its scores (a key without prefix) is the better one."""
        return score.startswith(self.greater) if self.greater else False

    @property
    def stem(self) -> str:
        """Name of the files: two metrics of one kind and folder must not overwrite each other."""
        return self.name if self.prefix == self.default_prefix else f'{self.prefix}_{self.name}'

    def measure(self, case: Case) -> Scores:
        """Scores of one registered pair."""
        raise NotImplementedError

    def measure_initial(self, case: Case) -> Scores:
        """The same scores before registration; empty where that has no meaning."""
        return {}

    def describe(self) -> str:
        """The settings that a number depends on, in one line."""
        return ''

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Measure the pairs of one batch; keeps numbers only."""
        for position, sample in enumerate(data_samples):
            case = Case(sample, _images(data_batch, position), number=len(self.results))
            try:
                self.results.append(self._measured(case, sample))
            except Exception as error:
                if not is_distributed():
                    raise
                # Raised here, the other processes would wait for this one in vain.
                self.results.append({'case_id': case.case_id, _FAILED: f'{type(error).__name__}: {error}'})

    def _measured(self, case: Case, sample: Mapping[str, Any]) -> dict[str, Any]:
        if self.incomplete == 'skip' and not case.has(*self.needs()):
            return {'case_id': case.case_id, 'scores': {}, 'initial': {}}
        initial = self.measure_initial(case) if self.initial else {}
        mark = {'oracle_prompt': bool(sample['oracle_prompt'])} if 'oracle_prompt' in sample else {}
        return {'case_id': case.case_id, 'scores': self.measure(case), 'initial': initial} | mark

    def evaluate(self, size: int) -> dict[str, float]:
        """As MMEngine's; what failed in one process is raised in all.

        Raises:
            EvaluationError: a pair could not be measured, or the numbers could not be put together or written.
        """
        metrics = super().evaluate(size)
        names = [key.removeprefix(f'{self.prefix}/') for key in metrics]
        if _FAILED in names:
            raise EvaluationError(f'{self.name}: {metrics[f"{self.prefix}/{_FAILED}" if self.prefix else _FAILED]}')
        self.returned = tuple(name for name in names if f'{name}_sd' in names)
        return metrics

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, Any]:
        """The numbers of all cases put together, in the main process; a failure is handed to all processes."""
        failed = [f'case {result["case_id"]}: {result[_FAILED]}' for result in results if _FAILED in result]
        if failed:
            return {_FAILED: listed(failed, '; ', 3)}
        if not is_distributed():
            return self.combine_cases(results)
        try:
            return self.combine_cases(results)
        except Exception as error:
            return {_FAILED: f'{type(error).__name__}: {error}'}

    def combine_cases(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Means over cases; writes the tables where an ``output_dir`` is given."""
        metrics: dict[str, float] = {}
        for score in _names(result['scores'] for result in results):
            metrics.update(self._line(score, results))
        marks = [result['oracle_prompt'] for result in results if 'oracle_prompt' in result]
        if marks:
            metrics[f'{self.name}_oracle'] = float(any(marks))
        oracle = '; ORACLE: the network saw the fixed labels' if any(marks) else ''
        if self.describe():
            measured = sum(bool(result['scores']) for result in results)
            count = f'{len(results)}' if measured == len(results) else f'{measured} of {len(results)}'
            print_log(f'{self.name}: {self.describe()}; {count} cases{oracle}', logger='current')
        rows = _rows_of(results)
        self.by_name = self._named_rows(rows)
        if self.output_dir:
            self._dump(self.output_dir, rows, results, metrics, oracle=any(marks))
        return metrics

    def _line(self, score: str, results: list[dict[str, Any]]) -> dict[str, float]:
        items = [result['scores'].get(score, {}) for result in results]
        summary = summarise(nan_mean(found.values()) for found in items)
        line = {score: summary.mean, f'{score}_sd': summary.sd}
        before = [result['initial'][score] for result in results if score in result['initial']]
        if before:
            line[f'initial_{score}'] = nan_mean(nan_mean(found.values()) for found in before)
        if any(len(found) > 1 for found in items):
            line[f'{score}_missing'] = float(sum(value != value for found in items for value in found.values()))
        if self.per_item:
            for item in _names(items):
                line[f'{score}_{item}'] = nan_mean(found[item] for found in items if item in found)
        return line

    def _named_rows(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        """Means over cases of each label, with the structure's name, where the data set says what its labels are."""
        names = self.item_names()
        found: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            if row.item in names:
                found.setdefault((row.metric, row.item), []).append(row)
        return [
            (metric, item, names[item], *_mean_and_sd([row.value for row in group]),
             nan_mean(row.initial for row in group))
            for (metric, item), group in found.items()
        ]  # fmt: skip

    def item_names(self) -> dict[str, str]:
        """Names of items, by the item: none for a metric whose items are no labels."""
        return {}

    def _dump(
        self, folder: Path, rows: Sequence[Row], results: list[dict[str, Any]], metrics: dict[str, float], oracle: bool
    ) -> None:
        stem = f'{self.stem}{self.mark}' + ('_oracle' if oracle else '')
        write_rows(folder / f'{stem}.csv', rows)
        if self.by_name:
            write_table(folder / f'{stem}_by_name.csv', _BY_NAME, self.by_name)
        write_json(
            folder / f'{stem}.json',
            {'name': self.name, 'settings': self.describe(), 'metrics': metrics, 'cases': results},
        )


def _rows_of(results: Sequence[Mapping[str, Any]]) -> list[Row]:
    return [
        Row(result['case_id'], score, item, value, result['initial'].get(score, {}).get(item, float('nan')))
        for result in results
        for score, found in result['scores'].items()
        for item, value in found.items()
    ]


def name_apart(metrics: Sequence[Any]) -> None:
    """Number the files of metrics of one evaluation that would overwrite each other: ``surface``, ``surface_2``."""
    seen: dict[tuple[Path, str], int] = {}
    for metric in metrics:
        if not isinstance(metric, CaseMetric) or metric.output_dir is None:
            continue
        place = (metric.output_dir.absolute(), metric.stem.lower())
        seen[place] = seen.get(place, 0) + 1
        metric.mark = f'_{seen[place]}' if seen[place] > 1 else ''


def _mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    summary = summarise(values)
    return summary.mean, summary.sd


def _names(groups: Any) -> list[str]:
    """Keys of several dicts, each once, in the order of their first appearance."""
    return list(dict.fromkeys(name for group in groups for name in group))


def _images(data_batch: Any, position: int) -> dict[str, Tensor]:
    """The images of one pair from a batch as the data loader collates it (lists or stacked tensors)."""
    inputs = data_batch.get('inputs') if isinstance(data_batch, Mapping) else None
    if not isinstance(inputs, Mapping):
        return {}
    return {
        name: inputs[name][position]
        for name in ('fixed', 'moving')
        if inputs.get(name) is not None and position < len(inputs[name])
    }
