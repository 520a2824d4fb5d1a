"""Everything random follows from (seed, draw, index): what exact resume rests on."""

import itertools
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset, pseudo_collate
from torch.utils.data import DataLoader

from mmreg.datasets import (
    PairDataset,
    SeededDataset,
    SeededEpochSampler,
    SeededInfiniteSampler,
    SyntheticShapes,
    stable_seed,
)
from mmreg.datasets.seeding import seeded, seeded_sample


class Noise(torch.utils.data.Dataset):
    """A plain data set that draws from all three global generators."""

    def __init__(self, size: int):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return index, random.random(), float(np.random.random()), float(torch.rand(1))


def shapes(**kwargs) -> SyntheticShapes:
    return SyntheticShapes(**{'size': (16, 16), 'count': 5, 'pipeline': [Draw()], **kwargs})


class Draw:
    """A pipeline that returns the pair's name and random numbers of every kind."""

    def __call__(self, sample):
        own = float(sample['rng'].random())
        return sample['case_id'], own, random.random(), float(np.random.random()), float(torch.rand(1))


def test_stable_seed_does_not_change():
    assert stable_seed(0) == stable_seed(0)
    assert (stable_seed(0, 0, 0), stable_seed(0, 0, 1), stable_seed(1, 2, 3)) == (2706114589, 1239762169, 3922471037)


def test_seeded_restores_all_generators():
    state = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    with seeded(7):
        first = random.random(), np.random.random(), float(torch.rand(1))
    with seeded(7):
        again = random.random(), np.random.random(), float(torch.rand(1))
    assert first == again
    assert random.getstate() == state[0]
    assert (np.random.get_state()[1] == state[1]).all()
    assert torch.equal(torch.get_rng_state(), state[2])


def test_outer_block_decides():
    def draw(outer):
        with seeded_sample(*outer), seeded_sample(0, 0, 0):
            return random.random()

    assert draw((1, 2, 3)) == draw((1, 2, 3)) != draw((1, 2, 4))


def test_sample_is_function_of_seed_draw_index():
    one, other = shapes(seed=3), shapes(seed=3)
    n = len(one)
    assert [one[i] for i in (2, n + 2, 7 * n + 2)] == [other[i] for i in (2, n + 2, 7 * n + 2)]
    assert len({one[draw * n + 2] for draw in range(6)}) == 6
    assert one[2] != shapes(seed=4)[2]
    assert len({one[draw * n + 2][0] for draw in range(20)}) > 1, 'the partner is drawn anew in every draw'


def test_partner_is_uniform_over_the_others():
    dataset = shapes()
    fixed = [dataset[draw * 5 + 1][0].split('_')[0] for draw in range(400)]
    names, counts = np.unique(fixed, return_counts=True)
    assert list(names) == ['sim0000', 'sim0002', 'sim0003', 'sim0004']
    assert counts.min() > 70


def test_run_seed_reaches_the_dataset_unless_it_has_its_own():
    free, own = shapes(), shapes(seed=5)
    for dataset in (free, own):
        SeededEpochSampler(dataset, seed=11)
    assert (free.seed, own.seed) == (11, 5)
    inner = shapes()
    SeededInfiniteSampler(SeededDataset(inner), seed=12)
    assert inner.seed == 12


def test_dataset_can_be_iterated():
    assert len(list(shapes())) == 5


@pytest.mark.parametrize('wrap', [lambda d: d, SeededDataset])
def test_same_for_0_and_2_workers(wrap):
    def run(workers):
        dataset = wrap(shapes())
        sampler = SeededEpochSampler(dataset, seed=1)
        loader = DataLoader(dataset, 2, sampler=sampler, num_workers=workers, collate_fn=list)
        epochs = []
        for epoch in range(2):
            sampler.set_epoch(epoch)
            epochs.append(list(itertools.chain.from_iterable(loader)))
        return epochs

    plain, forked = run(0), run(2)
    assert plain == forked
    assert set(plain[0]).isdisjoint(plain[1])


def test_seeded_dataset_makes_wrappers_exact():
    dataset = SeededDataset(ConcatDataset([shapes(), shapes(template_seed=1)]), seed=2)
    assert dataset[3] == dataset[3] != dataset[3 + len(dataset)]
    assert dataset[3][1:] != dataset[8][1:], 'equal positions of the two parts draw differently'
    noise = SeededDataset(Noise(4), seed=2)
    assert noise[1] == noise[1] and noise[1][1:] != noise[5][1:]


@pytest.mark.parametrize('shuffle', [True, False])
def test_epoch_sampler_orders_and_skips(shuffle):
    dataset = Noise(7)
    sampler = SeededEpochSampler(dataset, shuffle=shuffle, seed=0)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
        assert sorted(epochs[-1]) == [epoch * 7 + i for i in range(7)]
    assert ([i % 7 for i in epochs[0]] != [i % 7 for i in epochs[1]]) == shuffle
    sampler.skip(3)
    assert list(sampler) == epochs[2][3:]
    assert list(sampler) == epochs[2], 'only the next epoch is shortened'


def test_seeds_do_not_share_epochs():
    orders = set()
    for seed in range(3):
        sampler = SeededEpochSampler(Noise(20), seed=seed)
        for epoch in range(3):
            sampler.set_epoch(epoch)
            orders.add(tuple(i % 20 for i in sampler))
    assert len(orders) == 9


def test_epoch_sampler_splits_over_ranks():
    parts = []
    for rank in range(3):
        sampler = SeededEpochSampler(Noise(7), seed=0)
        sampler.rank, sampler.world_size, sampler.num_samples, sampler.total_size = rank, 3, 3, 9
        parts.append(list(sampler))
    assert [len(part) for part in parts] == [3, 3, 3]
    assert set(itertools.chain(*parts)) == set(range(7))


@pytest.mark.parametrize('world', [1, 2, 3])
@pytest.mark.parametrize('skip', [0, 1, 5, 23])
def test_infinite_sampler_skips(world, skip):
    for rank in range(world):
        sampler = SeededInfiniteSampler(Noise(5), seed=4)
        sampler.rank, sampler.world_size = rank, world
        whole = list(itertools.islice(sampler, 40))
        sampler.skip(skip)
        assert list(itertools.islice(sampler, 40 - skip)) == whole[skip:]
    assert sorted(i // 5 for i in itertools.islice(SeededInfiniteSampler(Noise(5), seed=4), 10)) == [0] * 5 + [1] * 5


def test_batches_collate():
    dataset = SyntheticShapes(size=(16, 16), count=3)
    batch = pseudo_collate([dataset[0], dataset[1]])
    assert isinstance(dataset, PairDataset)
    assert [tuple(t.shape) for t in batch['inputs']['fixed']] == [(1, 16, 16)] * 2
    assert len(batch['data_samples']) == 2
