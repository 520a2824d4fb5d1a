"""SITReg: published sizes, symmetry, inverse consistency, sizes, other parts, and that one learns."""

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.models.backbones.sitreg_encoder import SITRegEncoder
from mmreg.models.base import FeatureSpec
from mmreg.models.flow_heads.sitreg import SITRegHead
from mmreg.models.integrators.identity import IdentityIntegrator
from mmreg.registry import REGISTRARS
from mmreg.spatial import compose, jacobian_determinant
from tests.golden.fill import image

GROUPS = {'type': 'GN', 'num_groups': 2}
LUMIR = (12, 32, 64, 128, 128, 128)
LUMIR_HEAD = (12, 64, 128, 256, 256, 256)


def registrar(ndim, gain=1.0, integrator=None, backbone=None, seed=0, **changes):
    """A small SITReg; ``gain`` multiplies its last weights."""
    torch.manual_seed(seed)
    config = {
        'type': 'Registrar',
        'ndim': ndim,
        'backbone': backbone or {'type': 'SITRegEncoder', 'channels': (4, 6, 8), 'norm_cfg': GROUPS},
        'flow_head': {'type': 'SITRegHead', 'channels': (4, 6, 8), 'norm_cfg': GROUPS},
        'integrator': integrator or {'type': 'IdentityIntegrator', 'iterations': 50, 'tolerance': 1e-2},
        'losses': {
            'similarity': {'type': 'LNCC', 'window': 5, 'direction': 'both', 'outside': 'hidden'},
            'smoothness': {'type': 'Diffusion', 'on': 'displacement', 'weight': 0.5},
            'inverse_smoothness': {'type': 'Diffusion', 'on': 'inverse_displacement', 'weight': 0.5},
        },
    }
    model = REGISTRARS.build({**config, **changes})
    for network in getattr(model.flow_head, 'networks', ()):
        network.flow.weight.data *= gain
    return model


def brains(size, batch=1):
    """Two smooth images."""
    make = [torch.stack([torch.from_numpy(image(10 * n + k, size))[None] for n in range(batch)]) for k in (1, 2)]
    return {'fixed': make[0], 'moving': make[1]}


def total(losses):
    return sum(value for key, value in losses.items() if key.startswith('loss_'))


def test_published_number_of_parameters():
    with torch.device('meta'):
        backbone = SITRegEncoder(LUMIR)
        head = SITRegHead(backbone.spec, LUMIR_HEAD)
    assert sum(p.numel() for part in (backbone, head) for p in part.parameters()) == 15_076_110


@pytest.mark.parametrize('size', [(17, 12), (9, 14, 11)])
def test_features_are_what_the_spec_says(size):
    """Sizes are ceil(n / 2^level): nothing is padded or lost."""
    backbone = SITRegEncoder((4, 6, 8), norm_cfg=GROUPS, ndim=len(size))
    assert backbone.spec.size_divisor == (1,) * len(size)
    for level, (fixed, moving) in enumerate(backbone(*brains(size).values())):
        expected = (backbone.spec.channels[level], *(-(-n // 2**level) for n in size))
        assert fixed.shape[1:] == moving.shape[1:] == expected
    assert SITRegEncoder((4, 6, 8), norm_cfg=GROUPS, any_size=False).spec.size_divisor == (4, 4, 4)


@pytest.mark.parametrize('size', [(33, 30), (17, 20, 13)])
def test_exchanging_the_images_exchanges_the_directions(size):
    model, inputs = registrar(len(size), gain=2.0), brains(size, batch=2)
    with torch.no_grad():
        one = model(inputs)
        other = model({'fixed': inputs['moving'], 'moving': inputs['fixed']})
    assert one.displacement.shape == (2, len(size), *size) and one.displacement.abs().max() > 0.5
    torch.testing.assert_close(one.displacement, other.inverse_displacements[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(other.displacement, one.inverse_displacements[0], atol=1e-5, rtol=0)


class Recorder(IdentityIntegrator):
    """Keeps the maps of every level and their inverses."""

    def __init__(self, **options):
        super().__init__(**options)
        self.maps = []

    def forward(self, velocity):
        self.maps.append([*velocity.chunk(2)])
        return velocity

    def inverse(self, velocity):
        result = super().inverse(velocity)
        self.maps[-1] += [*result.chunk(2)]
        return result


@pytest.mark.parametrize('tolerance', [1e-2, 1e-4])
@pytest.mark.parametrize('size', [(40, 36), (24, 20, 22)])
def test_steps_at_their_bounds_are_inverted_to_the_precision_claimed(size, tolerance):
    """Published: 1e-2 voxel. Weights are so large that nearly every control point is at its bound."""
    model = registrar(len(size), gain=100.0)
    model.integrator = Recorder(iterations=50, tolerance=tolerance)
    with torch.no_grad():
        model(brains(size))
    for a, z, a_inverse, z_inverse in model.integrator.maps:
        assert a.abs().max() > 0.2
        for one, inverse in ((a, a_inverse), (z, z_inverse)):
            assert compose(one, inverse, 'border').norm(dim=1).max() < tolerance
            assert jacobian_determinant(one).min() > 0, 'no step folds'


@pytest.mark.parametrize('size', [(64, 56), (40, 36, 32)])
def test_forward_and_inverse_compose_to_the_identity(size):
    """To the 1e-2 voxel claimed, for fields as trained networks return them: large motion at coarse levels.

    What is left is interpolation of the fields between voxels; no loss asks for consistency, and nothing is trained.
    """
    model = registrar(len(size))
    for network, gain in zip(model.flow_head.networks, (0.02, 0.1, 0.5)):
        for parameter in network.flow.parameters():
            parameter.data *= gain
    with torch.no_grad():
        fields = model(brains(size))
    forward, backward = fields.displacement, fields.inverse_displacements[0]
    length = forward.norm(dim=1).mean()
    assert length > 0.1 and forward.norm(dim=1).max() > 0.5
    for gap in (compose(forward, backward, 'border'), compose(backward, forward, 'border')):
        assert gap.norm(dim=1).mean() < 1e-2 and gap.norm(dim=1).mean() < 0.03 * length
    assert (forward + backward).norm(dim=1).mean() > 0.04 * length, 'more than changing the sign'


@pytest.mark.parametrize('ndim', [2, 3])
def test_odd_sizes_losses_and_gradients(ndim):
    size = (13, 18, 11)[:ndim]
    model = registrar(ndim)
    losses = model(brains(size, batch=2), mode='loss')
    total(losses).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_gradients_are_those_of_finite_differences():
    model = registrar(
        2,
        backbone={'type': 'SITRegEncoder', 'channels': (2, 4), 'norm_cfg': GROUPS},
        flow_head={'type': 'SITRegHead', 'channels': (2, 4), 'norm_cfg': GROUPS},
        integrator={'type': 'IdentityIntegrator', 'iterations': 200, 'tolerance': 1e-11},
    )
    model = model.double()
    inputs = {key: value.double() for key, value in brains((7, 8)).items()}
    weight = model.flow_head.networks[1].flow.bias

    def loss(bias):
        fields = torch.func.functional_call(model, {'flow_head.networks.1.flow.bias': bias}, (inputs,))
        return fields.displacement.square().sum() + fields.inverse_displacements[0].sum()

    assert torch.autograd.gradcheck(loss, weight.detach().clone().requires_grad_(), atol=1e-4)


def test_recomputing_levels_changes_nothing_but_memory():
    plain, lean, inputs = registrar(2), registrar(2, checkpoint_levels=2), brains((20, 18))
    gradients = []
    for model in (plain, lean):
        total(model(inputs, mode='loss')).backward()
        gradients.append([p.grad for p in model.parameters()])
    for a, b in zip(*gradients):
        torch.testing.assert_close(a, b)


def test_levels_can_be_left_out_and_kept():
    head = {'type': 'SITRegHead', 'channels': (None, 6, 8), 'norm_cfg': GROUPS, 'keep_levels': True}
    model = registrar(2, flow_head=head)
    fields = model(brains((20, 18)))
    assert len(model.flow_head.networks) == 2 and len(fields.extras['stages']) == 2
    assert torch.equal(fields.extras['stages'][0], fields.displacement)
    assert all(stage.shape[2:] == (20, 18) for stage in fields.extras['inverse_stages'])


def test_saving_and_loading(tmp_path):
    first, second, inputs = registrar(2, seed=1), registrar(2, seed=2), brains((20, 18))
    torch.save(first.state_dict(), tmp_path / 'weights.pth')
    second.load_state_dict(torch.load(tmp_path / 'weights.pth', weights_only=True))
    assert torch.equal(first(inputs).displacement, second(inputs).displacement)


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('integrator', ['IdentityIntegrator', 'ScalingSquaring'])
def test_other_backbones_and_integrators(ndim, integrator):
    """EOIR's encoder with resized features; steps that are velocities instead of displacements."""
    backbone = {'type': 'ResizePyramid', 'levels': 3, 'encoder': {'type': 'EOIREncoder', 'channels': 4}}
    model = registrar(ndim, backbone=backbone, integrator={'type': integrator})
    inputs = brains((17, 14, 12)[:ndim])
    fields = model(inputs)
    assert fields.displacement.shape[2:] == inputs['fixed'].shape[2:]
    total(model(inputs, mode='loss')).backward()


@pytest.mark.parametrize('head', ['CoarseToFineHead', 'ConvFlowHead'])
@pytest.mark.parametrize('size', [(17, 14), (13, 12, 18)])
def test_its_features_suit_other_heads(head, size):
    model = registrar(len(size), flow_head={'type': head}, integrator={'type': 'ScalingSquaring'})
    model.objective = None
    assert model(brains(size)).displacement.shape[2:] == size


def test_impossible_pairs_are_refused():
    joint = FeatureSpec(2, (4, 4), ((1, 1), (2, 2)), False, (1, 1), (2, 2))
    with pytest.raises(ConfigError, match='siamese'):
        SITRegHead(joint, (4, 4))
    pairs = FeatureSpec(2, (4, 4), ((1, 1), (2, 2)), True, (1, 1), (2, 2))
    for options in ({'channels': (4, 4, 4)}, {'channels': (None, None)}, {'channels': (4, 4), 'bound': 2.0}):
        with pytest.raises(ConfigError, match=next(reversed(options))):
            SITRegHead(pairs, norm_cfg=GROUPS, **options)
    with pytest.raises(ConfigError, match='BSplineFFD'):
        registrar(2, integrator={'type': 'BSplineFFD'})


def test_it_learns_a_shift():
    axes = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing='ij')
    blob = [torch.exp(-((axes[0] - c) ** 2 + (axes[1] - 10) ** 2) / 12)[None, None] for c in (8.0, 11.0)]
    inputs = {'fixed': blob[0], 'moving': blob[1]}
    losses = {
        'similarity': {'type': 'MSE', 'direction': 'both', 'outside': 'hidden', 'weight': 10.0},
        'smoothness': {'type': 'Diffusion', 'on': 'displacement', 'weight': 1e-3},
    }
    model = registrar(2, gain=0.1, losses=losses)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    history = []
    for _ in range(40):
        terms = model(inputs, mode='loss')
        optimizer.zero_grad()
        total(terms).backward()
        optimizer.step()
        history.append(float(terms['similarity']))
    assert history[-1] < 0.1 * history[0]
    fields = model(inputs)
    assert fields.displacement[0, 0, 8, 10].item() == pytest.approx(3.0, abs=0.8)
    assert fields.inverse_displacements[0][0, 0, 11, 10].item() == pytest.approx(-3.0, abs=0.8)
