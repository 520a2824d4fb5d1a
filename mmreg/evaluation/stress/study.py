"""A stress test of models on a data set: its cases, the models as predictors, and the tables of its results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmreg.errors import DataError
from mmreg.evaluation.functional.aggregate import nan_mean
from mmreg.io.tables import write_table

from .harness import Predictor, StressCase, StressResult

#: Kind -> model -> sizes of the misalignment and mean errors, mm.
Curves = dict[str, dict[str, tuple[list[float], list[float]]]]


def stress_cases(dataset: Any, count: int) -> Iterator[StressCase]:
    """The fixed images of the first ``count`` pairs."""
    for index in range(count):
        item = dataset[index]
        fixed, sample = item['inputs']['fixed'], item['data_samples']
        labels = item['inputs'].get('fixed_labels')
        spacing = tuple(float(s) for s in sample.get('spacing') or (1.0,) * (fixed.dim() - 1))
        yield StressCase(f'{index:04d}_{sample.get("case_id", "")}', fixed.float(), spacing, labels)


def predictor(model: Any) -> Predictor:
    """A registrar as the harness calls it: one pair ``(C, *S)`` to its displacement ``(ndim, *S)``."""

    def predict(fixed: Tensor, moving: Tensor, spacing: tuple[float, ...]) -> Tensor:
        batch = model.data_preprocessor({'inputs': {'fixed': [fixed], 'moving': [moving]}, 'data_samples': None})
        with torch.no_grad():
            found = model(batch['inputs'], None, mode='predict')[0].pred.displacement
        if not torch.isfinite(found).all():
            raise DataError('a model returned a displacement that is not finite, expected numbers.')
        return found

    return predict


def write_cases(path: Path, results: Sequence[StressResult]) -> None:
    """One line per case, kind, size and model."""
    columns = list(dict.fromkeys(key for result in results for key in result.values))
    lines = [{'model': r.model, 'kind': r.kind, 'level_mm': r.level, 'case_id': r.case_id, **r.values} for r in results]
    write_table(path, ['model', 'kind', 'level_mm', 'case_id', *columns], lines)


def means(results: Sequence[StressResult]) -> tuple[list[dict[str, Any]], Curves]:
    """Means over cases, a line per kind, model and size, and the same errors as curves."""
    groups: dict[tuple[str, str, float], list[StressResult]] = {}
    for result in results:
        groups.setdefault((result.kind, result.model, result.level), []).append(result)
    lines: list[dict[str, Any]] = []
    series: Curves = {}
    for (kind, model, level), found in groups.items():
        keys = dict.fromkeys(key for result in found for key in result.values)
        average = {key: nan_mean(r.values[key] for r in found if key in r.values) for key in keys}
        lines.append({'kind': kind, 'model': model, 'level_mm': level, 'cases': len(found), **average})
        for name, key in ((model, 'epe'), ('before', 'initial_epe')):
            xs, ys = series.setdefault(kind, {}).setdefault(name, ([], []))
            if level not in xs:
                xs.append(level)
                ys.append(average[key])
    return lines, series
