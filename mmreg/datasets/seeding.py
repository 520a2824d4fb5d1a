"""Randomness as a function of (seed, draw, index), so that a resumed run repeats exactly what it would have drawn.

No random state is ever saved. A *draw* is one pass over the data; the samplers of this package number their draws and
hand them to the dataset inside the index: ``draw * len(dataset) + index``.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from mmreg.registry import DATASETS

_inside: ContextVar[bool] = ContextVar('inside_seeded_sample', default=False)


def stable_seed(*integers: int) -> int:
    """One 32-bit seed from any integers; the same on every platform, in every process and Python version."""
    digest = hashlib.blake2b(repr(tuple(int(i) for i in integers)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, 'little')


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Python's, NumPy's and torch's CPU generators seeded inside the block and restored behind it."""
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.random.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])


def decode_index(index: int, length: int) -> tuple[int, int]:
    """``(draw, index)`` of what a seeded sampler yields; a plain index is draw 0."""
    return divmod(int(index), length)


@contextmanager
def seeded_sample(seed: int, draw: int, index: int) -> Iterator[None]:
    """All randomness of one sample follows from the three numbers; inside another such block the outer one decides."""
    if _inside.get():
        yield
        return
    token = _inside.set(True)
    try:
        with seeded(stable_seed(seed, draw, index)):
            yield
    finally:
        _inside.reset(token)


def share_seed(dataset: Any, seed: int) -> None:
    """Give the run's seed to ``dataset`` and to what it wraps, wherever no seed of its own was configured."""
    if hasattr(dataset, 'set_run_seed'):
        dataset.set_run_seed(seed)
    for inner in (getattr(dataset, 'dataset', None), *(getattr(dataset, 'datasets', None) or ())):
        if inner is not None:
            share_seed(inner, seed)


@DATASETS.register_module()
class SeededDataset(Dataset[Any]):
    """Makes any dataset, also one of MMEngine's wrappers, a function of (seed, draw, index).

    The pair datasets of this package need no wrapper; ``ConcatDataset`` and ``RepeatDataset`` do.

    Args:
        dataset: Dataset or its config.
        seed: Seed; the run's own when None.
    """

    def __init__(self, dataset: Dataset[Any] | dict[str, Any], seed: int | None = None):
        self.dataset: Any = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self._own_seed = seed is not None
        self.seed = seed or 0

    def set_run_seed(self, seed: int) -> None:
        """Take the run's seed, unless one was given."""
        if not self._own_seed:
            self.seed = seed

    @property
    def metainfo(self) -> dict[str, Any]:
        """That of the data set inside."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Load the list of the data set inside, where it is lazy."""
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        draw, index = decode_index(index, len(self))
        with seeded_sample(self.seed, draw, index):
            return self.dataset[index]
