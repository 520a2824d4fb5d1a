"""Scores of a whole submission, in the form of the challenge's own result file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mmreg.evaluation.functional.aggregate import nan_mean, summarise
from mmreg.io.tables import Row

from . import correct, published
from .case import ChallengeCase
from .config import EvaluationConfig, Pair
from .fields import find_fields, read_field
from .published import Values

#: Version of the challenge's evaluation whose numbers these are.
EVAL_VERSION = '2.0'

Track = Callable[[Sequence[tuple[EvaluationConfig, Pair]]], Iterable[tuple[EvaluationConfig, Pair]]]


def score(
    submission: str | Path,
    ground_truth: str | Path,
    configs: Sequence[EvaluationConfig],
    *,
    masked: bool | None = None,
    own_conventions: bool = False,
    track: Track = iter,
) -> dict[str, Any]:
    """Score a folder of displacement fields.

    Args:
        submission: Folder with ``disp_<fixed>_<moving>`` files, NIfTI or npz, full or half resolution.
        ground_truth: Folder that the paths of the configs are relative to.
        configs: One or more evaluation configs.
        masked: Measure the regularity inside the fixed mask; default: as each config says.
        own_conventions: Our conventions instead of the challenge's.
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
    for config, pair in track(work):
        displacement = read_field(files[pair], config.shape)
        use_mask = config.masked if masked is None else masked
        case = ChallengeCase(Path(ground_truth), pair, displacement, use_mask)
        values: Values = {}
        for method in config.methods:
            values.update(measures[method.metric](case, method))
        cases[pair.case_id + config.suffix] = {name: _entry(value) for name, value in values.items()}
    result = {'name': configs[0].name, 'aggregates': aggregate(cases), 'cases': cases, 'eval_version': EVAL_VERSION}
    return {**result, 'conventions': 'mmreg'} if own_conventions else result


def aggregate(cases: dict[str, dict[str, dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Mean, population standard deviation and 30 % quantile over the cases that have a measure; NaN left out."""
    names = dict.fromkeys(name for case in cases.values() for name in case)
    result = {}
    for name in names:
        summary = summarise(case[name]['mean'] for case in cases.values() if name in case)
        result[name] = {'mean': summary.mean, 'std': summary.sd, '30': summary.quantile30}
    return result


def rows(result: dict[str, Any]) -> list[Row]:
    """The result as rows of a table that ``mmreg compare`` reads."""
    table = []
    for case_id, measures in result['cases'].items():
        for name, entry in measures.items():
            values = entry['detailed']
            items = enumerate(values, start=1) if isinstance(values, list) else [('', values)]
            table += [Row(case_id, name, str(item), float(value)) for item, value in items]
    return table


def _entry(value: float | list[float]) -> dict[str, Any]:
    return {'mean': nan_mean(value) if isinstance(value, list) else value, 'detailed': value}
