"""VoxelMorph's U-Nets: published sizes, switches, odd sizes, and that one learns."""

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.models.backbones.unet import UNet, unet_widths
from mmreg.models.flow_heads.conv_flow import ConvFlowHead
from mmreg.registry import REGISTRARS

SMALL = ((4, 6), (6, 6, 4))
VXM1 = ((8, 32, 32, 32), (32, 32, 32, 32, 32, 8, 8))


def count(**options):
    backbone = UNet(**options)
    return sum(p.numel() for part in (backbone, ConvFlowHead(backbone.spec)) for p in part.parameters())


@pytest.mark.parametrize(
    ('options', 'parameters'),
    [
        ({}, 327331),
        ({'ndim': 2}, 109170),
        ({'features': 8, 'levels': 4, 'multiplier': 2, 'conv_per_level': 2}, 366043),
        ({'down': 'stride'}, 301411),
        ({'down': 'stride', 'features': VXM1}, 274387),
    ],
)
def test_published_numbers_of_parameters(options, parameters):
    assert count(**options) == parameters


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize(
    'options',
    [
        {},
        {'half_res': True},
        {'down': 'stride'},
        {'down': 'stride', 'half_res': True},
        {'features': 3, 'levels': 3, 'multiplier': 1.5, 'conv_per_level': 2},
        {'features': ((4, 4, 6, 6), (6, 6, 6, 6)), 'conv_per_level': 2},
        {'image_channels': 2, 'norm_cfg': {'type': 'IN'}},
    ],
)
def test_features_are_what_the_spec_says(ndim, options):
    backbone = UNet(**{'features': SMALL, 'ndim': ndim, **options})
    image = torch.rand(1, backbone.spec.image_channels, *(8, 12, 4)[:ndim])
    for feature, channels, strides in zip(backbone(image, image), backbone.spec.channels, backbone.spec.strides):
        assert feature.shape[1] == channels
        assert tuple(feature.shape[2:]) == tuple(n // s for n, s in zip(image.shape[2:], strides))


def test_anisotropic_factors_keep_an_axis():
    backbone = UNet(features=SMALL, factors=(2, 2, 1))
    features = backbone(torch.rand(1, 1, 8, 8, 3), torch.rand(1, 1, 8, 8, 3))
    assert [tuple(f.shape[2:]) for f in features] == [(8, 8, 3), (4, 4, 3), (2, 2, 3)]
    assert backbone.spec.size_divisor == (4, 4, 1)


def test_widths_from_one_number():
    assert unet_widths(8, 4, 2, 1) == ([[8], [16], [32]], [[64], [32], [16]], [8])
    assert unet_widths(8, 3, 1.5, 2) == ([[8, 8], [12, 12]], [[18, 18], [12, 12]], [8, 8])


@pytest.mark.parametrize(
    'options',
    [
        {'features': 8},
        {'features': SMALL, 'levels': 3},
        {'features': ((4, 6), (6,))},
        {'features': ((4, 6, 8), (6, 6, 6)), 'conv_per_level': 2},
        {'down': 'conv'},
    ],
)
def test_widths_that_make_no_unet_are_refused(options):
    with pytest.raises(ConfigError, match='UNet'):
        UNet(**options)


def registrar(ndim, **changes):
    config = {
        'type': 'Registrar',
        'ndim': ndim,
        'backbone': {'type': 'UNet', 'features': SMALL},
        'flow_head': {'type': 'ConvFlowHead', 'int_downsize': 2, 'bidirectional': True, 'init_std': 0.1},
        'integrator': {'type': 'ScalingSquaring', 'steps': 4},
        'losses': {
            'similarity': {'type': 'MSE', 'weight': 1.0, 'direction': 'both'},
            'smoothness': {'type': 'Diffusion', 'weight': 0.02},
        },
    }
    return REGISTRARS.build({**config, **changes})


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('half_res', [False, True])
def test_odd_sizes_both_directions_and_gradients(pair, ndim, half_res):
    model = registrar(ndim, backbone={'type': 'UNet', 'features': SMALL, 'half_res': half_res})
    inputs = pair((9, 14, 7)[:ndim], batch=2)
    fields = model(inputs)
    assert fields.displacement.shape == fields.inverse_displacements[0].shape == (2, ndim, *(9, 14, 7)[:ndim])
    losses = model(inputs, mode='loss')
    sum(value for key, value in losses.items() if key.startswith('loss_')).backward()
    # With half_res nothing but the finest skip is unused, and that has no weights of its own.
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_recomputing_levels_changes_nothing_but_memory(pair):
    inputs = pair((8, 12))
    plain, lean = registrar(2), registrar(2, checkpoint_levels=3)
    lean.load_state_dict(plain.state_dict())
    gradients = []
    for model in (plain, lean):
        sum(v for k, v in model(inputs, mode='loss').items() if k.startswith('loss_')).backward()
        gradients.append([p.grad for p in model.parameters()])
    for a, b in zip(*gradients):
        torch.testing.assert_close(a, b)


def test_it_learns_a_shift():
    torch.manual_seed(0)
    axes = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing='ij')
    blob = [torch.exp(-((axes[0] - c) ** 2 + (axes[1] - 8) ** 2) / 12)[None, None] for c in (7.0, 9.0)]
    inputs = {'fixed': blob[0], 'moving': blob[1]}
    model = registrar(2, flow_head={'type': 'ConvFlowHead', 'int_downsize': 2, 'bidirectional': True})
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    history = []
    for _ in range(80):
        losses = model(inputs, mode='loss')
        optimizer.zero_grad()
        sum(value for key, value in losses.items() if key.startswith('loss_')).backward()
        optimizer.step()
        history.append(float(losses['similarity']))
    assert history[-1] < 0.1 * history[0]
    fields = model(inputs)
    assert fields.displacement[0, 0, 7, 8].item() == pytest.approx(2.0, abs=0.6)
    assert fields.inverse_displacements[0][0, 0, 9, 8].item() == pytest.approx(-2.0, abs=0.6)
