"""The network of `projects/own_weights` that names tissues: its images, training, and files seen through it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmreg.io import Geometry
from mmreg.plugins import load_plugin, register_all_modules
from mmreg.registry import DATASETS, MODELS

FOLDER = Path(__file__).parents[1] / 'projects' / 'own_weights' / 'tissues'
SIZE = (24, 28, 20)


@pytest.fixture(scope='module', autouse=True)
def plugin():
    pytest.importorskip('nilearn', reason='the packaged tissue maps are those of nilearn')
    register_all_modules()
    load_plugin(FOLDER)


@pytest.fixture(scope='module')
def pairs():
    appearance = dict(spread=0.1, crop=0.6)
    deformation = dict(zoom=(2.0, 3.0))
    return DATASETS.build(
        dict(
            type='TissueBrains', size=SIZE, resolution=2, count=4, seed=3, appearance=appearance,
            deformation=deformation,
        )
    )  # fmt: skip


def network(**options):
    torch.manual_seed(0)
    return MODELS.build(dict(type='TissueUNet', channels=[8, 12], **options))


def test_shares_sum_to_one_and_what_is_not_seen_is_background(pairs):
    for n in range(len(pairs)):
        inputs = pairs[n]['inputs']
        for role in ('fixed', 'moving'):
            image, tissues = inputs[role], inputs[f'{role}_tissues']
            assert image.shape == (1, *SIZE) and tissues.shape == (5, *SIZE)
            assert image.min() >= 0 and image.max() <= 1 and image.std() > 0.01
            torch.testing.assert_close(tissues.sum(0), torch.ones(SIZE))
            assert tissues.min() >= 0 and (tissues[1:].flatten(1).amax(1) > 0.5).sum() >= 3


def test_a_pair_is_a_function_of_its_number_and_the_contrasts_differ(pairs):
    first, again, other = pairs[0]['inputs'], pairs[0]['inputs'], pairs[1]['inputs']
    assert torch.equal(first['fixed'], again['fixed']) and not torch.equal(first['fixed'], other['fixed'])
    inside = first['fixed_tissues'][0] < 0.1
    assert inside.any()
    brightness = [one['fixed'][0][one['fixed_tissues'][3] > 0.8].mean() for one in (first, other)]
    assert abs(brightness[0] - brightness[1]) > 0.01


@pytest.mark.parametrize('descriptor', [None, dict(type='MINDSSC', radius=1, dilation=1)])
def test_it_learns(pairs, descriptor):
    inputs = {key: value[None] for key, value in pairs[0]['inputs'].items()}
    model = network(descriptor=descriptor)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    values = []
    for _ in range(25):
        loss = sum(model(inputs, mode='loss').values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(float(loss.detach()))
    assert values[-1] < 0.85 * values[0]
    shares = model(inputs)
    assert shares.shape == (2, 5, *SIZE)
    torch.testing.assert_close(shares.sum(1), torch.ones(2, *SIZE))


@pytest.mark.parametrize('ndim', [2, 3])
def test_blocks_and_channels_are_the_same_numbers(plugin, ndim):
    import sys

    unet = sys.modules[type(network()).__module__]
    x = torch.arange(float(3 * 4**ndim)).view(1, 3, *[4] * ndim)
    split = unet.blocks_to_channels(x)
    assert split.shape == (1, 3 * 2**ndim, *[2] * ndim)
    assert torch.equal(unet.channels_to_blocks(split), x)
    assert sorted(split[0, : 2**ndim].select(1, 0).flatten().tolist())[0] == 0


def test_a_file_is_seen_in_its_own_orientation_and_grid(plugin):
    import sys

    package = sys.modules[type(network()).__module__.rpartition('.')[0]]
    model = network(descriptor=dict(type='MINDSSC', radius=1, dilation=1)).eval()
    view = package.TissueView(model, (0, 0.2, 0.55, 1.0, 0.75))
    rng = np.random.default_rng(0)
    image = rng.random((1, 20, 16, 24), dtype=np.float32)
    grid = Geometry((20, 16, 24), np.diag([2.0, 2.0, 2.0, 1.0]))
    seen, sure = view(image, grid)
    assert seen.shape == image.shape and seen.min() >= 0 and seen.max() <= 1 and 0 <= sure <= 1
    turned, _ = view(np.ascontiguousarray(image[:, ::-1].transpose(0, 2, 1, 3)), grid_of(grid, image.shape[1:]))
    np.testing.assert_allclose(turned.transpose(0, 2, 1, 3)[:, ::-1], seen, atol=1e-5)
    fine, _ = view(image, Geometry((20, 16, 24), np.diag([1.0, 1.0, 1.0, 1.0])))
    assert fine.shape == image.shape


def grid_of(grid, size):
    """The grid of the array with its first axis mirrored and exchanged with the second."""
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (size[0] - 1)
    affine[:3, 0] *= -1
    affine[:, [0, 1]] = affine[:, [1, 0]]
    return Geometry((size[1], size[0], size[2]), affine)
