"""LKU-Net: published sizes, the half-resolution form, the single-kernel form."""

import pytest
import torch

from mmreg.commands.reparameterise import main
from mmreg.errors import ConfigError
from mmreg.models.backbones.lku_net import LKUNet
from mmreg.models.blocks.branches import reparameterise
from mmreg.models.blocks.layers import LargeKernelBlock
from mmreg.models.flow_heads.conv_flow import ConvFlowHead
from mmreg.registry import REGISTRARS

HEAD = {'type': 'ConvFlowHead', 'bias': False, 'init_std': None, 'activation': 'softsign', 'unit': 'normalised'}


def registrar(ndim=2, head=None, losses=None, **backbone):
    config = {
        'type': 'Registrar',
        'ndim': ndim,
        'backbone': {'type': 'LKUNet', 'channels': 2, **backbone},
        'flow_head': head or HEAD,
        'losses': losses,
    }
    return REGISTRARS.build(config)


@pytest.mark.parametrize(
    ('channels', 'ndim', 'unused_head', 'parameters'),
    [
        (4, 3, 216 * 3, 522950),
        (8, 3, 432 * 3, 2087638),
        (4, 3, 0, 522302),
        (8, 3, 0, 2086342),
        (16, 3, 0, 8339702),
        (4, 2, 72 * 2, 195366),
        (8, 2, 144 * 2, 779606),
        (16, 2, 288 * 2, 3114774),
    ],
)
def test_published_numbers_of_parameters(channels, ndim, unused_head, parameters):
    """Up to the second head, ``2N * 3^ndim * ndim`` weights, that some of the published code has and never uses."""
    with torch.device('meta'):
        backbone = LKUNet(channels, ndim=ndim)
        head = ConvFlowHead(backbone.spec, bias=False)
    assert sum(p.numel() for part in (backbone, head) for p in part.parameters()) + unused_head == parameters


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('half', [False, True])
def test_features_are_what_the_spec_says(ndim, half):
    backbone = LKUNet(2, half_resolution=half, ndim=ndim)
    image = torch.rand(1, 1, *(16, 32, 16)[:ndim])
    features = backbone(image, image)
    assert len(features) == (4 if half else 5)
    for feature, channels, strides in zip(features, backbone.spec.channels, backbone.spec.strides):
        assert feature.shape[1] == channels
        assert tuple(feature.shape[2:]) == tuple(n // s for n, s in zip(image.shape[2:], strides))


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('half', [False, True])
def test_odd_sizes_and_gradients(pair, ndim, half):
    losses = {
        'similarity': {'type': 'LNCC', 'window': 3, 'negative': True},
        'smoothness': {'type': 'Diffusion', 'unit': 'lku', 'weight': 5.0},
    }
    model = registrar(ndim, losses=losses, half_resolution=half)
    inputs = pair((17, 12, 9)[:ndim])
    fields = model(inputs)
    assert fields.displacement.shape == (1, ndim, *(17, 12, 9)[:ndim])
    limit = [(n - 1) / 2 for n in (32, 16, 16)[:ndim]]
    assert all(fields.displacement[:, i].abs().max() < limit[i] for i in range(ndim)), 'softsign bounds the field'
    result = model(inputs, mode='loss')
    (result['loss_similarity'] + result['loss_smoothness']).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(('ndim', 'kernel'), [(2, 7), (2, 5), (3, 5)])
@pytest.mark.parametrize('norm', [None, {'type': 'BN'}])
@pytest.mark.parametrize('channels', [(4, 4), (4, 6)])
def test_one_kernel_does_what_the_branches_do(ndim, kernel, norm, channels):
    """Also with running statistics far from 0 and 1, and without the identity where the channels differ."""
    torch.manual_seed(0)
    block = LargeKernelBlock(ndim, *channels, kernel, norm_cfg=norm, act_cfg={'type': 'PReLU'}).double()
    for module in block.modules():
        if hasattr(module, 'running_mean'):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.uniform_(module.bias, -1, 1)
    block.eval()
    x = torch.randn(2, channels[0], *(9, 7, 5)[:ndim], dtype=torch.float64)
    expected = block(x)
    block.reparameterise()
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-12)
    assert {key.split('.')[0] for key in block.state_dict()} == {'fused', 'act'}


def test_a_norm_of_the_image_cannot_be_merged():
    block = LargeKernelBlock(2, 4, 4, norm_cfg={'type': 'IN'})
    with pytest.raises(ConfigError, match='InstanceNorm2d'):
        block.reparameterise()
    assert block.fused is None and hasattr(block, 'large')
    with pytest.raises(ConfigError, match='no large-kernel block'):
        reparameterise(torch.nn.Conv2d(1, 1, 3))


@pytest.mark.parametrize('ndim', [2, 3])
def test_the_whole_network_in_its_single_kernel_form(pair, ndim):
    torch.manual_seed(0)
    model = registrar(ndim).eval()
    inputs = pair((16, 20, 16)[:ndim], batch=2)
    with torch.no_grad():
        expected = model(inputs).displacement
        fused = reparameterise(model)(inputs).displacement
    torch.testing.assert_close(fused, expected, rtol=1e-5, atol=1e-5)
    again = registrar(ndim, fused=True).eval()
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(again(inputs).displacement, fused)


CONFIG = """
model = dict(
    type='Registrar',
    ndim=2,
    backbone=dict(type='LKUNet', channels=2, fused=False),
    flow_head=dict(type='ConvFlowHead', bias=False, activation='softsign', unit='normalised'),
)
"""


def test_the_command_writes_weights_for_the_fused_config(tmp_path, pair, capsys):
    from mmreg.registration.model import init_model

    config, source, target = tmp_path / 'lku.py', tmp_path / 'in.pth', tmp_path / 'out.pth'
    config.write_text(CONFIG)
    torch.save({'state_dict': registrar().state_dict()}, source)
    assert main([str(config), str(source), str(target)]) == 0
    assert 'model.backbone.fused=True' in capsys.readouterr().out
    plain = init_model(config, source, device='cpu')
    fused = init_model(config, target, device='cpu', cfg_options={'model.backbone.fused': True})
    inputs = pair((16, 16))
    with torch.no_grad():
        torch.testing.assert_close(fused(inputs).displacement, plain(inputs).displacement, rtol=1e-5, atol=1e-5)
    assert main([str(config), str(target), str(tmp_path / 'twice.pth')]) == 2
    assert not (tmp_path / 'twice.pth').exists()
