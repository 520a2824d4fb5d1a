"""Published files of the pyramid designs: what their shapes tell, what their config adds, what is refused."""

import pytest
import torch

from mmreg.converters import FAMILIES
from mmreg.converters.files import convert_file
from mmreg.errors import CheckpointError
from mmreg.registry import REGISTRARS
from tests.golden.fill import fill

FAMILY = FAMILIES['pyramid_designs']
ENCODER, DECODER = (2, 3, 4, 4), (6, 5, 4)


def conv(name, inner, outer, bias=True, ndim=2, kernel=3):
    shapes = {f'{name}.weight': (outer, inner, *[kernel] * ndim)}
    return shapes | ({f'{name}.bias': (outer,)} if bias else {})


def encoder(inputs=1, strided=True):
    shapes, below = {}, inputs
    for level, width in enumerate(ENCODER):
        if level and strided:
            shapes |= conv(f'encoder.encoder.{level}.down.conv', below, below, bias=False)
        shapes |= conv(f'encoder.encoder.{level}.convs.0.conv', below, width)
        below = width
    return shapes


def decoder(skips, flows=True, transposed=True, convs=1):
    """Blocks on ``skips`` channels, coarsest first."""
    shapes, below = {}, 0
    for k, (skip, width) in enumerate(zip(skips, DECODER)):
        if k and transposed:
            shapes |= conv(f'decoder.decoder.{k}.upsample.conv', below, below, bias=False, kernel=2)
        inner = below + skip
        for c in range(convs):
            shapes |= conv(f'decoder.decoder.{k}.convs.{c}.conv', inner, width)
            inner = width
        if flows:
            shapes |= conv(f'decoder.flow_convs.{k}.0', width, 2)
        below = width
    return shapes


def unet_end():
    width = DECODER[-1]
    remaining = conv('remain.encoder.0.convs.0.conv', width, width) | conv(
        'remain.encoder.1.convs.0.conv', width, width
    )
    return remaining | conv('flow_conv.0', width, 2)


PUBLISHED = {
    'vxm': encoder(inputs=2) | decoder((4, 4, 3), flows=False) | unet_end(),
    'dual': encoder() | decoder((8, 8, 6), flows=False) | unet_end(),
    'dwp': encoder() | decoder((8, 8, 6)),
    'dwp, pooled': encoder(strided=False) | decoder((8, 8, 6), transposed=False, convs=2),
    'dwcp': encoder() | decoder((9 + 4, 25 + 4, 9 + 3)),
    'dwcp, cat': encoder() | decoder((9 + 8, 9 + 8, 9 + 6)),
    'less dwp': decoder((6, 6, 6), convs=2),
    'less dwcp': decoder((12, 12, 12)),
    'less dwp, two channels': decoder((24, 24, 24)),
    'vfa': encoder()
    | conv('decoder.decoder.0.proj.conv', 4, 5)
    | conv('decoder.decoder.1.proj.conv', 4, 4)
    | conv('decoder.decoder.2.proj.conv', 3, 3)
    | {f'decoder.decoder.{k}.beta': () for k in range(3)},
}


def weights(name):
    return {
        key: torch.from_numpy(fill(key, shape)) if shape else torch.tensor(0.5)
        for key, shape in PUBLISHED[name].items()
    }


def built(name, config=None):
    published = weights(name)
    converted = FAMILY.convert(published)
    model = FAMILY.model(converted, {'state_dict': published, **({'config': config} if config else {})})
    registrar = REGISTRARS.build({'type': 'Registrar', **model})
    registrar.load_state_dict(converted)
    assert sum(p.numel() for p in registrar.parameters()) == sum(v.numel() for v in published.values())
    channels = model['backbone']['image_channels']
    images = {key: torch.rand(1, channels, 32, 24) for key in ('fixed', 'moving')}
    assert registrar(images).displacement.isfinite().all()
    return model


@pytest.mark.parametrize(
    ('name', 'backbone', 'head'),
    [
        ('vxm', {'siamese': False, 'image_channels': 1}, {'pyramid': False, 'warp': False, 'remaining': [4, 4]}),
        ('dual', {'siamese': True, 'channels': list(ENCODER)}, {'pyramid': False, 'warp': False}),
        ('dwp', {'first_level': 1, 'down': 'conv'}, {'pyramid': True, 'warp': True, 'channels': [4, 5, 6]}),
        ('dwp, pooled', {'down': 'max'}, {'upsample': 'corners', 'convs': 2}),
        ('dwcp', {'siamese': True}, {'correlation': {'radius': [1, 2, 1]}}),
        ('dwcp, cat', {'siamese': True}, {'correlation': {'radius': [1, 1, 1], 'keep_moving': True}}),
        ('less dwp', {'type': 'PoolingPyramid', 'levels': 3}, {'warp': True, 'convs': 2}),
        ('less dwcp', {'type': 'PoolingPyramid'}, {'correlation': {'radius': [1, 1, 1]}}),
        ('less dwp, two channels', {'image_channels': 4}, {'warp': True}),
        ('vfa', {'type': 'ConvPyramid'}, {'type': 'MatchingHead', 'projections': [3, 4, 5]}),
    ],
)
def test_network_is_read_from_the_shapes(name, backbone, head):
    model = built(name)
    assert model['ndim'] == 2
    assert backbone.items() <= model['backbone'].items()
    assert head.items() <= model['flow_head'].items()


def test_what_the_config_adds():
    arguments = {
        'type': 'VXMPlus_PWC_Iter',
        'config': {
            'bidirectional': True,
            'decoder_cfg': {
                'composition': 'add',
                'num_iters': [1, 1, 2],
                'corr_radius': [1, 2, 1],
                'norm_vectors': True,
                'scale': False,
            },
        },
    }
    head = built('dwcp', arguments)['flow_head']
    assert head['bidirectional'] and head['composition'] == 'add' and head['iterations'] == [2, 1, 1]
    assert head['correlation'] == {'radius': [1, 2, 1], 'normalise': True, 'scale': False}
    assert built('dwp', {'type': 'VXMPlus_DualPy'})['flow_head']['warp'] is False


def test_a_convertible_file_becomes_ours(tmp_path):
    torch.save({'state_dict': weights('dwcp') | {'warp.grid': torch.zeros(2, 4, 4)}}, tmp_path / 'published.pth')
    model, unused = convert_file('pyramid_designs', tmp_path / 'published.pth', tmp_path / 'ours.pth')
    assert unused == ['warp.grid']
    stored = torch.load(tmp_path / 'ours.pth', weights_only=True)
    REGISTRARS.build({'type': 'Registrar', **model}).load_state_dict(stored['state_dict'])


def test_what_is_refused():
    incomplete = weights('dwp')
    del incomplete['decoder.decoder.1.convs.0.conv.weight']
    with pytest.raises(CheckpointError, match='another architecture'):
        FAMILY.model(FAMILY.convert(incomplete))
    with pytest.raises(CheckpointError, match='mamba.layers.0.weight'):
        FAMILY.convert(weights('dwp') | {'mamba.layers.0.weight': torch.zeros(2)})
    residual = {'type': 'VXMPlus_DualWarpPy', 'config': {'encoder_cfg': {'block_config': {'res_skip': True}}}}
    with pytest.raises(CheckpointError, match='has res_skip=True, expected blocks without it'):
        FAMILY.model(FAMILY.convert(weights('dwp')), {'config': residual})
