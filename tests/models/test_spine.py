"""The spine system's network, its converter, its two stages, and the elastix baseline."""

from importlib.metadata import distributions

import numpy as np
import pytest
import torch

import mmreg.datasets  # noqa: F401
from mmreg.converters import FAMILIES
from mmreg.datasets import ArticulatedSpinePhantom
from mmreg.errors import ConfigError
from mmreg.models.registrars.elastix_run import run_elastix, settings
from mmreg.registry import BACKBONES, REGISTRARS
from mmreg.utils.config import load_config

ELASTIX = any(found.metadata['Name'] == 'itk-elastix' for found in distributions())
SMALL = dict(encoder=dict(out_channels=[4, 6, 6]), decoder=dict(out_channels=[6]), remaining=dict(out_channels=[4]))


def model(config='configs/spine_demo_rigid.py', **losses):
    cfg = load_config(config)
    cfg.model.backbone.update(SMALL)
    for name, value in losses.items():
        cfg.model.losses[name].update(value)
    torch.manual_seed(0)
    return REGISTRARS.build(cfg.model)


def batch(bodies=2, size=(16, 24, 32), number=0):
    data = ArticulatedSpinePhantom(size=size, bodies=bodies, first=number, count=1)
    return {key: value[None] for key, value in data[0]['inputs'].items()}


def published(levels=4):
    """State dict under the published names, widths 4."""
    shapes = {'unet.encoder.encoder.0.layers.0.conv': (4, 2)}
    shapes |= {f'unet.encoder.encoder.{k}.layers.1.conv': (4, 4) for k in range(1, levels)}
    shapes |= {f'unet.decoder.decoder.{k}.conv_block.layers.0.conv': (4, 8) for k in range(levels - 2)}
    shapes |= {'unet.remain.encoder.0.layers.0.conv': (4, 4), 'flow_conv.layers.0.conv': (3, 4)}
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, (outer, inner) in shapes.items():
        state[f'{name}.weight'] = torch.randn(outer, inner, 3, 3, 3, generator=generator)
        state[f'{name}.bias'] = torch.randn(outer, generator=generator)
    return state


def test_published_sizes_of_the_two_networks():
    for config, count in (('spine', 1_000_163), ('spine_full', 1_166_115)):
        cfg = load_config(f'configs/_base_/models/{config}.py')
        built = REGISTRARS.build(cfg.model)
        assert sum(p.numel() for p in built.parameters()) == count
        assert built.size_divisor == (16, 16, 16)


def test_published_checkpoints_convert():
    family = FAMILIES['spine']
    weights = family.convert(published())
    config = family.model(weights)
    assert config['flow_head']['int_downsize'] == 2
    built = REGISTRARS.build({'type': 'Registrar', **config})
    built.load_state_dict(weights)
    with pytest.raises(ValueError, match='unet.extra'):
        family.convert(published() | {'unet.extra.weight': torch.zeros(1)})


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize(
    'change',
    [
        dict(decoder=dict(out_channels=[6], upsample_cfg=dict(type='linear'))),
        dict(decoder=dict(out_channels=[6], upsample_cfg=dict(type='DeconvModule'))),
        dict(decoder=dict(out_channels=[6], upsample_cfg=dict(type='InterpConv', mode='linear'))),
        dict(encoder=dict(out_channels=[4, [6, 6], 6], strides=[1, 2, 2], pool_cfg=None)),
        dict(encoder=dict(out_channels=[4, 6, 6], num_convs=2, dilations=2, pool_cfg=dict(type='avg'))),
        dict(encoder=dict(out_channels=[4, 6, 6], norm_cfg=dict(type='BN')), norm_eval=True),
    ],
)
def test_stacks_from_configs(ndim, change):
    backbone = BACKBONES.build({'type': 'StagedUNet', 'ndim': ndim, **SMALL, **change})
    image = torch.rand(1, 1, *(16,) * ndim)
    features = backbone.train()(image, image)
    assert [f.shape[1] for f in features] == list(backbone.spec.channels)
    assert [16 // f.shape[2] for f in features] == [s[0] for s in backbone.spec.strides] == [2, 4]
    norms = [m for m in backbone.modules() if 'BatchNorm' in type(m).__name__]
    assert not any(norm.training for norm in norms)


@pytest.mark.parametrize(
    'change',
    [
        dict(decoder=dict(out_channels=[6, 6, 6])),
        dict(encoder=dict(out_channels=[4, 6, 6], wide=True)),
        dict(decoder=dict(out_channels=[6], skip_channels=[5])),
        dict(decoder=dict(out_channels=[6], upsample_cfg=dict(type='cubic'))),
        dict(encoder=dict(out_channels=[4, 6, 6], strides=[1, 2])),
    ],
)
def test_impossible_stacks_are_refused(change):
    with pytest.raises((ConfigError, ValueError)):
        BACKBONES.build({'type': 'StagedUNet', **SMALL, **change})


def test_resize_first_and_no_integration():
    head = dict(type='ConvFlowHead', bidirectional=True, int_downsize=1)
    image = torch.rand(1, 1, 16, 16, 16)
    built = REGISTRARS.build(
        dict(
            type='Registrar',
            backbone=dict(type='StagedUNet', **SMALL),
            flow_head=head,
            integrator=dict(type='ScalingSquaring'),
        )
    )
    fields = built({'fixed': image, 'moving': image})
    assert fields.velocities[0].shape == fields.displacement.shape == (1, 3, 16, 16, 16)
    head = {**head, 'int_downsize': 2, 'bidirectional': False}
    built = REGISTRARS.build(dict(type='Registrar', backbone=dict(type='StagedUNet', **SMALL), flow_head=head))
    assert not built({'fixed': image, 'moving': image}).inverse_displacements


def test_a_term_without_weight_is_not_computed_and_one_of_weight_0_is_logged_only():
    terms = model(orthonormality=dict(weight=None), properness=dict(weight=0.0), rigid_field=dict(min_voxels=10))(
        batch(), mode='loss'
    )
    assert 'orthonormality' not in terms and 'loss_orthonormality' not in terms
    assert 'properness' in terms and 'loss_properness' not in terms
    assert terms['loss_rigid_field'].requires_grad


@pytest.mark.parametrize('case', ['one', 'none', 'border', 'voxel', 'unshared'])
def test_all_rigidity_losses_with_difficult_labels(case):
    inputs = batch(bodies=1)
    labels = inputs['moving_labels']
    if case == 'none':
        labels.zero_()
    elif case == 'border':
        labels.zero_()
        labels[..., :6, 8:16, 26:] = 20
    elif case == 'voxel':
        labels.zero_()
        labels[..., 8, 8, 8] = 20
    elif case == 'unshared':
        inputs['fixed_labels'].copy_(inputs['fixed_labels'].ne(0) * 23)
    weights = dict(weight=0.1)
    built = model(
        orthonormality=weights, properness=weights, rigid_dice=dict(num_iterations=2, **weights), rigid_field=weights
    )
    terms = built(inputs, mode='loss')
    total = sum(value for key, value in terms.items() if key.startswith('loss_'))
    total.backward()
    assert all(torch.isfinite(value).all() for value in terms.values())
    assert all(torch.isfinite(p.grad).all() for p in built.parameters() if p.grad is not None)


def test_configs_of_the_ablations():
    on = {}
    for name in ('oc', 'pc', 'rd', 'rf', 'pc_oc', 'pc_rd', 'pc_rf', 'rigid'):
        losses = load_config(f'configs/spine_mind_{name}.py').model.losses
        on[name] = {key for key in losses if losses[key].get('weight') is not None} - {'similarity', 'smoothness'}
    names = dict(oc='orthonormality', pc='properness', rd='rigid_dice', rf='rigid_field')
    for name, found in on.items():
        assert found == ({names[part] for part in name.split('_')} if name != 'rigid' else set(names.values()))
    first = load_config('configs/spine_mind.py').model.losses
    assert {key for key in first if first[key].get('weight') is not None} == {'similarity', 'smoothness'}


# ------------------------------------------------------------------------------------------------------------ elastix


def test_elastix_settings():
    rigid, bspline = settings(body=True, iterations=7, changes={'SP_A': '50'})
    assert rigid['MaximumNumberOfIterations'] == bspline['MaximumNumberOfIterations'] == ['7']
    assert bspline['Metric'][1] == 'TransformRigidityPenalty' and bspline['SP_A'] == ['50']
    _, plain = settings(body=False)
    assert plain['Metric'] == ['AdvancedMattesMutualInformation'] and 'UseMovingRigidityImage' not in plain


@pytest.mark.skipif(ELASTIX, reason='itk-elastix is installed')
def test_elastix_missing_is_one_sentence():
    with pytest.raises(ConfigError, match=r'itk-elastix, which is not installed: pip install'):
        run_elastix(np.zeros((8, 8, 8)), np.zeros((8, 8, 8)), None, (1, 1, 1))


@pytest.mark.slow
@pytest.mark.skipif(not ELASTIX, reason='itk-elastix is not installed')
@pytest.mark.parametrize('label', [True, False])
def test_elastix_finds_a_shift(label):
    inputs = batch(size=(24, 24, 32))
    fixed = inputs['fixed'][0, 0].numpy()
    moving = np.roll(fixed, 2, axis=2)
    body = (np.roll(inputs['fixed_labels'][0, 0].numpy(), 2, axis=2) > 0) if label else None
    field = run_elastix(
        fixed, moving, body, (1.0, 1.0, 2.0), 30, {'NumberOfSpatialSamples': '2000', 'SP_a': '10.0'}, threads=1
    )
    inner = field[:, 6:-6, 6:-6, 6:-6]
    assert field.shape == (3, 24, 24, 32)
    assert abs(np.median(inner[2]) - 2) < 0.3 and abs(np.median(inner[0])) < 0.3


@pytest.mark.slow
@pytest.mark.skipif(not ELASTIX, reason='itk-elastix is not installed')
def test_elastix_with_the_penalty_on_a_given_number_of_threads():
    """The number that elastix itself takes ended the process in the penalty."""
    inputs = batch(bodies=2, size=(24, 24, 32))
    fixed, moving, body = (inputs[name][0, 0].numpy() for name in ('fixed', 'moving', 'moving_labels'))
    field = run_elastix(fixed, moving, body, (1.0,) * 3, iterations=3, threads=2)
    assert field.shape == (3, 24, 24, 32) and np.isfinite(field).all()
