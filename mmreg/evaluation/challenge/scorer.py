"""Scores of a whole submission, in the form of the challenge's own result file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.evaluation.functional.aggregate import nan_mean, summarise
from mmreg.io.tables import Row

from . import correct, published
from .case import ChallengeCase
from .config import EvaluationConfig, ScoredPair
from .editions import PUBLISHED, Edition
from .fields import find_fields, read_field
from .published import Values
from .units import UnitWatch

Track = Callable[[Sequence[tuple[EvaluationConfig, ScoredPair]]], Iterable[tuple[EvaluationConfig, ScoredPair]]]


def score(
    submission: str | Path,
    ground_truth: str | Path,
    configs: Sequence[EvaluationConfig],
    *,
    masked: bool | None = None,
    own_conventions: bool = False,
    edition: Edition = PUBLISHED,
    watch: UnitWatch | None = None,
    track: Track = iter,
) -> dict[str, Any]:
    """Score a folder of displacement fields.

    Args:
        submission: Folder with ``disp_<fixed>_<moving>`` files, NIfTI or npz, full or half resolution; or a folder
            that holds nothing but such a folder.
        ground_truth: Folder that the paths of the configs are relative to.
        configs: One or more evaluation configs.
        masked: Measure the regularity inside the fixed mask; default: as each config says.
        own_conventions: Our conventions instead of the challenge's.
        edition: Whose evaluation; see :mod:`mmreg.evaluation.challenge.editions`.
        watch: Looks at every field.
        track: Wraps the list of work, for a progress bar.

    Returns:
        ``name``, ``aggregates`` (mean, population SD and 30 % quantile over cases of each measure), ``cases`` (mean and
        details of each measure) and ``eval_version``; NaN where nothing can be measured.

    Raises:
        DataError: names every field that is missing, has another shape or type, cannot be read or is not finite.
    """
    files = find_fields(Path(submission), configs)
    measures = correct.MEASURES if own_conventions else published.MEASURES
    work = [(config, pair) for config in configs for pair in config.pairs]
    cases: dict[str, Any] = {}
    groups: dict[str, list[float]] = {}
    for config, pair in track(work):
        displacement = read_field(files[pair], config.shape)
        if watch is not None:
            watch.look(files[pair].name, displacement)
        use_mask = config.masked if masked is None else masked
        case = ChallengeCase(Path(ground_truth), pair, displacement, use_mask, edition.foreground)
        values: Values = {}
        for method in config.methods:
            values.update(measures[method.metric](case, method))
        entries = {name: _entry(value) for name, value in values.items()}
        # Two configs may score one pair, by labels and by landmarks: neither may take the other's place.
        cases[pair.case_id if pair.case_id not in cases else f'{pair.case_id}_{config.kind}'] = entries
        for method in config.methods:
            if method.metric == 'dice' and config.group in edition.groups:
                groups.setdefault(edition.groups[config.group], []).append(entries[method.name]['mean'])
    aggregates = aggregate(cases, edition.quantiles) | {name: _summary(found) for name, found in groups.items()}
    result = {'name': configs[0].name, 'aggregates': aggregates, 'cases': cases, 'eval_version': edition.version}
    return {**result, 'conventions': 'mmreg'} if own_conventions else result


def aggregate(
    cases: dict[str, dict[str, dict[str, Any]]], quantiles: Mapping[str, float] | None = None
) -> dict[str, dict[str, float]]:
    """Mean, population standard deviation and 30 % quantile over the cases that have a measure; NaN left out.

    ``quantiles`` names measures whose entry ``30`` is another quantile.
    """
    names = dict.fromkeys(name for case in cases.values() for name in case)
    return {
        name: _summary([case[name]['mean'] for case in cases.values() if name in case], (quantiles or {}).get(name))
        for name in names
    }


def _summary(values: Sequence[float], quantile: float | None = None) -> dict[str, float]:
    summary = summarise(values)
    found = np.array(values, np.float64)
    found = found[~np.isnan(found)]
    low = summary.quantile30 if quantile is None or not len(found) else float(np.quantile(found, quantile))
    return {'mean': summary.mean, 'std': summary.sd, '30': low}


def rows(result: dict[str, Any], configs: Sequence[EvaluationConfig] = ()) -> list[Row]:
    """The result as rows of a table that ``mmreg compare`` reads; an item is the label, or the landmark's number."""
    labels = {method.name: method.labels for config in configs for method in config.methods if method.labels}
    table = []
    for case_id, measures in result['cases'].items():
        for name, entry in measures.items():
            values = entry['detailed']
            if not isinstance(values, list):
                table.append(Row(case_id, name, '', float(values)))
                continue
            known = labels.get(name, ())
            names = known if len(known) == len(values) else tuple(range(1, len(values) + 1))
            table += [Row(case_id, name, str(item), float(value)) for item, value in zip(names, values)]
    return table


def _entry(value: float | list[float]) -> dict[str, Any]:
    return {'mean': nan_mean(value) if isinstance(value, list) else value, 'detailed': value}
