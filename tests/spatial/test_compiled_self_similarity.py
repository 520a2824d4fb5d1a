"""The kernels of the self-similarity losses against the PyTorch code in double precision."""

import pytest
import torch
from torch.autograd import grad

from mmreg.models.losses.mind import SSC_PAIRS
from mmreg.models.losses.self_similarity import FLOOR, HIGHEST, LOWEST, Patches, descriptor
from mmreg.registry import LOSSES
from mmreg.spatial.compiled import compiled_available, use_compiled
from mmreg.spatial.compiled.self_similarity import descriptor_difference, serves_descriptors

pytestmark = pytest.mark.skipif(not compiled_available(), reason='the kernels were not built: no C compiler')


@pytest.fixture(autouse=True)
def switched_on():
    """Also where the environment has turned them off."""
    with use_compiled(True):
        yield


#: More than one tile along each axis, volumes of one voxel along an axis, images.
SHAPES = [(1, 1, 12, 13, 70), (2, 2, 9, 1, 7), (1, 1, 70, 45, 6), (1, 1, 1, 9, 8), (1, 1, 9, 8, 1), (2, 1, 30, 41)]


def pair_of(shape, seed=1):
    torch.manual_seed(seed)
    first, second = torch.rand(shape), torch.rand(shape)
    first[..., :3] = 0.5  # a constant part: equally similar pairs, spreads that are clamped
    return first, second


def runs(config, images, mask=None, need=(True, True)):
    """Value and gradients with the kernels, and without them in double precision."""
    found = []
    for on, dtype in ((True, torch.float32), (False, torch.float64)):
        inputs = [x.to(dtype).requires_grad_(wanted) for x, wanted in zip(images, need)]
        with use_compiled(on):
            value = LOSSES.build(config)(*inputs, None if mask is None else mask.to(dtype))
            found.append([value.detach(), *grad(value, [x for x in inputs if x.requires_grad])])
    return found


def assert_close(found, tolerance=1e-4):
    for mine, reference in zip(*found, strict=True):
        assert mine.dtype == torch.float32
        scale = max(1e-12, float(reference.abs().max()))
        torch.testing.assert_close(mine.double() / scale, reference / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize('penalty', ['l1', 'l2'])
@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('name', ['MIND', 'MINDSSC'])
@pytest.mark.parametrize('shape', SHAPES)
def test_value_and_gradients(shape, name, masked, penalty):
    mask = (torch.rand(shape[0], 1, *shape[2:]) > 0.3).float() if masked else None
    assert_close(runs(dict(type=name, penalty=penalty), pair_of(shape), mask))


@pytest.mark.parametrize('radius', [0, 1, 2, 4])
@pytest.mark.parametrize('dilation', [1, 2, 5])
@pytest.mark.parametrize('name', ['MIND', 'MINDSSC'])
def test_windows_and_distances(name, dilation, radius):
    assert_close(runs(dict(type=name, radius=radius, dilation=dilation), pair_of((1, 1, 11, 10, 9))))


def test_distances_longer_than_a_tile():
    assert_close(runs(dict(type='MINDSSC', radius=1, dilation=18), pair_of((1, 1, 40, 8, 20))))


@pytest.mark.parametrize('need', [(True, False), (False, True)])
def test_one_gradient(need):
    assert_close(runs(dict(type='MINDSSC'), pair_of((2, 1, 8, 9, 10)), need=need))


def test_the_way_over_the_mean_spread():
    """Very uneven images: many spreads are clamped on both sides, and their gradient reaches every voxel."""
    first, second = pair_of((1, 1, 14, 15, 16))
    first[..., 8:] *= 1e-3
    first[:, :, 4:6, 4:6, 4:6] *= 1e4
    patches = Patches(SSC_PAIRS[3], 0, 1)
    shifted = [patches.difference(patches.pad(first), k).square() for k in range(12)]
    distance = torch.cat(shifted, 1)
    spread = (distance - distance.amin(1, keepdim=True)).mean(1)
    assert (spread < LOWEST * spread.mean()).any()
    assert_close(runs(dict(type='MINDSSC', radius=0, dilation=1), (first, second)))


@pytest.mark.parametrize('constant', [(True, True), (True, False), (False, True)])
def test_constant_images(constant):
    images = [torch.full((1, 1, 7, 8, 9), 0.25) if flat else x for x, flat in zip(pair_of((1, 1, 7, 8, 9)), constant)]
    mine, reference = runs(dict(type='MINDSSC'), images)
    assert all(x.isfinite().all() for x in mine)
    assert_close([mine[:1], reference[:1]])
    for found, expected, flat in zip(mine[1:], reference[1:], constant):
        assert not flat or (found.eq(0).all() and expected.eq(0).all())


def test_equal_images_and_an_empty_mask():
    first, second = pair_of((1, 1, 7, 8, 9))
    loss = LOSSES.build(dict(type='MINDSSC', penalty='l1'))
    one = first.clone().requires_grad_()
    assert loss(one, first.clone()) == 0
    value = loss(one, second, torch.zeros_like(first))
    assert value == 0 and grad(value, one)[0].eq(0).all()


def test_value_without_a_gradient():
    first, second = pair_of((2, 1, 9, 10, 11))
    loss = LOSSES.build(dict(type='MINDSSC'))
    with use_compiled(False):
        expected = loss(first.double(), second.double())
    torch.testing.assert_close(loss(first, second).double(), expected, rtol=1e-5, atol=0)


def test_exponential():
    """Against the descriptor itself, over all the range that exponents have: a mask reads them voxel by voxel."""
    first, second = pair_of((1, 1, 5, 6, 40), seed=3)
    first = first * torch.logspace(-3, 3, 40)
    patches = Patches(SSC_PAIRS[3], 1, 1)
    maps = (descriptor(x.double(), patches) for x in (first, second))
    expected = torch.stack(list(maps)).diff(dim=0)[0].abs().sum(1)[0]
    for at in range(0, 40, 3):
        mask = torch.zeros_like(first)
        mask[..., at] = 1
        arguments = ((first, second), mask, (False, False), 1.0, False, patches.pairs, 1, 1, (LOWEST, HIGHEST, FLOOR))
        found = descriptor_difference(*arguments)[0]
        torch.testing.assert_close(found.double(), expected[..., at].sum(), rtol=2e-5, atol=1e-6)


def test_differentiated_twice():
    first, second = pair_of((1, 1, 5, 6, 7))
    one = first.requires_grad_()
    loss = LOSSES.build(dict(type='MINDSSC', radius=1, dilation=1))
    inner = grad(loss(one, second), one, create_graph=True)[0]
    with use_compiled(False):
        expected = grad(loss(one, second), one, create_graph=True)[0]
    torch.testing.assert_close(grad(inner.sum(), one)[0], grad(expected.sum(), one)[0])


def test_same_bits_for_any_number_of_threads():
    images = [x.requires_grad_() for x in pair_of((1, 1, 70, 66, 20))]
    loss, before, results = LOSSES.build(dict(type='MINDSSC')), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            value = loss(*images)
            results.append([value.detach(), *grad(value, images)])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


def test_not_a_number_is_not_hidden():
    first, second = pair_of((1, 1, 6, 7, 8))
    first[0, 0, 3, 3, 3] = float('nan')
    assert LOSSES.build(dict(type='MINDSSC'))(first.requires_grad_(), second).isnan()


def test_what_is_left_to_pytorch():
    volume = torch.ones(1, 1, 4, 4, 4)
    assert serves_descriptors(12, volume, volume[:, :, 0])
    assert not serves_descriptors(33, volume)
    assert not serves_descriptors(12, volume, volume.double())
    assert not serves_descriptors(12, volume.expand(1, 2, 4, 4, 4))
