"""The fused normalisation and activation equals the two modules."""

import pytest
import torch
from torch import nn

from mmreg.models.blocks import norm_rows
from mmreg.models.blocks.layers import ConvBlock
from mmreg.models.blocks.norm_act import norm_act, slope_of


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('act', [nn.PReLU(), nn.LeakyReLU(0.2), nn.ReLU()])
def test_equals_the_modules(ndim, act):
    norm = (nn.InstanceNorm2d, nn.InstanceNorm3d)[ndim - 2](3)
    x = torch.randn(2, 3, *[5, 6, 4][:ndim], requires_grad=True)
    expected = act(norm(x))
    weight = torch.randn_like(expected)
    grads = torch.autograd.grad((expected * weight).sum(), [x, *act.parameters()])
    result = norm_act(x, slope_of(act, x))
    torch.testing.assert_close(result, expected)
    for ours, theirs in zip(torch.autograd.grad((result * weight).sum(), [x, *act.parameters()]), grads):
        torch.testing.assert_close(ours, theirs)


def test_gradcheck():
    x = torch.randn(1, 2, 3, 4, 3, dtype=torch.float64, requires_grad=True)
    slope = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(norm_act, (x, slope))


def test_keeps_one_tensor_for_backward():
    x = torch.randn(1, 4, 8, 8, 8, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
        norm_act(x, torch.tensor([0.25], requires_grad=True))
    assert sum(saved) <= x.numel() + 3 * 4


@pytest.mark.parametrize('act', ['PReLU', 'LeakyReLU'])
def test_runs_under_autocast(act):
    block = ConvBlock(3, 1, 4, norm_cfg={'type': 'IN'}, act_cfg={'type': act})
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = block(torch.rand(1, 1, 6, 6, 6))
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert all(p.grad.isfinite().all() for p in block.parameters())


@pytest.mark.parametrize('block', [8, 1 << 15])
@pytest.mark.parametrize('threads', [1, 2])
def test_channels_last_equals_channels_first(block, threads, monkeypatch):
    monkeypatch.setattr(norm_rows, 'BLOCK', block)
    torch.set_num_threads(threads)
    x = torch.randn(1, 3, 5, 6, 4, dtype=torch.float64, requires_grad=True)
    slope = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    weight = torch.randn_like(x)
    results = [norm_act(x, slope), norm_act(x.contiguous(memory_format=torch.channels_last_3d), slope)]
    torch.testing.assert_close(*results)
    gradients = [torch.autograd.grad((y * weight).sum(), (x, slope)) for y in results]
    for first, last in zip(*gradients):
        torch.testing.assert_close(first, last)


def test_sums_over_a_million_voxels_are_exact():
    """Far from zero, where adding up one voxel after the other loses three digits."""
    x = (torch.randn(1, 2, 100, 100, 60) * 0.1 + 0.7).contiguous(memory_format=torch.channels_last_3d)
    expected = nn.functional.leaky_relu(nn.functional.instance_norm(x.double()), 0.2)
    torch.testing.assert_close(norm_act(x, torch.tensor(0.2)).double(), expected, atol=1e-5, rtol=0)
