"""GraDIRN, its forces, its U-Net and the free-form deformation: sizes, options, learning, refusals."""

import pytest
import torch

from mmreg.converters import FAMILIES
from mmreg.errors import CheckpointError, ConfigError
from mmreg.models.blocks.descent import build_force
from mmreg.models.flow_heads.gradirn import START
from mmreg.registry import BACKBONES, FLOW_HEADS, REGISTRARS
from mmreg.spatial import warp
from mmreg.spatial.interpolation import warp_with_gradient

LOSSES = {
    'similarity': {'type': 'MSE', 'weight': 1.0},
    'regularity': {'type': 'Diffusion', 'reduction': 'energy', 'weight': 0.01},
}
#: Losses that drive a descent in the tests: multi-modal, windowed, histograms.
FORCES = [
    {'type': 'LNCC', 'window': 5},
    {'type': 'NMI', 'bins': 16},
    {'type': 'MIND'},
    {'type': 'NCC'},
]


def model(ndim=2, levels=2, backbone=None, **head):
    options = {'layers': 2, 'channels': 4, 'repeats': 2, **head}
    return REGISTRARS.build(
        {
            'type': 'Registrar',
            'ndim': ndim,
            'backbone': {'type': 'ImagePyramid', 'levels': levels, 'any_size': True, **(backbone or {})},
            'flow_head': {'type': 'GraDIRNHead', **options},
            'losses': LOSSES,
        }
    )


def smooth_pair(size, batch=1, shift=0.8, seed=0):
    """A smooth image and itself read ``shift`` voxels further along the first axis."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(batch, 1, *[max(4, n // 4) for n in size], generator=generator)
    mode = 'bicubic' if len(size) == 2 else 'trilinear'
    fixed = torch.nn.functional.interpolate(coarse, size=size, mode=mode, align_corners=True)
    field = torch.zeros(batch, len(size), *size)
    field[:, 0] = -shift
    return {'fixed': fixed, 'moving': warp(fixed, field, padding='border')}


@pytest.mark.parametrize('similarity', ['ssd', 'ncc', *FORCES], ids=str)
def test_force_is_the_gradient_of_the_energy(similarity):
    inputs = smooth_pair((12, 11), batch=2)
    fixed, moving = inputs['fixed'].double(), inputs['moving'].double()
    force = build_force(similarity)
    warped = moving.clone().requires_grad_()
    (expected,) = torch.autograd.grad(force.energy(warped, fixed).sum(), warped)
    slope = force(warped, fixed)
    torch.testing.assert_close(slope, expected * moving[0].numel())
    with torch.no_grad():
        torch.testing.assert_close(force(moving, fixed), slope.detach())
    with torch.inference_mode():
        torch.testing.assert_close(force(moving.clone(), fixed.clone()).clone(), slope.detach())


@pytest.mark.parametrize('similarity', ['ssd', 'ncc', {'type': 'LNCC', 'window': 3}], ids=str)
def test_gradient_of_the_force_by_finite_differences(similarity):
    inputs = smooth_pair((5, 5))
    force, fixed = build_force(similarity), inputs['fixed'].double()
    assert torch.autograd.gradcheck(lambda w: force(w, fixed), inputs['moving'].double().requires_grad_(), atol=1e-6)


@pytest.mark.parametrize('ndim, size', [(2, (16, 20)), (3, (8, 12, 8))])
@pytest.mark.parametrize('image_inputs', ['explicit', 'implicit', None])
def test_untrained_network_is_gradient_descent(ndim, size, image_inputs):
    inputs = smooth_pair(size)
    network = model(ndim, image_inputs=image_inputs).eval()
    plain = model(ndim, layers=0).eval()
    torch.testing.assert_close(network(inputs).displacement, plain(inputs).displacement)
    before, after = (
        build_force('ssd').energy(warp_with_gradient(inputs['moving'], u)[0], inputs['fixed'])
        for u in (torch.zeros(1, ndim, *size), network(inputs).displacement.detach())
    )
    assert after < before


@pytest.mark.parametrize('ndim, size', [(2, (17, 23)), (3, (9, 11, 10))])
def test_any_size_and_padded_size(ndim, size):
    inputs = smooth_pair(size)
    for backbone in ({'any_size': True}, {'any_size': False}, {'method': 'average'}, {'method': 'gaussian'}):
        network = model(ndim, levels=3 if ndim == 2 else 2, backbone=backbone)
        assert network(inputs).displacement.shape == (1, ndim, *size)


def test_too_small_for_the_pyramid_is_padded():
    assert model(levels=3)(smooth_pair((6, 9))).displacement.shape == (1, 2, 6, 9)


def test_one_level_and_zero_repeats():
    inputs = smooth_pair((12, 12))
    assert model(levels=1, repeats=[2]).eval()(inputs).displacement.abs().max() > 0
    partly = model(repeats=[0, 2])
    losses = partly(inputs, mode='loss')
    sum(v for k, v in losses.items() if k.startswith('loss_')).backward()
    assert partly.flow_head.blocks[0][0].step_size.grad is None
    none = model(repeats=0)
    assert not none.eval()(inputs).displacement.any()
    with pytest.raises(ConfigError, match='expected at least one step to train'):
        none.train()(inputs, mode='loss')


def test_steps_can_change_at_test_time():
    inputs = smooth_pair((16, 16), shift=1.5)
    network = model(test_repeats=[8, 8], step_size=0.1).eval()
    longer = network(inputs).displacement
    network.flow_head.test_repeats = None
    shorter = network(inputs).displacement
    energy = build_force('ssd').energy
    after = [energy(warp_with_gradient(inputs['moving'], u.detach())[0], inputs['fixed']) for u in (shorter, longer)]
    assert after[1] < after[0]
    assert model(test_repeats=5).flow_head.test_repeats == (5, 5)


def test_start_field_is_kept_through_the_levels():
    start = torch.full((1, 2, 16, 24), 1.25)
    inputs = {'fixed': torch.ones(1, 1, 16, 24), 'moving': torch.ones(1, 1, 16, 24), START: start}
    torch.testing.assert_close(model(levels=3).eval()(inputs).displacement, start)


def test_batch_does_not_change_a_sample():
    inputs = {key: value.double() for key, value in smooth_pair((16, 16), batch=3).items()}
    for similarity in ('ssd', 'ncc', {'type': 'LNCC', 'window': 5}):
        network = model(similarity=similarity).double().eval()
        single = {key: value[1:2] for key, value in inputs.items()}
        torch.testing.assert_close(network(inputs).displacement[1:2], network(single).displacement)


@pytest.mark.parametrize('similarity', ['ssd', {'type': 'LNCC', 'window': 5}, {'type': 'MIND'}], ids=str)
def test_checkpointing_changes_nothing(similarity):
    inputs = {key: value.double() for key, value in smooth_pair((12, 12)).items()}
    gradients = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        network = model(similarity=similarity, checkpoint_steps=checkpointed, zero_init=False).double()
        losses = network(inputs, mode='loss')
        sum(v for k, v in losses.items() if k.startswith('loss_')).backward()
        gradients.append([p.grad for p in network.parameters()])
    for first, second in zip(*gradients):
        torch.testing.assert_close(first, second)


def test_checkpoint_levels_of_the_model():
    network = REGISTRARS.build(
        {
            'type': 'Registrar',
            'ndim': 2,
            'backbone': {'type': 'ImagePyramid', 'levels': 2},
            'flow_head': {'type': 'GraDIRNHead', 'layers': 2, 'channels': 4},
            'losses': LOSSES,
            'checkpoint_levels': 1,
        }
    )
    sum(v for k, v in network(smooth_pair((16, 16)), mode='loss').items() if k.startswith('loss_')).backward()
    assert all(p.grad is not None for p in network.parameters())


def test_truncated_back_propagation():
    network = model(detach_steps=1)
    sum(v for k, v in network(smooth_pair((16, 16)), mode='loss').items() if k.startswith('loss_')).backward()
    coarse, fine = network.flow_head.blocks
    assert coarse[0].step_size.grad is None and fine[0].step_size.grad is not None


@pytest.mark.parametrize('checkpointed', [False, True])
def test_mixed_precision(checkpointed):
    inputs = smooth_pair((16, 16))
    torch.manual_seed(0)
    network = model(checkpoint_steps=checkpointed, zero_init=False)
    exact = network(inputs).displacement.detach()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        fields = network(inputs)
        losses = network(inputs, mode='loss')
    assert fields.displacement.dtype == torch.float32
    assert (fields.displacement - exact).abs().max() < 0.05 * exact.abs().max()
    sum(v for k, v in losses.items() if k.startswith('loss_')).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_it_learns():
    torch.manual_seed(0)
    inputs = smooth_pair((24, 24), batch=2, shift=2.0)
    network = model(channels=8, layers=3)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    values = []
    for _ in range(25):
        losses = network(inputs, mode='loss')
        total = sum(v for k, v in losses.items() if k.startswith('loss_'))
        optimizer.zero_grad(), total.backward(), optimizer.step()
        values.append(float(losses['similarity']))
    assert values[-1] < 0.5 * values[0]


def test_recorded_steps():
    network = model(blocks=[2, 1], repeats=[1, 3]).eval()
    network.flow_head.record = True
    with torch.no_grad():
        fields = network(smooth_pair((16, 16)))
    steps = fields.extras['steps']
    assert [(s.level, s.block, s.repeat) for s in steps] == [(1, 0, 0), (1, 1, 0), (0, 0, 0), (0, 0, 1), (0, 0, 2)]
    torch.testing.assert_close(steps[-1].displacement, fields.displacement)
    for step, after in zip(steps[2:], steps[3:]):
        torch.testing.assert_close(step.after, after.before)


def test_parameters_of_the_published_networks():
    counts = {(2, 'explicit'): 88521, (2, None): 86793, (3, 'implicit'): 269964, (3, None): 264780}
    for (ndim, inputs), expected in counts.items():
        pyramid = BACKBONES.build({'type': 'ImagePyramid', 'ndim': ndim})
        head = FLOW_HEADS.build({'type': 'GraDIRNHead', 'features': pyramid.spec, 'image_inputs': inputs})
        assert sum(p.numel() for p in head.parameters()) == expected
    assert float(head.blocks[0][0].step_size.detach()) == pytest.approx(0.05)


@pytest.mark.parametrize(
    'options, message',
    [
        ({'similarity': 'mi'}, 'or the config of an image loss'),
        ({'similarity': {'type': 'Diffusion'}}, 'expected an image loss'),
        ({'image_inputs': 'both'}, 'expected one of'),
        ({'repeats': [1, 2, 3]}, 'expected one number per level'),
        ({'repeats': [1, -1]}, 'expected 0 or more'),
        ({'blocks': [0, 1]}, 'expected 1 or more at every level'),
        ({'velocity_unit': 'mm'}, "expected 'voxel' or 'published'"),
    ],
)
def test_bad_options_in_one_sentence(options, message):
    with pytest.raises(ConfigError, match=message):
        model(**options)


def test_learned_features_are_refused():
    backbone = {'type': 'ResizePyramid', 'levels': 2, 'encoder': {'type': 'EOIREncoder', 'channels': 4}, 'ndim': 2}
    with pytest.raises(ConfigError, match='needs the images themselves'):
        FLOW_HEADS.build({'type': 'GraDIRNHead', 'features': BACKBONES.build(backbone).spec})


@pytest.mark.parametrize('method', ['resize', 'average', 'gaussian'])
def test_pyramid_levels(method):
    pyramid = BACKBONES.build({'type': 'ImagePyramid', 'levels': 3, 'method': method, 'ndim': 3, 'factors': [2, 2, 1]})
    image = torch.full((1, 1, 8, 12, 5), 0.5)
    levels = pyramid(image, image)
    assert [tuple(f.shape[2:]) for f, _ in levels] == [(8, 12, 5), (4, 6, 5), (2, 3, 5)]
    if method == 'average':  # what lies outside does not count
        torch.testing.assert_close(levels[2][0], torch.full((1, 1, 2, 3, 5), 0.5))


def ffd(steps=0, ndim=2, integrator='BSplineFFD'):
    return REGISTRARS.build(
        {
            'type': 'Registrar',
            'ndim': ndim,
            'backbone': {'type': 'UNet', 'features': [[4, 4], [4, 4, 4]], 'down': 'stride'},
            'flow_head': {'type': 'FFDHead', 'level': 1, 'channels': [4], 'init_std': 0.1},
            'integrator': {'type': integrator, **({'spacing': 4, 'steps': steps} if 'B' in integrator else {})},
            'losses': {
                'similarity': {'type': 'LNCC', 'window': 5},
                'bending': {'type': 'BendingEnergy', 'on': 'displacement', 'weight': 0.1},
            },
        }
    )


@pytest.mark.parametrize('steps', [0, 5])
@pytest.mark.parametrize('ndim, size', [(2, (16, 21)), (3, (8, 12, 8))])
def test_free_form_deformation(ndim, size, steps):
    network = ffd(steps, ndim)
    fields = network(smooth_pair(size))
    padded = [-(-n // 4) * 4 for n in size]
    assert fields.displacement.shape == (1, ndim, *size)
    assert fields.velocities[0].shape[2:] == network.integrator.control_size(padded)
    sum(v for k, v in network(smooth_pair(size), mode='loss').items() if k.startswith('loss_')).backward()
    assert all(p.grad is not None for p in network.flow_head.parameters())


def test_free_form_deformation_inverse_and_wrong_integrator():
    network = ffd(6)
    control = torch.randn(1, 2, 8, 8) * 0.5
    there, back = network.integrator(control), network.integrator.inverse(control)
    assert there.shape[2:] == (21, 21)
    inner = (there + warp(back, there, padding='border'))[..., 5:-5, 5:-5]
    assert inner.abs().max() < 0.02
    with pytest.raises(ConfigError, match='expected BSplineFFD'):
        ffd(integrator='IdentityIntegrator')(smooth_pair((16, 16)))


def test_converter_of_lightning_checkpoints():
    source = model(levels=2, blocks=[2, 1], layers=3)
    published = {}
    for key, value in source.state_dict().items():
        _, _, level, block, *rest = key.split('.')
        if rest == ['step_size']:
            published[f'network.sim_blocks.{level}.{block}.tau_'] = value
        else:
            _, _, layer, _, last = rest
            inner = '' if layer == '2' else '.0'
            published[f'network.reg_blocks.{level}.{block}.layers.{layer}{inner}.{last}'] = value
    published['network.grid_lvl0'] = torch.zeros(1)
    family = FAMILIES['gradirn']
    weights = family.convert(published)
    config = family.model(weights, {'config': {'num_repeat': [1, 4], 'similarity': 'ncc'}})
    assert config['flow_head']['blocks'] == [2, 1] and config['flow_head']['repeats'] == [1, 4]
    assert config['flow_head']['similarity'] == 'ncc'
    REGISTRARS.build({'type': 'Registrar', **config}).load_state_dict(weights)
    with pytest.raises(CheckpointError):
        family.convert({'something.weight': torch.zeros(1)})
