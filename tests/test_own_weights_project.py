"""The network of `projects/own_weights` that names tissues: its images, training, and files seen through it."""

import sys
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
            deformation=deformation, folds=dict(),
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
def test_blocks_become_channels(plugin, ndim):
    unet = sys.modules[type(network()).__module__]
    x = torch.arange(float(3 * 4**ndim)).view(1, 3, *[4] * ndim)
    split = unet.blocks_to_channels(x)
    assert split.shape == (1, 3 * 2**ndim, *[2] * ndim)
    assert sorted(split.flatten().tolist()) == x.flatten().tolist()
    first = x[(0, 0, *[slice(0, 2)] * ndim)].flatten().tolist()
    assert split[(0, slice(0, 2**ndim), *[0] * ndim)].tolist() == first


def test_a_cortex_has_folds_that_the_packaged_maps_lack(plugin):
    folds = sys.modules[type(network()).__module__.rpartition('.')[0] + '.folds']
    axes = np.meshgrid(*[np.arange(48) - 23.5] * 3, indexing='ij')
    distance = torch.from_numpy((2 * (np.sqrt(sum(a**2 for a in axes)) - 20)).astype(np.float32))
    always, never = folds.Folds(often=1.0), folds.Folds(often=0.0)
    fluid, grey, white = folds.folded(np.random.default_rng(0), always, distance, 2.0)
    torch.testing.assert_close(fluid + grey + white, torch.ones_like(fluid))
    assert min(float(one.min()) for one in (fluid, grey, white)) >= 0
    deep = (distance < -6) & (distance > -10)
    assert float(fluid[deep].max()) > 0.5 and float(grey[deep].max()) > 0.7 and float(white[deep].max()) > 0.5
    assert folds.folded(np.random.default_rng(0), never, distance, 2.0) is None


class Oracle(torch.nn.Module):
    """Names three tissues by brightness, as a network would that knows the contrast."""

    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def logits(self, image):
        places = torch.tensor([0.0, 0.95, 0.6, 0.3]).view(1, 4, 1, 1, 1)
        return -(((image - places) / 0.08) ** 2)

    def bright(self, shares):
        return (shares * torch.tensor([0.0, 0.2, 0.55, 1.0]).view(1, 4, 1, 1, 1)).sum(1, keepdim=True)


def test_an_image_is_shown_in_the_common_contrast_on_its_own_grid(plugin):
    package = sys.modules[type(network()).__module__.rpartition('.')[0]]
    view = package.CommonContrast(Oracle(), spacing=2.0)
    rng = np.random.default_rng(0)
    names = rng.integers(0, 3, (7, 6, 8)).repeat(5, 0).repeat(5, 1).repeat(5, 2)
    image = np.array([0.95, 0.6, 0.3], np.float32)[names]
    image[:5] = 0
    grid = Geometry(image.shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    seen = view(image[None], grid)
    assert seen.array.shape == (1, *image.shape) and seen.explained > 0.8 and seen.brain > 200
    wanted = np.array([0.2, 0.55, 1.0])[names]
    assert np.abs(seen.array[0][5:] - wanted[5:]).mean() < 0.1 and np.abs(seen.array[0][:5]).max() < 0.01
    turned = view(np.ascontiguousarray(image[::-1].transpose(1, 0, 2))[None], grid_of(grid, image.shape))
    np.testing.assert_allclose(turned.array[0].transpose(1, 0, 2)[::-1], seen.array[0], atol=1e-4)
    assert view(np.zeros((1, 20, 20, 20), np.float32), Geometry((20, 20, 20), grid.affine)).explained == 0


def grid_of(grid, size):
    """The grid of the array with its first axis mirrored and exchanged with the second."""
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (size[0] - 1)
    affine[:3, 0] *= -1
    affine[:, [0, 1]] = affine[:, [1, 0]]
    return Geometry((size[1], size[0], size[2]), affine)
