"""Samplers whose order follows from (seed, draw) and that can start in the middle of a run without loading anything."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sized

import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler

from mmreg.registry import DATA_SAMPLERS

from .seeding import share_seed, stable_seed


def _order(size: int, shuffle: bool, seed: int, draw: int) -> list[int]:
    """Indices of one pass over the data."""
    if not shuffle:
        return list(range(size))
    generator = torch.Generator()
    generator.manual_seed(stable_seed(seed, draw))
    return torch.randperm(size, generator=generator).tolist()


@DATA_SAMPLERS.register_module()
class SeededEpochSampler(DefaultSampler):
    """Epoch sampler that numbers its draws: yields ``epoch * len(dataset) + index``.

    Args:
        dataset: The dataset; it is given the run's seed unless it has its own.
        shuffle: Another order in every epoch.
        seed: Seed of the run, the same on all ranks; drawn and shared when None.
        round_up: Repeat the first indices so that all ranks get equally many.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None, round_up: bool = True):
        super().__init__(dataset, shuffle=shuffle, seed=seed, round_up=round_up)
        self._start = 0
        share_seed(dataset, self.seed)

    def skip(self, samples: int) -> None:
        """Start the next epoch behind its first ``samples`` samples of this rank."""
        self._start = samples

    def __iter__(self) -> Iterator[int]:
        start, self._start = self._start, 0
        size = len(self.dataset)
        order = _order(size, self.shuffle, self.seed, self.epoch)
        if self.round_up:
            order = list(itertools.islice(itertools.cycle(order), self.total_size))
        mine = order[self.rank : self.total_size : self.world_size]
        return (self.epoch * size + index for index in mine[start:])


@DATA_SAMPLERS.register_module()
class SeededInfiniteSampler(InfiniteSampler):
    """Endless sampler for iteration-based training: yields ``draw * len(dataset) + index``.

    Args:
        dataset: The dataset; it is given the run's seed unless it has its own.
        shuffle: Another order in every draw.
        seed: Seed of the run, the same on all ranks; drawn and shared when None.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None):
        super().__init__(dataset, shuffle=shuffle, seed=seed)
        self._start = 0
        share_seed(dataset, self.seed)

    def skip(self, samples: int) -> None:
        """Start behind the first ``samples`` samples of this rank, counted from the beginning of the run."""
        self._start = samples

    def _infinite_indices(self) -> Iterator[int]:
        first = self._start * self.world_size // self.size  # whole draws that need not be walked through
        for draw in itertools.count(first):
            for index in _order(self.size, self.shuffle, self.seed, draw):
                yield draw * self.size + index

    def __iter__(self) -> Iterator[int]:
        consumed = self._start * self.world_size
        first = consumed // self.size * self.size
        yield from itertools.islice(self._infinite_indices(), consumed - first + self.rank, None, self.world_size)
