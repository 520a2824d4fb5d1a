"""The fast path of a convolution gives what the layer gives."""

import pytest
import torch
from torch import nn

from mmreg.models.blocks import convolve as module
from mmreg.models.blocks.convolve import convolve
from mmreg.models.flow_heads.coarse_to_fine import FlowEstimator


@pytest.mark.parametrize('planes', [12, 13])
@pytest.mark.parametrize('channels', [1, 3])
def test_halves_equal_the_layer(planes, channels, monkeypatch):
    calls = []
    halves = module._in_halves
    monkeypatch.setattr(module, '_in_halves', lambda *args: calls.append(1) or halves(*args))
    conv = nn.Conv3d(channels, 4, 3, padding=1)
    x = torch.randn(1, channels, planes, 11, 10, requires_grad=True)
    weight = torch.randn(1, 4, planes, 11, 10)
    results = []
    for run in (conv, lambda x: convolve(conv, x)):
        out = run(x)
        results.append([out, *torch.autograd.grad((out * weight).sum(), [x, conv.weight, conv.bias])])
    assert calls == [1]
    for expected, found in zip(*results):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('options', [{'stride': 2}, {'dilation': 2, 'padding': 2}, {'padding': 0}, {'groups': 2}])
def test_other_convolutions_take_their_own_way(options):
    conv = nn.Conv3d(2, 4, 3, **{'padding': 1, **options})
    x = torch.randn(1, 2, 12, 11, 10)
    torch.testing.assert_close(convolve(conv, x), conv(x))


def test_sum_and_difference_enter_the_kernel():
    estimator = FlowEstimator(3, 8, 5)
    fixed, moving = torch.randn(2, 4, 6, 7, 5), torch.randn(2, 4, 6, 7, 5)
    joined = torch.cat([fixed + moving, fixed - moving], dim=1)
    expected = estimator.flow(estimator.reduce(estimator.mix(joined)))
    torch.testing.assert_close(estimator(fixed, moving), expected, rtol=1e-4, atol=1e-5)
