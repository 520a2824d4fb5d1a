"""Pairs of any contrast: what corresponds, what is random, what an image may hold."""

import numpy as np
import pytest
import torch

from mmreg.datasets import AnyBrains, AnyShapes
from mmreg.datasets.anatomies import COVERINGS, random_brain, random_shapes
from mmreg.datasets.image_synthesis import (
    Appearance,
    Deformation,
    corresponding_points,
    paint,
    random_maps,
    read_labels,
)

SMALL = dict(knots=(12.0, 6.0), amplitude=(0.8, 0.4))


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize('size', [(40, 36), (24, 28, 20)])
def test_a_landmark_lies_on_the_same_label_in_both_images(size):
    """A point of the anatomy is found in both images on the label it came from, apart from borders between voxels."""
    anatomy = random_shapes(rng(1), [round(1.2 * n) for n in size], most=6)
    forward, inverse, affines = random_maps(rng(2), size, anatomy.size, Deformation(**SMALL))
    points = corresponding_points(rng(3), anatomy.scored, inverse, affines, 400)
    maps = [read_labels((anatomy.scored,), d, a)[0].numpy() for d, a in zip(forward, affines)]
    known = np.isfinite(points[0]).all(1)
    assert known.sum() > 100
    seen = [labels[tuple(np.rint(p[known]).astype(int).T)] for labels, p in zip(maps, points)]
    assert (seen[0] == seen[1]).mean() > 0.85
    apart = np.linalg.norm(points[0][known] - points[1][known], axis=1)
    assert apart.mean() > 0.5
    shuffled = seen[1][np.random.default_rng(0).permutation(len(seen[1]))]
    assert (seen[0] == shuffled).mean() < 0.7


def test_a_pair_follows_from_seed_draw_and_index():
    """The same numbers give the same pair; another draw, index or seed another one."""
    data = AnyShapes(size=(20, 24), count=3, points=8, pipeline=[], seed=5)
    first, again = data[1], AnyShapes(size=(20, 24), count=3, points=8, pipeline=[], seed=5)[1]
    assert all(np.array_equal(first[k], again[k], equal_nan=True) for k in ('fixed', 'moving', 'fixed_labels'))
    others = [data[2], data[1 + len(data)], AnyShapes(size=(20, 24), count=3, pipeline=[], seed=6)[1]]
    assert all(not np.array_equal(first['fixed'], other['fixed']) for other in others)
    assert first['fixed_landmarks'].shape == (8, 2)


def test_packed_pairs_of_shapes_in_three_dimensions():
    """What a model takes: images in [0, 1] that differ in contrast, labels within the classes."""
    item = AnyShapes(size=(16, 20, 24), count=1, points=4, regions=7)[0]['inputs']
    assert item['fixed'].shape == item['moving'].shape == (1, 16, 20, 24)
    for role in ('fixed', 'moving'):
        assert float(item[role].min()) >= 0 and float(item[role].max()) <= 1 and float(item[role].std()) > 0.01
        assert int(item[f'{role}_labels'].min()) >= 0 and int(item[f'{role}_labels'].max()) <= 7
    assert not torch.equal(item['fixed'], item['moving'])


def test_hidden_regions_look_like_the_background():
    parts = torch.arange(4)[:, None, None].expand(4, 12, 12).contiguous()
    quiet = Appearance(noise=0, blur=0.2, thick=0, bias=0, crop=0, clear=1)
    image = paint(rng(4), parts, torch.arange(4), quiet, hidden=(2,))
    assert image.shape == (1, 4, 12, 12) and float(image[0, 2].max()) == float(image[0, 0].max()) == 0
    assert float(image[0, 1].mean()) != float(image[0, 3].mean())


def test_two_paintings_of_one_map_have_other_contrasts():
    parts = random_shapes(rng(6), (32, 32), most=8).parts
    one, two = (paint(rng(seed), parts, torch.arange(9), Appearance())[0] for seed in (7, 8))
    assert abs(float(torch.corrcoef(torch.stack([one.flatten(), two.flatten()]))[0, 1])) < 0.9


def test_brains_have_coverings_that_are_never_scored():
    pytest.importorskip('nilearn')
    brain = random_brain(rng(9), resolution=4)
    region = brain.region[brain.parts]
    assert brain.parts.shape == brain.scored.shape
    for covering in COVERINGS:
        assert bool((region == covering).any()) and not bool(brain.scored[region == covering].any())
    assert len(brain.scored.unique()) > 10 and int(brain.scored.max()) <= 3 * 14 + 1


def test_brains_with_and_without_skull():
    """With bare=(1, 0) no image shows anything beyond the brain, with (0, 1) both do."""
    pytest.importorskip('nilearn')
    shown = {}
    calm = dict(noise=0, crop=0, clear=1, thick=0)
    for bare in ((1.0, 0.0), (0.0, 1.0)):
        data = AnyBrains(size=(40, 48, 40), resolution=4, bare=bare, count=1, pipeline=[], seed=3, appearance=calm)
        pair = data[0]
        shown[bare] = [float(((pair[r] > 0.02) & (pair[f'{r}_labels'] == 0)).mean()) for r in ('fixed', 'moving')]
    assert all(many > few + 0.03 for few, many in zip(shown[(1.0, 0.0)], shown[(0.0, 1.0)]))
