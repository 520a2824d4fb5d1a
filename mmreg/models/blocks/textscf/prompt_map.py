"""The label map that a text-driven head is prompted with: where it comes from, and its values as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.errors import DataError
from mmreg.spatial import resize

#: What a head may be prompted with.
SOURCES = ('fixed_prompt', 'fixed_labels', 'background', 'propagate')

_THREE_WAYS = (
    'expected one of three ways: a segmentation of the fixed image (files as fixed_prompt, or the transform '
    "SegmentPrompt with a segmenter), flow_head.prompt='propagate' (the moving labels warped by a first pass), or "
    "flow_head.prompt='background' (label 0 everywhere)"
)


def need_prompt(guidance: Mapping[str, Any], key: str) -> Tensor:
    """``guidance[key]``.

    Raises:
        DataError: it is not there; the three ways to get one are named.
    """
    if guidance.get(key) is None:
        if key == 'fixed_labels':
            raise DataError(
                'the model is prompted with the true labels of the fixed image and found none: give them as '
                "fixed_labels (--fixed-labels FILE), or choose another way with model.flow_head.prompt='fixed_prompt', "
                "'background' or 'propagate'."
            )
        found = ', '.join(sorted(name for name in guidance if isinstance(guidance[name], Tensor)))
        raise DataError(
            f'the model needs a label map of the fixed image and found no {key!r} in {found}; {_THREE_WAYS}.'
        )
    return guidance[key]


def lookup_table(values: Sequence[int]) -> Tensor:
    """``(max + 1,)``: row of each label value, -1 where there is none."""
    table = torch.full((max(values) + 1,), -1, dtype=torch.int64)
    table[torch.tensor(list(values))] = torch.arange(len(values))
    return table


def rows_of(labels: Tensor, table: Tensor, name: str) -> Tensor:
    """Rows of an integer label map ``(N, 1, *spatial)``.

    Raises:
        DataError: labels that are not in the set; they are named.
    """
    if labels.is_floating_point() or labels.shape[1] != 1:
        raise DataError(
            f'the prompt has the shape {tuple(labels.shape)} and type {labels.dtype}, expected integer labels '
            '(N, 1, *spatial) or probabilities (N, L, *spatial).'
        )
    labels = labels.long()
    rows = table.to(labels.device)[labels.clamp(0, len(table) - 1)]
    strange = (rows < 0) | (labels < 0) | (labels >= len(table))
    if bool(strange.any()):
        shown = labels[strange].unique().tolist()
        raise DataError(
            f'the prompt holds the labels {shown[:8]}{" ..." if len(shown) > 8 else ""}, expected only those of the '
            f'label set {name!r} (0 to {len(table) - 1}).'
        )
    return rows


def on_features(rows: Tensor, size: Sequence[int]) -> Tensor:
    """Rows ``(N, 1, *spatial)`` on the grid of the features, nearest: the even voxels where it has half of them."""
    return resize(rows, size=list(size), mode='floor')


def fractions(rows: Tensor, count: int, size: Sequence[int]) -> Tensor:
    """Share of each row in each feature voxel, ``(N, count, *size)``."""
    onehot = F.one_hot(rows[:, 0], count).movedim(-1, 1).float()
    return pooled(onehot, size)


def pooled(probabilities: Tensor, size: Sequence[int]) -> Tensor:
    """Mean of the voxels ``(N, K, *spatial)`` inside each feature voxel; what is missing to 1 (padding) goes to the
    background.
    """
    rest = (1 - probabilities.sum(1, keepdim=True)).clamp_min(0)
    probabilities = torch.cat([probabilities[:, :1] + rest, probabilities[:, 1:]], dim=1)
    pool: Any = F.adaptive_avg_pool2d if len(size) == 2 else F.adaptive_avg_pool3d
    return pool(probabilities, tuple(size))


def drop_regions(rows: Tensor, whole: float, region: float) -> Tensor:
    """A sample of ``(N, 1, *spatial)`` loses its map with probability ``whole``, each of its regions with ``region``:
    they become 0.
    """
    if not (whole or region):
        return rows
    kept = []
    for sample in rows:
        if torch.rand(()) < whole:
            sample = torch.zeros_like(sample)
        for row in sample.unique().tolist() if region else ():
            if row and torch.rand(()) < region:
                sample = torch.where(sample == row, 0, sample)
        kept.append(sample)
    return torch.stack(kept)
