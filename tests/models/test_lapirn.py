"""LapIRN: published sizes, the Laplacian sum, stages, the conditional form, other backbones, and that it learns."""

import pytest
import torch

from mmreg.errors import ConfigError, DataError
from mmreg.models.base import FeatureSpec
from mmreg.models.blocks.lapirn import Widths
from mmreg.models.flow_heads.lapirn import CODE, LapIRNHead
from mmreg.models.integrators.identity import IdentityIntegrator
from mmreg.registry import BACKBONES, FLOW_HEADS, REGISTRARS
from mmreg.spatial import resize_field


def registrar(ndim=2, head=None, **changes):
    config = {
        'type': 'Registrar',
        'ndim': ndim,
        'backbone': {'type': 'ImagePyramid', 'levels': 3, 'method': 'average'},
        'flow_head': {'type': 'LapIRNHead', 'channels': 4, 'blocks': 2, **(head or {})},
        'integrator': {'type': 'ScalingSquaring', 'steps': 3, 'padding': 'border'},
        'losses': {
            'similarity': {'type': 'MultiScaleLNCC', 'windows': [3, 3], 'outside': 'border', 'weight': 1.0},
            'smoothness': {'type': 'Diffusion', 'weight': 1.0},
        },
    }
    return REGISTRARS.build({**config, **changes})


def images(*size, batch=1, channels=1):
    generator = torch.Generator().manual_seed(3)
    return {key: torch.rand(batch, channels, *size, generator=generator) for key in ('fixed', 'moving')}


def total(losses):
    return sum(value for key, value in losses.items() if key.startswith('loss_'))


@pytest.mark.parametrize(
    ('options', 'parameters'),
    [
        ({'channels': 16}, 305520),
        ({'channels': 24}, 680616),
        ({'channels': 28}, 923748),
        ({'channels': 32}, 1203936),
        ({'channels': 28, 'conditional': True}, 1222068),
        ({'channels': 16, 'conditional': True, 'layout': 'lite'}, 503744),
    ],
)
def test_published_numbers_of_parameters(options, parameters):
    pyramid = BACKBONES.build({'type': 'ImagePyramid', 'levels': 3, 'ndim': 3})
    assert sum(p.numel() for p in LapIRNHead(pyramid.spec, **options).parameters()) == parameters


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('options', [{}, {'layout': 'lite'}, {'conditional': True}, {'unit': 'voxel', 'scale': 3.0}])
def test_odd_sizes_and_gradients(ndim, options):
    model = registrar(ndim, options)
    size = (9, 14, 11)[:ndim]
    fields = model(images(*size, batch=2))
    assert fields.displacement.shape == (2, ndim, *size)
    padded = (16,) * ndim
    assert [tuple(v.shape[2:]) for v in fields.velocities] == [size, *(tuple(n >> k for n in padded) for k in (1, 2))]
    total(model(images(*size, batch=2), mode='loss')).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize('ndim', [2, 3])
def test_save_and_load(ndim, tmp_path):
    inputs = images(*(16, 24, 16)[:ndim])
    first = registrar(ndim).eval()
    torch.save(first.state_dict(), tmp_path / 'weights.pth')
    second = registrar(ndim).eval()
    with torch.no_grad():
        assert not torch.equal(first(inputs).displacement, second(inputs).displacement)
        second.load_state_dict(torch.load(tmp_path / 'weights.pth', weights_only=True))
        assert torch.equal(first(inputs).displacement, second(inputs).displacement)


def silence(model, *levels):
    for level in levels:
        torch.nn.init.zeros_(model.flow_head.pyramid.flows[level].conv.weight)


@pytest.mark.parametrize(('unit', 'values'), [('normalised', 'aligned'), ('voxel', 'factor')])
def test_a_level_without_residual_repeats_the_one_below(unit, values):
    model = registrar(2, {'unit': unit}, integrator={'type': 'IdentityIntegrator'})
    silence(model, 0, 1)
    fields = model(images(16, 24))
    coarse, middle, fine = reversed(fields.displacements)
    assert coarse.abs().max() > 0
    torch.testing.assert_close(middle, resize_field(coarse, size=(8, 12), values=values))
    torch.testing.assert_close(fine, resize_field(middle, size=(16, 24), values=values))


def test_the_displacement_network_returns_its_velocities():
    fields = registrar(2, integrator={'type': 'IdentityIntegrator'})(images(16, 16))
    assert all(torch.equal(u, v) for u, v in zip(fields.displacements, fields.velocities))


def test_residuals_are_bounded():
    model = registrar(2, {'scale': 0.1})
    for flow in model.flow_head.pyramid.flows:
        flow.conv.weight.data *= 1e4
    fields = model(images(16, 24))
    half = torch.tensor([15, 23]).view(1, 2, 1, 1) / 2
    assert (fields.velocities[0].abs() <= 3 * 0.1 * half * 1.0001).all()
    assert (fields.velocities[0].abs() > 0.1 * half).any()


@pytest.mark.parametrize('stage', [1, 2])
def test_a_stage_is_the_coarser_part_of_the_whole(stage):
    inputs = images(16, 24)
    whole, part = registrar(2), registrar(2, {'stage': stage})
    part.load_state_dict(whole.state_dict())
    with torch.no_grad():
        expected, found = whole(inputs), part(inputs)
    last = 3 - stage
    assert torch.equal(found.displacements[last], expected.displacements[last])
    assert torch.equal(found.velocities[last], expected.velocities[last])
    enlarged = resize_field(found.displacements[last], size=(16, 24), values='aligned')
    if stage == 2:
        torch.testing.assert_close(found.displacement, enlarged)
    assert found.displacement.shape == expected.displacement.shape


def test_a_stage_trains_its_levels_only():
    levels = [None, None, 1.0]
    model = registrar(
        2,
        {'stage': 1},
        losses={
            'similarity': {'type': 'LNCC', 'window': 3, 'levels': levels, 'source': 'full', 'weight': 1.0},
            'smoothness': {'type': 'Diffusion', 'levels': levels, 'weight': 1.0},
        },
    )
    total(model(images(16, 16), mode='loss')).backward()
    trained = {int(name.split('.')[3]) for name, p in model.named_parameters() if p.grad is not None}
    assert trained == {2}


def test_the_code_of_a_conditional_network():
    model = registrar(2, {'conditional': True, 'code': 0.25}).eval()
    inputs = images(16, 16, batch=2)
    with torch.no_grad():
        default = model(inputs)
        assert default.extras[CODE].tolist() == [[0.25], [0.25]]
        given = model({**inputs, CODE: torch.tensor([[0.25], [0.9]])}).displacement
        one = model({**inputs, CODE: torch.tensor(0.9)}).displacement
    torch.testing.assert_close(given[0], default.displacement[0])
    assert not torch.allclose(given[1], default.displacement[1])
    torch.testing.assert_close(given[1], one[1])
    with pytest.raises(DataError, match=CODE):
        model({**inputs, CODE: torch.rand(3, 1)})


def test_training_draws_the_code_and_weighs_by_it():
    losses = {
        'similarity': {'type': 'MSE', 'weight': 0},
        'smoothness': {'type': 'Diffusion', 'weight': 10.0, 'scaled_by': CODE},
    }
    model, inputs = registrar(2, {'conditional': True}, losses=losses).train(), images(16, 16, batch=2)
    codes = torch.cat([model(inputs).extras[CODE] for _ in range(8)])
    assert len(set(codes.flatten().tolist())) == 16 and codes.min() >= 0 and codes.max() <= 1
    given = {**inputs, CODE: torch.tensor([[0.2], [0.8]])}
    fields = model(given)
    each = [model.objective.terms['smoothness'].at(0)(v[None]) for v in fields.velocities[0]]
    found = model(given, mode='loss')['loss_smoothness']
    assert found.item() == pytest.approx(10 * (0.2 * each[0].item() + 0.8 * each[1].item()) / 2, rel=1e-5)


def test_a_loss_that_follows_a_code_needs_one():
    losses = {'smoothness': {'type': 'Diffusion', 'weight': 1.0, 'scaled_by': CODE}}
    with pytest.raises(ConfigError, match='scaled_by'):
        registrar(2, losses=losses)(images(16, 16), mode='loss')


@pytest.mark.parametrize('options', [{}, {'conditional': True}])
def test_recomputing_levels_changes_nothing_but_memory(options):
    inputs = images(16, 16)
    inputs |= {CODE: torch.tensor([[0.4]])} if options else {}
    plain, lean = registrar(2, options), registrar(2, options, checkpoint_levels=2)
    lean.load_state_dict(plain.state_dict())
    gradients = []
    for model in (plain, lean):
        total(model(inputs, mode='loss')).backward()
        gradients.append([p.grad for p in model.parameters()])
    for a, b in zip(*gradients):
        torch.testing.assert_close(a, b)


BACKBONE_CONFIGS = [
    {'type': 'ImagePyramid', 'levels': 1},
    {'type': 'ImagePyramid', 'levels': 4, 'method': 'gaussian'},
    {'type': 'ImagePyramid', 'levels': 2, 'method': 'resize', 'image_channels': 2},
    {'type': 'ImagePyramid', 'levels': 3, 'method': 'average', 'factors': (2, 1, 1)},
    {'type': 'ResizePyramid', 'levels': 3, 'encoder': {'type': 'EOIREncoder', 'channels': 4}},
    {'type': 'ResizePyramid', 'levels': 2, 'first_level': 1, 'encoder': {'type': 'EOIREncoder', 'channels': 4}},
]


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('backbone', BACKBONE_CONFIGS, ids=lambda b: f'{b["type"]}{b["levels"]}')
def test_every_siamese_backbone_will_do(ndim, backbone):
    if 'factors' in backbone:
        backbone = {**backbone, 'factors': backbone['factors'][:ndim]}
    model = registrar(ndim, {'blocks': 1}, backbone=backbone)
    size = (17, 10, 9)[:ndim]
    inputs = images(*size, channels=backbone.get('image_channels', 1))
    assert model(inputs).displacement.shape == (1, ndim, *size)
    total(model(inputs, mode='loss')).backward()
    assert all(p.grad.isfinite().all() for p in model.flow_head.parameters())


def spec(siamese=True, strides=(1, 2)):
    return FeatureSpec(2, (3, 3), tuple((s, s) for s in strides), siamese, (2, 2), (4, 4))


@pytest.mark.parametrize(
    ('features', 'options', 'message'),
    [
        (spec(siamese=False), {}, 'siamese'),
        (spec(strides=(2, 3)), {}, 'multiples'),
        (spec(), {'unit': 'mm'}, 'unit'),
        (spec(), {'order': 'zyx'}, 'order'),
        (spec(), {'padding': 'reflection'}, 'padding'),
        (spec(), {'resampling': 'nearest'}, 'resampling'),
        (spec(), {'layout': 'heavy'}, 'layout'),
        (spec(), {'layout': 'lite', 'channels': 6}, 'multiple of 4'),
        (spec(), {'stage': 3}, 'stage'),
        (spec(), {'stage': 0}, 'stage'),
        (spec(), {'code': 1.5}, 'code'),
    ],
)
def test_what_cannot_work_is_refused_when_built(features, options, message):
    with pytest.raises(ConfigError, match=message):
        LapIRNHead(features, **options)


def test_widths_of_the_layouts():
    assert Widths.of('full', 28, True) == Widths.of('full', 28, False) == (28, 28, 28, 28)
    assert Widths.of('lite', 16, True) == (8, 16, 8, 8)
    assert Widths.of('lite', 16, False) == (8, 16, 16, 12)


# The backbone for other heads -------------------------------------------------------------------------------------

SCF = {'type': 'TextSCFHead', 'label_set': 'oasis35', 'hidden_dim': 4, 'prompt': 'background'}


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize(
    'head',
    [
        {'type': 'ConvFlowHead'},
        {'type': 'ConvFlowHead', 'int_downsize': 2},
        {'type': 'SymmetricHead', 'scale': 2.0},
        SCF,
    ],
    ids=['conv', 'half', 'symmetric', 'scf'],
)
def test_other_heads_on_its_features(ndim, head):
    backbone = {'type': 'LapIRN', 'channels': 4, 'blocks': 1, 'integrator': {'type': 'ScalingSquaring', 'steps': 2}}
    losses = {'similarity': {'type': 'MSE', 'weight': 1.0}, 'smoothness': {'type': 'Diffusion', 'weight': 1.0}}
    model = registrar(ndim, backbone=backbone, flow_head=head, losses=losses)
    size = (9, 14, 11)[:ndim]
    assert model(images(*size)).displacement.shape == (1, ndim, *size)
    total(model(images(*size), mode='loss')).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.backbone.parameters())


def test_features_are_what_the_spec_says_and_carry_the_coarser_flow():
    backbone = BACKBONES.build({'type': 'LapIRN', 'channels': 4, 'blocks': 1, 'ndim': 2})
    image = images(16, 24)
    features = backbone(image['fixed'], image['moving'])
    for feature, channels, strides in zip(features, backbone.spec.channels, backbone.spec.strides):
        assert tuple(feature.shape[1:]) == (channels, 16 // strides[0], 24 // strides[1])
    coarse = backbone.pyramid.flows[2](features[2])
    torch.testing.assert_close(features[1][:, -2:], resize_field(coarse, size=(8, 12), values='aligned'))


def test_a_linear_head_can_pass_the_coarser_flow_on():
    model = registrar(2, backbone={'type': 'LapIRN', 'channels': 4}, flow_head={'type': 'ConvFlowHead', 'kernel': 1})
    weight = model.flow_head.flow.conv.weight
    torch.nn.init.zeros_(weight)
    weight.data[:, -2:, 0, 0] = torch.eye(2)
    inputs = images(16, 16)
    fields = model(inputs)
    torch.testing.assert_close(fields.velocities[0], model.backbone(inputs['fixed'], inputs['moving'])[0][:, -2:])
    assert fields.velocities[0].abs().max() > 0


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'levels': 1}, 'levels'),
        ({'conditional': True}, 'conditional'),
        ({'method': 'max'}, 'method'),
        ({'integrator': {'type': 'BSplineFFD'}}, 'control points'),
    ],
)
def test_backbones_that_cannot_work(options, message):
    with pytest.raises(ConfigError, match=message):
        BACKBONES.build({'type': 'LapIRN', 'ndim': 2, **options})


def test_heads_for_siamese_features_refuse_its_joint_ones():
    backbone = BACKBONES.build({'type': 'LapIRN', 'channels': 4, 'ndim': 2})
    for head in ('CoarseToFineHead', 'LapIRNHead', 'GraDIRNHead'):
        with pytest.raises(ConfigError, match=head):
            FLOW_HEADS.build({'type': head, 'features': backbone.spec})


def test_it_learns_a_shift():
    """All levels at once, a shift of three voxels that the coarser levels have to find."""
    axes = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing='ij')
    blob = [torch.exp(-((axes[0] - c) ** 2 + (axes[1] - 16) ** 2) / 30)[None, None] for c in (14.0, 17.0)]
    model = registrar(
        2,
        {'channels': 8, 'blocks': 1},
        losses={
            'similarity': {'type': 'MSE', 'weight': 1.0, 'levels': [1, 1, 1]},
            'smoothness': {'type': 'Diffusion', 'weight': 0.01},
        },
        pyramid={'kernel': 'average'},
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history = []
    for _ in range(60):
        losses = model({'fixed': blob[0], 'moving': blob[1]}, mode='loss')
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
        history.append(float(losses['similarity']))
    assert history[-1] < 0.1 * history[0]
    found = model({'fixed': blob[0], 'moving': blob[1]}).displacement[0, :, 14, 16]
    assert found[0].item() == pytest.approx(3.0, abs=0.7) and found[1].item() == pytest.approx(0.0, abs=0.7)


def test_float64_follows_float32():
    model = registrar(2, integrator={'type': 'ScalingSquaring', 'steps': 7, 'padding': 'border'}).eval()
    inputs = images(16, 24)
    with torch.no_grad():
        single = model(inputs).displacement
        double = model.double()({key: value.double() for key, value in inputs.items()}).displacement
    assert double.dtype == torch.float64 and single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-4)


def test_identity_integrator_by_hand():
    """One level: the flow is scale * softsign(conv(features)) in half extents."""
    pyramid = BACKBONES.build({'type': 'ImagePyramid', 'levels': 1, 'ndim': 2})
    head = LapIRNHead(pyramid.spec, channels=4, blocks=1)
    inputs = images(8, 12)
    features = pyramid(inputs['fixed'], inputs['moving'])
    fields = head(features, IdentityIntegrator(), inputs)
    network, flow = head.pyramid.networks[0], head.pyramid.flows[0]
    found, _ = network(torch.cat([inputs['moving'], inputs['fixed']], dim=1))
    raw = flow.conv(found)
    expected = 0.4 * raw / (1 + raw.abs()) * torch.tensor([3.5, 5.5]).view(1, 2, 1, 1)
    torch.testing.assert_close(fields.displacement, expected)
