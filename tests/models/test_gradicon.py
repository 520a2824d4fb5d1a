"""GradICON's U-Net and chains of networks: published sizes, composition, sizes, directions, and that one learns."""

import pytest
import torch

from mmreg.errors import ConfigError
from mmreg.models.backbones.gradicon_unet import GradICONUNet, fit_channels
from mmreg.models.flow_heads.multi_step import MultiStepHead
from mmreg.registry import BACKBONES, REGISTRARS
from mmreg.spatial import compose, warp
from mmreg.spatial.crossing import chain_displacement

SMALL = {'type': 'GradICONUNet', 'channels': (4, 6), 'up_channels': (4, 6)}
FLOW = {'type': 'ConvFlowHead', 'scale': 0.2, 'unit': 'normalised'}


def steps(levels=(1, 0), init_std=0.1, backbone=None, **flow):
    return [
        {'level': level, 'backbone': backbone or SMALL, 'flow_head': {**FLOW, 'init_std': init_std, **flow}}
        for level in levels
    ]


def registrar(ndim, head=None, seed=0, **changes):
    torch.manual_seed(seed)
    config = {
        'type': 'Registrar',
        'ndim': ndim,
        'backbone': {'type': 'ImagePyramid', 'levels': 2, 'method': 'block_partial', 'any_size': True},
        'flow_head': {'type': 'MultiStepHead', 'steps': steps(), 'backward': 'networks', **(head or {})},
        'losses': {
            'similarity': {'type': 'MSE', 'direction': 'both', 'weight': 2.0},
            'consistency': {
                'type': 'GradICON',
                'direction': 'backward',
                'symmetric': False,
                'unit': 'unit',
                'step': 0.01,
                'padding': 'border',
                'weight': 1.5,
            },
        },
    }
    return REGISTRARS.build({**config, **changes})


def total(losses):
    return sum(value for key, value in losses.items() if key.startswith('loss_'))


@pytest.mark.parametrize(('ndim', 'parameters'), [(3, 17_670_229), (2, 4_756_902)])
def test_published_numbers_of_parameters(ndim, parameters):
    with torch.device('meta'):
        pyramid = BACKBONES.build({'type': 'ImagePyramid', 'levels': 1, 'ndim': ndim})
        head = MultiStepHead(pyramid.spec, [{'backbone': {'type': 'GradICONUNet'}, 'flow_head': FLOW}])
    assert sum(p.numel() for p in head.parameters()) == parameters


def test_channels_are_cut_or_filled_in_front():
    x = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
    assert fit_channels(x, 1).flatten().tolist() == [1.0]
    assert fit_channels(x, 4).flatten().tolist() == [0.0, 0.0, 1.0, 2.0]


@pytest.mark.parametrize('size', [(16, 12), (9, 7), (2, 5), (9, 14, 7), (2, 3, 2)])
def test_features_of_any_size(size):
    backbone = GradICONUNet((4, 6, 8), (4, 6, 8), ndim=len(size)).eval()
    image = torch.rand(1, 1, *size)
    for level, feature in enumerate(backbone(image, image)):
        assert feature.shape[1] == backbone.spec.channels[level]
        assert tuple(feature.shape[2:]) == tuple(-(-n // 2**level) for n in size)


def test_a_new_chain_does_not_move_anything():
    model = registrar(2, {'steps': steps(init_std=0.0)})
    fields = model({'fixed': torch.rand(1, 1, 12, 9), 'moving': torch.rand(1, 1, 12, 9)})
    assert not fields.displacement.any() and not fields.inverse_displacements[0].any()


@pytest.mark.parametrize('size', [(20, 17), (12, 9, 14)])
def test_composition_is_the_one_published(size):
    """Written out for two steps at half and full resolution: phi_1 is read on its own grid at psi."""
    model = registrar(len(size)).eval()
    fixed, moving = torch.rand(1, 1, *size), torch.rand(1, 1, *size)
    with torch.no_grad():
        fields = model({'fixed': fixed, 'moving': moving})
        first, second = model.flow_head.steps
        half = [pair[1] for pair in model.backbone(fixed, moving)], [pair[0] for pair in model.backbone(fixed, moving)]
        phi = first(half[1][1], half[0][1], model.integrator)
        seen = warp(moving, chain_displacement([phi], size), padding='border')
        psi = second(fixed, seen, model.integrator)
    assert phi.shape[2:] == tuple(-(-n // 2) for n in size)
    torch.testing.assert_close(fields.displacement, chain_displacement([phi, psi], size))
    torch.testing.assert_close(fields.extras['steps'][1], psi)


def test_backward_is_the_exchanged_pair():
    model, inputs = registrar(2).eval(), {'fixed': torch.rand(2, 1, 14, 11), 'moving': torch.rand(2, 1, 14, 11)}
    with torch.no_grad():
        one = model(inputs)
        other = model({'fixed': inputs['moving'], 'moving': inputs['fixed']})
    torch.testing.assert_close(one.inverse_displacements[0], other.displacement)
    assert registrar(2, {'backward': 'none'}, losses=None)(inputs).inverse_displacements == []


@pytest.mark.parametrize('size', [(13, 18), (9, 7, 11)])
def test_losses_and_gradients(size, pair):
    model = registrar(len(size))
    losses = model(pair(size, batch=2), mode='loss')
    total(losses).backward()
    assert losses['consistency'] > 0
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_recomputing_levels_changes_nothing_but_memory(pair):
    plain, lean, inputs = registrar(2), registrar(2, checkpoint_levels=2), pair((12, 10))
    for model in (plain, lean):
        torch.manual_seed(3)
        total(model(inputs, mode='loss')).backward()
    for a, b in zip(plain.parameters(), lean.parameters()):
        torch.testing.assert_close(a.grad, b.grad)
    for (name, a), b in zip(plain.named_buffers(), lean.buffers()):
        torch.testing.assert_close(a, b, msg=name)  # running statistics are counted once


def test_saving_and_loading(tmp_path, pair):
    first, second, inputs = registrar(2, seed=1).eval(), registrar(2, seed=2).eval(), pair((12, 10))
    torch.save(first.state_dict(), tmp_path / 'weights.pth')
    second.load_state_dict(torch.load(tmp_path / 'weights.pth', weights_only=True))
    assert torch.equal(first(inputs).displacement, second(inputs).displacement)


@pytest.mark.parametrize(
    ('backbone', 'flow'),
    [
        ({'type': 'UNet', 'features': ((4, 6), (6, 6, 4))}, {'int_downsize': 2}),
        ({'type': 'SITRegEncoder', 'channels': (4, 6), 'norm_cfg': {'type': 'GN', 'num_groups': 2}}, {}),
    ],
)
def test_steps_are_any_networks(backbone, flow, pair):
    """VoxelMorph twice: the registrar pads to what every step needs, at its level."""
    model = registrar(2, {'steps': steps(backbone=backbone, **flow)}, integrator={'type': 'ScalingSquaring'})
    if backbone['type'] == 'UNet':
        assert model.size_divisor == (8, 8) and min(model.min_size) == 8
    total(model(pair((13, 10)), mode='loss')).backward()


@pytest.mark.parametrize('head', ['CoarseToFineHead', 'ConvFlowHead'])
def test_its_features_in_a_pipeline_of_their_own(head, pair):
    config = {'backbone': SMALL, 'flow_head': {'type': head}, 'losses': None}
    if head == 'CoarseToFineHead':
        with pytest.raises(ConfigError, match='siamese'):
            REGISTRARS.build({'type': 'Registrar', 'ndim': 2, **config})
    else:
        model = REGISTRARS.build({'type': 'Registrar', 'ndim': 2, **config})
        assert model(pair((13, 10))).displacement.shape == (1, 2, 13, 10)


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        ({'steps': []}, 'no steps'),
        ({'steps': steps((2,))}, 'level=2'),
        ({'backward': 'minus'}, 'backward'),
        ({'padding': 'circular'}, 'padding'),
    ],
)
def test_impossible_chains_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        registrar(2, options)


def test_integrators_are_those_of_the_steps():
    with pytest.raises(ConfigError, match='BSplineFFD'):
        registrar(2, integrator={'type': 'BSplineFFD'})
    step = {'backbone': SMALL, 'flow_head': {'type': 'FFDHead'}}
    model = registrar(2, {'steps': [step]}, integrator={'type': 'BSplineFFD'})
    image = torch.rand(1, 1, 13, 10)
    assert model({'fixed': image, 'moving': image}).displacement.shape == (1, 2, 13, 10)
    with pytest.raises(ConfigError, match='FFDHead'):
        registrar(2, {'steps': [step]})


def test_learned_features_are_refused():
    with pytest.raises(ConfigError, match='ImagePyramid'):
        registrar(2, backbone=SMALL)
    with pytest.raises(ConfigError, match='one length'):
        GradICONUNet((4, 6), (4,))


def test_direction_of_a_consistency_loss(pair):
    """GradICON of phi_AB o phi_BA is 'backward' here; 'both' is the mean of the two orders."""
    values = {}
    for direction in ('forward', 'backward', 'both'):
        loss = {'type': 'GradICON', 'symmetric': False, 'noise': 0.0, 'direction': direction}
        model = registrar(2, losses={'consistency': loss}).eval()
        values[direction] = model(pair((14, 11)), mode='loss')['consistency']
    assert values['forward'] != values['backward']
    torch.testing.assert_close(values['both'], (values['forward'] + values['backward']) / 2)


def test_it_learns_a_shift_and_its_inverse():
    axes = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing='ij')
    blob = [torch.exp(-((axes[0] - c) ** 2 + (axes[1] - 10) ** 2) / 12)[None, None] for c in (8.0, 11.0)]
    inputs = {'fixed': blob[0], 'moving': blob[1]}
    model = registrar(2, {'steps': steps(init_std=0.0, backbone={**SMALL, 'norm_cfg': None})})
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    history = []
    for _ in range(80):
        terms = model(inputs, mode='loss')
        optimizer.zero_grad()
        total(terms).backward()
        optimizer.step()
        history.append(float(terms['similarity']))
    assert history[-1] < 0.2 * history[0]
    fields = model(inputs)
    assert fields.displacement[0, 0, 8, 10].item() == pytest.approx(3.0, abs=1.0)
    assert compose(fields.displacement, fields.inverse_displacements[0], 'border')[0, 0, 11, 10].abs() < 0.5
