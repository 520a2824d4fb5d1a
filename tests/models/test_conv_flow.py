"""The single-scale flow head: units, orders, grids, directions, and what it refuses."""

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.models.base import FeatureSpec
from mmreg.models.flow_heads.conv_flow import ConvFlowHead, FlowConv
from mmreg.models.integrators.identity import IdentityIntegrator
from mmreg.models.integrators.scaling_squaring import ScalingSquaring
from mmreg.spatial import compose, identity_grid


def spec(ndim=2, stride=1, siamese=False, channels=4):
    divisor = (stride,) * ndim
    return FeatureSpec(ndim, (channels,), ((stride,) * ndim,), siamese, divisor, divisor)


def head_with(bias, features=None, **options):
    """A head whose flow is the constant ``bias`` before activation, unit and order."""
    features = features or spec(len(bias))
    head = ConvFlowHead(features, **options)
    torch.nn.init.zeros_(head.flow.conv.weight)
    head.flow.conv.bias.data = torch.tensor(bias)
    return head


def run(head, size, integrator=None, batch=1):
    features = torch.zeros(batch, head.features.channels[0], *size)
    return head([features], integrator or IdentityIntegrator(), {})


@pytest.mark.parametrize('ndim', [2, 3])
def test_a_new_head_hardly_moves_anything(ndim):
    torch.manual_seed(0)
    conv = FlowConv(ndim, 16)
    assert conv.conv.weight.std().item() == pytest.approx(1e-5, rel=0.2) and not conv.conv.bias.any()
    assert conv(torch.rand(1, 16, *[6] * ndim)).abs().max() < 1e-2
    assert FlowConv(ndim, 16, init_std=None).conv.weight.std() > 1e-2
    assert FlowConv(ndim, 16, bias=False).conv.bias is None


def test_units_and_orders():
    """A flow of (1, 2, 3) on a grid of 5 x 7 x 9: normalised lengths are half extents; xyz is the reverse."""
    size = (5, 7, 9)
    voxels = {
        ('voxel', 'ijk'): [1.0, 2.0, 3.0],
        ('voxel', 'xyz'): [3.0, 2.0, 1.0],
        ('normalised', 'ijk'): [2.0, 6.0, 12.0],
        ('normalised', 'xyz'): [6.0, 6.0, 4.0],
    }
    for (unit, order), expected in voxels.items():
        fields = run(head_with([1.0, 2.0, 3.0], unit=unit, order=order), size)
        assert fields.displacement[0, :, 2, 3, 4].tolist() == pytest.approx(expected)


def test_activation_bounds_the_flow():
    fields = run(head_with([1.0, -3.0], activation='softsign', scale=0.4), (6, 6))
    assert fields.displacement[0, :, 3, 3].tolist() == pytest.approx([0.2, -0.3])
    tanh = run(head_with([100.0, -100.0], activation='tanh', scale=2.0), (6, 6))
    assert tanh.displacement[0, :, 3, 3].tolist() == pytest.approx([2.0, -2.0])


@pytest.mark.parametrize(('stride', 'downsize'), [(1, 1), (1, 2), (2, 2), (2, 1), (4, 2)])
def test_velocity_lives_on_the_integration_grid(stride, downsize):
    """Whatever the features' grid: a constant flow of one feature voxel moves `stride` image voxels."""
    head = head_with([1.0, 0.5], spec(2, stride), int_downsize=downsize)
    fields = run(head, (16 // stride, 24 // stride), batch=2)
    assert fields.velocities[0].shape == (2, 2, 16 // downsize, 24 // downsize)
    assert fields.displacement.shape == (2, 2, 16, 24)
    assert fields.velocities[0][0, :, 1, 1].tolist() == pytest.approx([stride / downsize, stride / downsize / 2])
    assert fields.displacement[0, :, 5, 7].tolist() == pytest.approx([stride, stride / 2])
    assert head.size_divisor == (downsize, downsize)


def test_anisotropic_integration_grid():
    fields = run(head_with([1.0, 1.0, 1.0], int_downsize=(2, 2, 1)), (8, 8, 5))
    assert fields.velocities[0].shape[2:] == (4, 4, 5)
    assert fields.velocities[0][0, :, 1, 1, 1].tolist() == pytest.approx([0.5, 0.5, 1.0])
    assert fields.displacement[0, :, 1, 1, 1].tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_normalised_values_survive_enlarging_as_lengths():
    """LKU-Net's half-resolution head: 0.5 of the half extent on 4 x 6 is 0.5 of the half extent on 8 x 12."""
    head = head_with([1.0, 1.0], spec(2, 2), activation='softsign', unit='normalised', resampling='centres')
    fields = run(head, (4, 6))
    assert fields.displacement[0, :, 3, 5].tolist() == pytest.approx([0.5 * 7 / 2, 0.5 * 11 / 2])


def test_exact_values_between_grids_are_an_option():
    factor = run(head_with([1.0, 1.0], spec(2, 2), int_downsize=2), (4, 4)).displacement
    exact = run(head_with([1.0, 1.0], spec(2, 2), int_downsize=2, values='aligned'), (4, 4)).displacement
    assert factor[0, 0, 4, 4].item() == pytest.approx(2.0) and exact[0, 0, 4, 4].item() == pytest.approx(7 / 3)


@pytest.mark.parametrize('ndim', [2, 3])
def test_backward_field_inverts_the_forward_one(ndim):
    """On a smooth velocity forward after backward is the identity, up to the interpolation of the grids."""
    size = (24, 20, 16)[:ndim]
    head = ConvFlowHead(spec(ndim, channels=ndim), kernel=1, int_downsize=2, bidirectional=True)
    torch.nn.init.dirac_(head.flow.conv.weight)  # features are the flow
    grid = identity_grid(size)
    wave = torch.stack([torch.sin(3.14159 * grid[i] / (n - 1)) for i, n in enumerate(size)]).prod(0)
    flow = torch.stack([1.5 * wave, -wave, 0.5 * wave][:ndim])[None]
    fields = head([flow], ScalingSquaring(7), {})
    forward, backward = fields.displacement, fields.inverse_displacements[0]
    assert forward.abs().max() > 1
    inner = (..., *[slice(3, -3)] * ndim)
    assert compose(forward, backward)[inner].abs().max() < 0.05 * forward.abs().max()


def test_siamese_features_are_joined():
    head = ConvFlowHead(spec(2, siamese=True, channels=3))
    assert head.flow.conv.in_channels == 6
    pair = (torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))
    assert head([pair], IdentityIntegrator(), {}).displacement.shape == (1, 2, 8, 8)


def test_float64_and_gradients():
    head = ConvFlowHead(spec(2), int_downsize=2, bidirectional=True, activation='softsign', init_std=None).double()
    features = torch.rand(1, 4, 8, 6, dtype=torch.float64, requires_grad=True)

    def loss(x):
        fields = head([x], ScalingSquaring(3, padding='border'), {})
        return fields.displacement.square().sum() + fields.inverse_displacements[0].sum()

    assert torch.autograd.gradcheck(loss, features)


@pytest.mark.parametrize(
    'options',
    [
        {'activation': 'relu'},
        {'unit': 'mm'},
        {'order': 'zyx'},
        {'resampling': 'nearest'},
        {'values': 'half'},
        {'int_downsize': 0},
        {'int_downsize': (2, 2, 2)},
    ],
)
def test_unknown_options_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        ConvFlowHead(spec(2), **options)
