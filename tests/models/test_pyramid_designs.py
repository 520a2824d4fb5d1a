"""The pyramid designs: published sizes, every combination of the switches, refusals, gradients, and that they learn."""

import itertools
from pathlib import Path

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.models.blocks.decoder import DecoderBlock
from mmreg.registry import BACKBONES, FLOW_HEADS, INTEGRATORS, REGISTRARS
from mmreg.spatial import compose, resize_field
from mmreg.utils.config import load_config

CONFIGS = Path(__file__).parents[2] / 'configs'
ENCODER = {'type': 'ConvPyramid', 'channels': [2, 3, 4, 4], 'first_level': 1}
BACKBONE_CONFIGS = {
    'cnn': ENCODER,
    'large kernel': {**ENCODER, 'large_kernel': 5},
    'pooled, full resolution': {'type': 'ConvPyramid', 'channels': [2, 3], 'first_level': 0, 'down': 'max', 'convs': 2},
    'lessnet': {'type': 'PoolingPyramid', 'levels': 2},
    'swin': {'type': 'SwinPyramid', 'width': 4, 'depths': [1, 1], 'heads': [1, 2], 'window': 2},
    'eoir': {'type': 'ResizePyramid', 'levels': 3, 'encoder': {'type': 'EOIREncoder', 'channels': 3}},
    'image pyramid': {'type': 'ImagePyramid', 'levels': 3},
    'thick slices': {'type': 'ImagePyramid', 'levels': 3, 'factors': None},
}
JOINT_CONFIGS = {
    'stacked': {**ENCODER, 'siamese': False},
    'unet': {'type': 'UNet', 'features': [[3, 4], [4, 4, 3]]},
    'unet, half': {'type': 'UNet', 'features': [[3, 4], [4, 4, 3]], 'half_res': True},
    'lku': {'type': 'LKUNet', 'channels': 2},
}


def backbone(name, ndim):
    config = dict({**BACKBONE_CONFIGS, **JOINT_CONFIGS}[name])
    if 'factors' in config:
        config['factors'] = [2] * (ndim - 1) + [1]
    return {'ndim': ndim, **config}


def model(name='cnn', ndim=2, integrator='IdentityIntegrator', **head):
    head.setdefault('type', 'PyramidHead')
    if head['type'] == 'PyramidHead':
        head.setdefault('channels', 4)
    config = {'type': 'Registrar', 'ndim': ndim, 'backbone': backbone(name, ndim), 'flow_head': head}
    return REGISTRARS.build({**config, 'integrator': {'type': integrator}})


def pair(size, batch=1):
    return {key: torch.rand(batch, 1, *size) for key in ('fixed', 'moving')}


def sizes(ndim):
    return (19, 24, 17)[:ndim]


# ------------------------------------------------------------------------------------------------ published sizes


@pytest.mark.parametrize(
    ('name', 'parameters'),
    [
        ('pyramid_vxm_lumir', 2640211),
        ('pyramid_dual_lumir', 1918819),
        ('pyramid_dwp_lumir', 1886796),
        ('pyramid_dwcp_lumir', 1705356),
        ('pyramid_dwcpi_lumir', 1705356),
        ('pyramid_lku_lumir', 2066966),
        ('pyramid_vfa_lumir', 1652996),
        ('pyramid_tm_dual_lumir', 27442635),
        ('pyramid_tm_dwp_lumir', 11385060),
        ('lessnet_lumir', 1809059),
        ('lessnet_dwp_lumir', 1764508),
        ('lessnet_dwpi_lumir', 1764508),
    ],
)
def test_configs_have_the_published_number_of_parameters(name, parameters):
    with torch.device('meta'):
        built = REGISTRARS.build(load_config(CONFIGS / f'{name}.py').model)
    assert sum(p.numel() for p in built.parameters()) == parameters


# -------------------------------------------------------------------------------------------- switches, combined

SWITCHES = list(itertools.product([True, False], [True, False], [None, {'radius': 1}], [1, 2]))


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('siamese', [True, False])
@pytest.mark.parametrize(('pyramid', 'warp', 'correlation', 'iterations'), SWITCHES)
def test_switches_are_independent(ndim, siamese, pyramid, warp, correlation, iterations):
    """Every combination either runs or says why it cannot; the single stream has nothing to warp or to correlate."""
    options = {'pyramid': pyramid, 'warp': warp, 'correlation': correlation, 'iterations': iterations}
    possible = (siamese or not (warp or correlation)) and (warp or iterations == 1)
    name = 'cnn' if siamese else 'stacked'
    if not possible:
        with pytest.raises(ConfigError, match='PyramidHead'):
            model(name, ndim, **options)
        return
    built = model(name, ndim, **options)
    fields = built(pair(sizes(ndim)))
    fields.displacement.square().sum().backward()
    assert fields.displacement.shape == (1, ndim, *sizes(ndim))
    assert len(fields.displacements) == (4 if pyramid else 2)
    assert len(fields.extras['steps']) == (3 if pyramid else 1) * iterations
    assert all(p.grad is not None and p.grad.isfinite().all() for p in built.parameters())


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('integrator', ['IdentityIntegrator', 'ScalingSquaring'])
@pytest.mark.parametrize('head', ['PyramidHead', 'MatchingHead'])
@pytest.mark.parametrize('name', BACKBONE_CONFIGS)
def test_siamese_backbones(name, head, integrator, ndim):
    built = model(name, ndim, integrator, type=head, bidirectional=True).eval()  # Swin drops paths in training
    inputs = pair(sizes(ndim), batch=2)
    fields = built(inputs)
    assert fields.displacement.shape == fields.inverse_displacements[0].shape == (2, ndim, *sizes(ndim))
    swapped = built({'fixed': inputs['moving'], 'moving': inputs['fixed']})
    torch.testing.assert_close(swapped.displacement, fields.inverse_displacements[0])
    sum(u.square().sum() for u in fields.displacements).backward()
    state = built.state_dict()
    model(name, ndim, integrator, type=head, bidirectional=True).load_state_dict(state)


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('name', JOINT_CONFIGS)
def test_joint_backbones(name, ndim):
    for pyramid in (True, False):
        built = model(name, ndim, pyramid=pyramid, warp=False)
        built(pair(sizes(ndim))).displacement.sum().backward()
    for options in ({}, {'warp': False, 'correlation': {}}, {'warp': False, 'bidirectional': True}):
        with pytest.raises(ConfigError, match='one feature map per image'):
            model(name, ndim, **options)
    with pytest.raises(ConfigError, match='one feature map per image'):
        model(name, ndim, type='MatchingHead')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'composition': 'sum'}, 'composition'),
        ({'iterations': [1, 2]}, 'iterations'),
        ({'iterations': 0}, 'iterations'),
        ({'channels': [4, 4]}, 'channels'),
        ({'upsample': 'nearest'}, 'upsample'),
        ({'correlation': {'radius': [1, 1]}}, 'radius'),
        ({'correlation': {'radius': [1, 1, 0]}}, 'candidates'),
        ({'channels': [4, None, 4]}, 'coarsest'),
    ],
)
def test_what_cannot_be_built_says_why(options, message):
    with pytest.raises(ConfigError, match=message):
        model(**options)


# --------------------------------------------------------------------------------------------- what the parts do


def constant_head(built, values):
    """Every flow of ``built`` is the constant ``values[level]``, coarsest first."""
    for flow, value in zip(built.flow_head.flows, values):
        torch.nn.init.zeros_(flow.conv.weight)
        flow.conv.bias.data[:] = value
    return built


def test_flows_add_up_over_levels_and_passes():
    """Constant flows: u <- 2 u + v at each level, once more v per pass, then doubled to the image's grid."""
    built = constant_head(model(iterations=[2, 1, 1], composition='add'), [0.5, 0.25, 1.0])
    fields = built(pair((32, 40)))
    expected = [0.5, 2 * 0.5 + 0.25, 2 * 1.25 + 2 * 1.0]
    for u, value in zip(fields.displacements[:0:-1], expected):
        torch.testing.assert_close(u, torch.full_like(u, value))
    torch.testing.assert_close(fields.displacement, torch.full_like(fields.displacement, 2 * expected[-1]))
    assert [u.shape for u in fields.extras['steps']][-2:] == [fields.displacements[1].shape] * 2
    torch.testing.assert_close(fields.extras['steps'][-2], fields.displacements[1] - 1.0)


@pytest.mark.parametrize('detach', [True, False])
def test_composition_and_its_gradient(detach):
    head = model(detach_position=detach).flow_head
    u = torch.randn(1, 2, 6, 5, dtype=torch.float64)
    v = torch.randn(1, 2, 6, 5, dtype=torch.float64, requires_grad=True)
    result = head._update(u, v)
    torch.testing.assert_close(result, compose(u, v))
    (gradient,) = torch.autograd.grad(result.sum(), v)
    assert bool((gradient == 1).all()) == detach


def test_velocities_are_what_the_integrator_was_given():
    fields = model(integrator='ScalingSquaring')(pair((32, 40)))
    assert [v.shape for v in fields.velocities[1:]] == [u.shape for u in fields.displacements[1:]]
    coarsest = INTEGRATORS.build({'type': 'ScalingSquaring'})(fields.velocities[-1])
    torch.testing.assert_close(coarsest, fields.displacements[-1])


def test_context_level_hands_on_features_only():
    built = model(context=True, correlation={'radius': [1, 2]}, iterations=[2, 1])
    fields = built(pair((32, 40)))
    assert len(fields.displacements) == 3 and fields.displacements[-1].shape[2:] == (8, 10)
    fields.displacement.sum().backward()
    context = built.flow_head.context_block
    assert context.convs[0].conv.weight.grad.abs().sum() > 0


def test_global_correlation_takes_any_size():
    built = model(correlation={'radius': [1, 1, 0], 'candidates': [3, 4]})
    for size in ((24, 32), (40, 48)):
        assert built(pair(size)).displacement.shape[2:] == size


@pytest.mark.parametrize('upsample', ['transposed', 'corners', 'centres'])
def test_decoder_block_reaches_the_grid_of_its_skip(upsample):
    block = DecoderBlock(3, 4, 2, 5, (2, 2, 1), upsample)
    assert block(torch.rand(1, 4, 3, 4, 5), torch.rand(1, 2, 6, 8, 5)).shape == (1, 5, 6, 8, 5)


def test_pooled_features_are_block_statistics():
    image = torch.rand(1, 2, 8, 8)
    levels = BACKBONES.build({'type': 'PoolingPyramid', 'levels': 2, 'image_channels': 2, 'ndim': 2})(image, image)
    block = image[0, :, 4:8, :4]
    expected = torch.cat([block.mean((1, 2)), block.amax((1, 2)), block.amin((1, 2))])
    torch.testing.assert_close(levels[1][0][0, :, 1, 0], expected)


def test_recomputation_changes_nothing():
    inputs, gradients = pair((32, 40)), []
    state = None
    for levels in (0, 2):
        built = model(correlation={}, iterations=2)
        built.load_state_dict(state or built.state_dict())
        state = built.state_dict()
        built.backbone.checkpoint_levels = built.flow_head.checkpoint_levels = levels
        constant_head(built, [0.3, 0.2, 0.1])
        built(inputs).displacement.square().sum().backward()
        gradients.append([p.grad for p in built.parameters()])
    for first, second in zip(*gradients):
        torch.testing.assert_close(first, second)


def test_half_precision_flows_are_float32():
    built = model(correlation={}, bidirectional=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        fields = built(pair((32, 40)))
    assert all(u.dtype == torch.float32 for u in fields.displacements + fields.velocities)


@pytest.mark.parametrize(
    ('head', 'levels'),
    [
        ({'type': 'PyramidHead', 'correlation': {'radius': 1}, 'iterations': 2}, [1.0, None, 0.5]),
        ({'type': 'PyramidHead', 'pyramid': False, 'warp': False, 'remaining': [8]}, [1.0]),
        ({'type': 'MatchingHead', 'radius': 1, 'beta': 1.0}, [1.0, None, 0.5]),
    ],
    ids=['DWCPI', 'Dual', 'VFA'],
)
def test_learns_a_shift(head, levels):
    """A blob moved by three voxels comes back most of the way."""
    torch.manual_seed(1)
    axes = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing='ij')
    fixed, moving = (torch.exp(-((axes[0] - c) ** 2 + (axes[1] - 15) ** 2) / 30)[None, None] for c in (14.0, 17.0))
    inputs = {'fixed': fixed, 'moving': moving}
    config = {
        'type': 'Registrar',
        'ndim': 2,
        'backbone': {'type': 'ConvPyramid', 'channels': [4, 8, 8]},
        'flow_head': {**head, 'bidirectional': True},
        'pyramid': {'kernel': 'block'},
        'losses': {
            'similarity': {'type': 'MSE', 'direction': 'both', 'levels': levels},
            'smoothness': {'type': 'Diffusion', 'on': 'displacement', 'weight': 1e-3, 'levels': [None, 1.0]},
        },
    }
    built = REGISTRARS.build(config)
    optimiser = torch.optim.Adam(built.parameters(), lr=5e-3)
    history = []
    for _ in range(50):
        optimiser.zero_grad()
        loss = sum(v for k, v in built(inputs, mode='loss').items() if k.startswith('loss_'))
        loss.backward()
        optimiser.step()
        history.append(float(loss.detach()))
    assert min(history[-5:]) < 0.3 * history[0]
    found = built(inputs).displacement[0, 0, 14, 15]
    assert 1.5 < found < 4.5


def test_fields_of_a_finer_grid_keep_their_motion():
    """Where features end at 1/4, the grids in between are filled: the values double with the grid."""
    config = {'type': 'ConvPyramid', 'channels': [2, 3, 4, 4], 'first_level': 2, 'ndim': 2}
    head = FLOW_HEADS.build({'type': 'PyramidHead', 'features': BACKBONES.build(config).spec})
    u = torch.randn(1, 2, 4, 5)
    displacements, _ = head._levels([([u], u)])
    assert [tuple(d.shape[2:]) for d in displacements] == [(16, 20), (8, 10), (4, 5)]
    torch.testing.assert_close(displacements[1], resize_field(u, scale=2))
