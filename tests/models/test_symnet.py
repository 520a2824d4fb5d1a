"""SYMNet: published sizes, the middle, both directions, its losses, other backbones, and that it learns."""

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.models.base import FeatureSpec
from mmreg.models.flow_heads.symmetric import SymmetricHead
from mmreg.models.integrators.scaling_squaring import ScalingSquaring
from mmreg.registry import BACKBONES, REGISTRARS
from mmreg.spatial import compose, identity_grid, warp

LOSSES = {
    'middle': {'type': 'LNCC', 'window': 3, 'negative': True, 'direction': 'middle', 'weight': 1.0},
    'similarity': {'type': 'LNCC', 'window': 3, 'negative': True, 'direction': 'both', 'weight': 2.0},
    'magnitude': {'type': 'MagnitudeBalance', 'on': 'half', 'weight': 0.1},
    'folding': {'type': 'JacobianFolding', 'on': 'displacement', 'weight': 100.0},
    'inverse_folding': {'type': 'JacobianFolding', 'on': 'inverse_displacement', 'weight': 100.0},
    'smoothness': {'type': 'Diffusion', 'on': 'velocity', 'weight': 3.0},
    'inverse_smoothness': {'type': 'Diffusion', 'on': 'inverse_velocity', 'weight': 3.0},
}


def registrar(ndim=2, **changes):
    config = {
        'type': 'Registrar',
        'ndim': ndim,
        'backbone': {'type': 'SYMNet', 'channels': 2},
        'flow_head': {'type': 'SymmetricHead', 'kernel': 3, 'scale': 3.0},
        'integrator': {'type': 'ScalingSquaring', 'steps': 4},
        'losses': LOSSES,
    }
    return REGISTRARS.build({**config, **changes})


def images(*size, batch=1):
    generator = torch.Generator().manual_seed(5)
    return {key: torch.rand(batch, 1, *size, generator=generator) for key in ('fixed', 'moving')}


def total(losses):
    return sum(value for key, value in losses.items() if key.startswith('loss_'))


@pytest.mark.parametrize(('channels', 'parameters'), [(7, 862351), (8, 1124448)])
def test_published_numbers_of_parameters(channels, parameters):
    backbone = BACKBONES.build({'type': 'SYMNet', 'channels': channels, 'ndim': 3})
    head = SymmetricHead(backbone.spec)
    assert sum(p.numel() for part in (backbone, head) for p in part.parameters()) == parameters


@pytest.mark.parametrize('ndim', [2, 3])
def test_odd_sizes_both_directions_and_gradients(ndim):
    size = (17, 14, 9)[:ndim]
    model = registrar(ndim)
    fields = model(images(*size, batch=2))
    assert fields.displacement.shape == fields.inverse_displacements[0].shape == (2, ndim, *size)
    assert model.size_divisor == (16,) * ndim
    losses = model(images(*size, batch=2), mode='loss')
    assert set(LOSSES) <= set(losses)
    total(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize('ndim', [2, 3])
def test_save_and_load(ndim, tmp_path):
    inputs = images(*[16] * ndim)
    first, second = registrar(ndim).eval(), registrar(ndim).eval()
    torch.save(first.state_dict(), tmp_path / 'weights.pth')
    with torch.no_grad():
        assert not torch.equal(first(inputs).displacement, second(inputs).displacement)
        second.load_state_dict(torch.load(tmp_path / 'weights.pth', weights_only=True))
        assert torch.equal(first(inputs).displacement, second(inputs).displacement)


def flows(size):
    """Two smooth velocities, stacked as features of one channel per component and direction."""
    grid = identity_grid(size)
    wave = torch.stack([torch.sin(3.14159 * grid[i] / (n - 1)) for i, n in enumerate(size)]).prod(0)
    gains = torch.tensor([1.2, -0.8, 0.5][: len(size)] + [-0.7, 0.9, 0.6][: len(size)])
    return (gains.view(-1, *[1] * len(size)) * wave)[None]


def head_of(ndim, stride=1, **options):
    """A head whose features are the velocities themselves."""
    features = FeatureSpec(ndim, (2 * ndim,), ((stride,) * ndim,), False, (1,) * ndim, (1,) * ndim)
    head = SymmetricHead(features, kernel=1, activation=None, scale=1.0, **options)
    for conv, first in ((head.flow.conv, 0), (head.backward_flow.conv, ndim)):
        torch.nn.init.zeros_(conv.weight)
        for i in range(ndim):
            conv.weight.data[(i, first + i, *[0] * ndim)] = 1
    return head


@pytest.mark.parametrize('ndim', [2, 3])
def test_the_whole_maps_go_through_the_middle(ndim):
    size = (20, 18, 16)[:ndim]
    features, integrator = flows(size), ScalingSquaring(7)
    fields = head_of(ndim)([features], integrator, {})
    v, w = features[:, :ndim], features[:, ndim:]
    half, inverse_half = fields.halves[0], fields.inverse_halves[0]
    torch.testing.assert_close(half, integrator(v))
    torch.testing.assert_close(inverse_half, integrator(w))
    torch.testing.assert_close(fields.displacement, compose(integrator(v), integrator(-w)))
    torch.testing.assert_close(fields.inverse_displacements[0], compose(integrator(w), integrator(-v)))
    inner = (..., *[slice(4, -4)] * ndim)
    gap = compose(fields.displacement, fields.inverse_displacements[0])[inner]
    assert gap.abs().max() < 0.05 * fields.displacement.abs().max()
    # An image warped as a whole is, seen from the middle, the moving image half way.
    grid = identity_grid(size)[None]
    seen = warp(warp(grid, fields.displacement), inverse_half)[inner]
    assert (seen - warp(grid, half)[inner]).abs().max() < 0.05


def test_exchanging_the_velocities_exchanges_the_directions():
    features = flows((16, 16))
    forward = head_of(2)([features], ScalingSquaring(5), {})
    backward = head_of(2)([features.roll(2, 1)], ScalingSquaring(5), {})
    assert torch.equal(forward.displacement, backward.inverse_displacements[0])
    assert torch.equal(forward.inverse_displacements[0], backward.displacement)


def test_integration_grid_and_border():
    features = flows((16, 16))
    fields = head_of(2, int_downsize=2)([features], ScalingSquaring(5), {})
    assert fields.velocities[0].shape == fields.inverse_velocities[0].shape == (1, 2, 8, 8)
    assert fields.displacement.shape == fields.halves[0].shape == (1, 2, 16, 16)
    shifted = features + 2
    zeros, border = (head_of(2, padding=p)([shifted], ScalingSquaring(5), {}) for p in ('zeros', 'border'))
    assert not torch.allclose(zeros.displacement, border.displacement)
    coarse = head_of(2, stride=2)([features], ScalingSquaring(5), {})
    assert coarse.displacement.shape == (1, 2, 32, 32)


def test_the_identity_integrator_inverts_by_iteration():
    fields = registrar(2, integrator={'type': 'IdentityIntegrator'})(images(16, 16))
    half, velocity = fields.halves[0], fields.velocities[0]
    assert torch.equal(half, velocity)


def test_losses_by_hand():
    model, inputs = registrar(2), images(16, 16, batch=2)
    with torch.no_grad():
        fields = model(inputs)
        found = model(inputs, mode='loss')
    lncc = model.objective.terms['middle'].at(0)
    half, inverse_half = fields.halves[0], fields.inverse_halves[0]
    middle = lncc(warp(inputs['moving'], half), warp(inputs['fixed'], inverse_half))
    torch.testing.assert_close(found['middle'], middle)
    sizes = half.abs().flatten(1).mean(1) - inverse_half.abs().flatten(1).mean(1)
    torch.testing.assert_close(found['magnitude'], sizes.abs().mean())
    whole = [
        lncc(warp(inputs['moving'], fields.displacement), inputs['fixed']),
        lncc(warp(inputs['fixed'], fields.inverse_displacements[0]), inputs['moving']),
    ]
    torch.testing.assert_close(found['loss_similarity'], whole[0] + whole[1])


@pytest.mark.parametrize('name', ['middle', 'magnitude', 'inverse_smoothness'])
def test_terms_of_halves_need_a_head_that_has_them(name):
    model = registrar(2, flow_head={'type': 'ConvFlowHead'}, losses={name: LOSSES[name]})
    with pytest.raises(ConfigError, match=rf'losses\.{name}'):
        model(images(16, 16), mode='loss')


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize(
    'backbone',
    [
        {'type': 'UNet', 'features': ((4, 6), (6, 6, 4))},
        {'type': 'UNet', 'features': ((4, 6), (6, 6, 4)), 'half_res': True},
        {'type': 'LKUNet', 'channels': 2},
        {'type': 'ImagePyramid', 'levels': 2},
        {'type': 'ResizePyramid', 'levels': 2, 'encoder': {'type': 'EOIREncoder', 'channels': 4}},
    ],
    ids=['unet', 'half', 'lku', 'images', 'eoir'],
)
def test_the_head_on_other_backbones(ndim, backbone):
    model = registrar(ndim, backbone=backbone)
    size = (17, 14, 9)[:ndim]
    assert model(images(*size)).displacement.shape == (1, ndim, *size)
    total(model(images(*size), mode='loss')).backward()
    assert all(p.grad.isfinite().all() for p in model.flow_head.parameters())


SCF = {'type': 'TextSCFHead', 'label_set': 'oasis35', 'hidden_dim': 4, 'prompt': 'background'}


@pytest.mark.parametrize('head', [{'type': 'ConvFlowHead', 'bidirectional': True, 'init_std': 0.1}, SCF])
def test_other_heads_on_its_network(head):
    losses = {'similarity': {'type': 'MSE', 'weight': 1.0}}
    model = registrar(2, flow_head=head, losses=losses)
    total(model(images(17, 14), mode='loss')).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.backbone.parameters())


@pytest.mark.parametrize(
    ('options', 'message'),
    [({'bidirectional': False}, 'bidirectional'), ({'padding': 'reflection'}, 'padding'), ({'unit': 'mm'}, 'unit')],
)
def test_what_cannot_work_is_refused_when_built(options, message):
    with pytest.raises(ConfigError, match=message):
        head_of(2, **options)


def test_it_learns_a_shift_half_by_half():
    axes = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing='ij')
    blob = [torch.exp(-((axes[0] - c) ** 2 + (axes[1] - 8) ** 2) / 12)[None, None] for c in (7.0, 9.0)]
    inputs = {'fixed': blob[0], 'moving': blob[1]}
    losses = {
        'middle': {'type': 'MSE', 'direction': 'middle', 'weight': 1.0},
        'similarity': {'type': 'MSE', 'direction': 'both', 'weight': 1.0},
        'magnitude': {'type': 'MagnitudeBalance', 'on': 'half', 'weight': 0.01},
        'smoothness': {'type': 'Diffusion', 'weight': 0.005},
        'inverse_smoothness': {'type': 'Diffusion', 'on': 'inverse_velocity', 'weight': 0.005},
    }
    torch.manual_seed(0)
    model = registrar(2, backbone={'type': 'UNet', 'features': ((8, 8), (8, 8, 8))}, losses=losses)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    history = []
    for _ in range(80):
        values = model(inputs, mode='loss')
        optimizer.zero_grad()
        total(values).backward()
        optimizer.step()
        history.append(float(values['similarity']))
    assert history[-1] < 0.1 * history[0]
    fields = model(inputs)
    assert fields.displacement[0, 0, 7, 8].item() == pytest.approx(2.0, abs=0.6)
    assert fields.inverse_displacements[0][0, 0, 9, 8].item() == pytest.approx(-2.0, abs=0.6)
    assert fields.halves[0][0, 0, 8, 8].item() == pytest.approx(1.0, abs=0.5)
