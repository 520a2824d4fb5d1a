"""The pairs of the demonstration, simulated from one template, and the tables that tell what a network learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from mmreg.evaluation.functional.field_error import end_point_errors
from mmreg.io import Geometry, Volume, write_volume
from mmreg.registry import DATASETS

PAIR_COLUMNS = ('pair', 'tissue Dice', 'error to the true field, mm', 'HD95, mm', 'folds, %', 'network, s')
TISSUE_COLUMNS = ('tissue', 'Dice before', 'Dice after')


def unseen_subjects(cfg: Any, count: int | None) -> Any:
    """The test set at 2 mm: subjects that are in no training pair."""
    config = {**cfg.test_dataloader.dataset, 'resolution': 2, 'true_fields': True}
    dataset = DATASETS.build(config if count is None else {**config, 'count': count})
    dataset.full_init()
    return dataset


def as_volumes(item: Mapping[str, Any]) -> dict[str, Any]:
    """Images and labels of a pair with their geometry."""
    inputs, affine = item['inputs'], np.asarray(item['data_samples'].affine)
    arrays = {name: inputs[name][0].numpy() for name in ('fixed', 'moving', 'fixed_labels', 'moving_labels')}
    return {name: Volume(array, Geometry(array.shape, affine)) for name, array in arrays.items()}


def field_error(displacement: np.ndarray, spacing: Sequence[float], item: Mapping[str, Any]) -> tuple[float, float]:
    """Mean distance to the known true field in mm, before and after, where the images can tell it."""
    known = {**item['inputs'], **item['data_samples'].to_dict()}
    true, valid = known['true_displacement'], known['true_displacement_valid'][0] > 0
    fields = torch.zeros_like(true), torch.from_numpy(displacement)
    before, after = (float(end_point_errors(f, true, spacing, batched=False)[valid].mean()) for f in fields)
    return before, after


def pair_lines(results: Sequence[Any], errors: Sequence[tuple[float, float]]) -> list[tuple[str, ...]]:
    """One line per pair and one of means."""
    rows = [
        (
            *(result.metrics[name][when] for name in ('dice', 'hd95') for when in ('before', 'after')), *error,
            result.metrics['folds_percent']['after'], result.timings['network'],
        )
        for result, error in zip(results, errors)
    ]  # fmt: skip
    names = [result.case_id for result in results] + ['mean']
    return [
        (
            name,
            f'{dice0:.3f} -> {dice1:.3f}',
            f'{error0:.2f} -> {error1:.2f}',
            f'{hd0:.2f} -> {hd1:.2f}',
            f'{folds:.3f}',
            f'{s:.1f}',
        )
        for name, (dice0, dice1, hd0, hd1, error0, error1, folds, s) in zip(
            names, [*rows, [fmean(c) for c in zip(*rows)]]
        )
    ]


def tissue_lines(results: Sequence[Any], names: Sequence[str]) -> list[tuple[str, ...]]:
    """Dice of each tissue, mean over the pairs."""
    rows: list[tuple[str, ...]] = []
    for number, name in enumerate(names, start=1):
        scores = [result.metrics['dice']['items'][str(number)] for result in results]
        rows.append((name, *(f'{fmean(score[when] for score in scores):.3f}' for when in ('before', 'after'))))
    return rows


def write_pair(item: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """Write one unseen pair as NIfTI; the moving image gets another order of its axes, as scanners differ."""
    paths = {}
    for name, volume in as_volumes(item).items():
        paths[name] = folder / f'{name}.nii.gz'
        write_volume(paths[name], volume.reoriented('LSA') if name.startswith('moving') else volume)
    return paths
