"""Batches of inputs by the texts of a golden JSON, and stored arrays of every so-many-th voxel."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .calls import array

#: Where a text does not tell the seeds of further samples: that many apart.
_APART = 100
_FIRST = re.compile(r'\b(flow|image|labels)\((\d+|seed)')


def seeds_of(text: str, batch: int | None = None) -> list[int]:
    """The seeds of all samples: ``seeds [1, 11]``, ``image(1 [+100 per batch element], ..)``, ``image(1 + 10*b, ..)``.

    ``batch`` None takes as many as are listed, or one.
    """
    listed = re.search(r'seeds?\s*=?\s*\[([\d,\s]+)\]', text)
    if listed:
        seeds = [int(seed) for seed in listed.group(1).split(',')]
        assert batch in (None, len(seeds)), f'{text!r} has {len(seeds)} seeds, the case a batch of {batch}'
        return seeds
    found = re.search(r'\b(?:flow|image|labels)\((\d+)\s*(?:\[?\s*\+\s*(\d+)?\s*\*?\s*(b\b|per batch)?)?', text)
    assert found, f'no seed in {text!r}'
    first, step = int(found.group(1)), _APART
    if found.group(2):
        step = int(found.group(2))
    elif found.group(3):
        step = 1
    return [first + step * b for b in range(batch or 1)]


def batched(text: str, shape: Sequence[int], batch: int | None = None) -> Tensor:
    """The only call in ``text`` for every sample: ``(N, 1, *spatial)``, of a flow ``(N, ndim, *spatial)``."""
    seeds = seeds_of(text, batch)
    text = re.sub(r'\[\s*\+[^\]]*\]', '', text)
    text = re.sub(r'(\((?:\d+|seed))\s*\+[^,)]*', r'\1', text)
    samples = [torch.from_numpy(array(_FIRST.sub(rf'\1({seed}', text), shape)) for seed in seeds]
    stacked = torch.stack(samples)
    return stacked if 'flow(' in text else stacked[:, None]


def stride_between(size: Sequence[int], stored: Sequence[int], told: int | None = None) -> int:
    """The one step along all axes that leaves ``stored`` voxels of ``size``: ``told`` if it fits, else the smallest."""
    steps = [told] if told else []
    for step in [*steps, *range(1, max(size) + 1)]:
        if all(-(-n // step) == m for n, m in zip(size, stored)):
            return step
    raise AssertionError(f'no stride leaves {tuple(stored)} of {tuple(size)}')


def at_stored(value: Tensor, stored: np.ndarray | Sequence[int], told: int | None = None) -> Tensor:
    """``value`` ``(N, C, *spatial)`` at the voxels that were stored: those of an array, or of a shape.

    An array may lack the leading axes of length one.
    """
    shape = stored.shape if isinstance(stored, np.ndarray) else tuple(stored)
    ndim = value.dim() - 2
    step = stride_between(value.shape[2:], shape[len(shape) - ndim :], told)
    return value[(..., *[slice(None, None, step)] * ndim)]
