"""Checkpoints of the pyramid designs: VXM, Dual, DWP, DWCP, DWCPI, LessNet forms, VFA, TransMorph forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mmreg.errors import CheckpointError

from .base import Family
from .transmorph import FAMILY as TRANSMORPH
from .transmorph import window_of

_LAST = r'(?P<last>weight|bias)'
_STAGES, _SWIN, _HEAD = 'backbone.stages', 'backbone.encoder.', 'flow_head'
_FIRST_CONV = f'{_STAGES}.0.convs.0.conv.weight'


def _rules() -> list[tuple[str, str]]:
    i, j = r'(?P<i>\d+)', r'(?P<j>\d+)'
    conv = rf'convs\.{j}\.conv\.{_LAST}'
    ours = r'convs.\g<j>.conv.\g<last>'
    last = r'conv.\g<last>'
    swin = [(pattern, target) for pattern, target in TRANSMORPH.rules if target.startswith(_SWIN)]
    # TransMorph's own decoder: its first level enlarges the deepest features, which are a level without weights here.
    up = [
        (rf'up{k}\.conv{n + 1}\.0\.weight', rf'{_HEAD}.blocks.{k + 1}.convs.{n}.conv.weight')
        for k in range(8)
        for n in range(2)
    ]
    return [
        (rf'encoder\.encoder\.{i}\.{conv}', rf'{_STAGES}.\g<i>.{ours}'),
        (rf'encoder\.encoder\.{i}\.down\.conv\.weight', rf'{_STAGES}.\g<i>.down.conv.weight'),
        (rf'decoder\.decoder\.{i}\.{conv}', rf'{_HEAD}.blocks.\g<i>.{ours}'),
        (rf'decoder\.decoder\.{i}\.upsample\.conv\.weight', rf'{_HEAD}.blocks.\g<i>.upsample.weight'),
        (rf'decoder\.decoder\.{i}\.proj\.conv\.{_LAST}', rf'{_HEAD}.projections.\g<i>.\g<last>'),
        (rf'decoder\.decoder\.{i}\.beta', rf'{_HEAD}.betas.\g<i>'),
        (rf'decoder\.flow_convs\.{i}\.0\.{_LAST}', rf'{_HEAD}.flows.\g<i>.{last}'),
        (rf'flow_conv\.0\.{_LAST}', rf'{_HEAD}.flows.0.{last}'),
        (rf'remain\.encoder\.{i}\.convs\.0\.conv\.{_LAST}', rf'{_HEAD}.remaining.\g<i>.{last}'),
        (rf'pre_block\.{conv}', rf'{_HEAD}.context_block.{ours}'),
        (r'c1\.0\.weight', 'backbone.skip.conv.weight'),
        *swin,
        *up,
    ]


def _count(state: Mapping[str, Tensor], stem: str, rest: str) -> int:
    """Number of entries ``stem.0.rest, stem.1.rest, ...``."""
    k = 0
    while f'{stem}.{k}.{rest}' in state:
        k += 1
    return k


def _widths(state: Mapping[str, Tensor], stem: str, rest: str) -> list[int]:
    return [state[f'{stem}.{k}.{rest}'].shape[0] for k in range(_count(state, stem, rest))]


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Network of the shapes in a converted state dict. Not in the weights: refinements, composition, both
    directions.
    """
    if f'{_HEAD}.projections.0.weight' in state:
        ndim = state[f'{_HEAD}.projections.0.weight'].dim() - 2
        count = _count(state, f'{_HEAD}.projections', 'weight')
        widths = _widths(state, f'{_HEAD}.projections', 'weight')[::-1]
        head: dict[str, Any] = {'type': 'MatchingHead', 'projections': widths}
        return _model(ndim, _cnn(state, count, siamese=True), head)
    ndim = state[f'{_HEAD}.flows.0.conv.weight'].shape[0]
    if f'{_SWIN}embed.proj.weight' in state:
        return _model(ndim, _swin(state), _decoder(state, ndim, _swin_channels(state)))
    levels = _count(state, f'{_HEAD}.blocks', 'convs.0.conv.weight')
    first = state[f'{_HEAD}.blocks.0.convs.0.conv.weight'].shape[1]
    if _FIRST_CONV not in state:
        images = _image_channels(first, ndim)
        backbone = {'type': 'PoolingPyramid', 'levels': levels, 'image_channels': images}
        return _model(ndim, backbone, _decoder(state, ndim, [3 * images] * levels))
    encoder = _widths(state, _STAGES, 'convs.0.conv.weight')
    siamese = first != encoder[-1]
    head = _decoder(state, ndim, encoder[-levels:], siamese)
    return _model(ndim, _cnn(state, levels, siamese), head)


def _model(ndim: int, backbone: dict[str, Any], head: dict[str, Any]) -> dict[str, Any]:
    return {'ndim': ndim, 'backbone': backbone, 'flow_head': head, 'integrator': {'type': 'IdentityIntegrator'}}


def _cnn(state: Mapping[str, Tensor], levels: int, siamese: bool) -> dict[str, Any]:
    channels = _widths(state, _STAGES, 'convs.0.conv.weight')
    inputs = state[_FIRST_CONV].shape[1]
    return {
        'type': 'ConvPyramid',
        'channels': channels,
        'first_level': len(channels) - levels,
        'siamese': siamese,
        'convs': _count(state, f'{_STAGES}.0.convs', 'conv.weight'),
        'down': 'conv' if f'{_STAGES}.1.down.conv.weight' in state else 'max',
        'image_channels': inputs if siamese else inputs // 2,
    }


def _swin_channels(state: Mapping[str, Tensor]) -> list[int]:
    stages = _widths(state, f'{_SWIN}norms', 'weight')
    skip = state.get('backbone.skip.conv.weight')
    return stages if skip is None else [skip.shape[0], *stages]


def _swin(state: Mapping[str, Tensor]) -> dict[str, Any]:
    width, images, *patch = state[f'{_SWIN}embed.proj.weight'].shape
    stages = _count(state, f'{_SWIN}norms', 'weight')
    depths = [_count(state, f'{_SWIN}stages.{k}.blocks', 'norm1.weight') for k in range(stages)]
    first = f'{_SWIN}stages.0.blocks.0.'
    return {
        'type': 'SwinPyramid',
        'width': width,
        'depths': depths,
        'heads': [state[f'{_SWIN}stages.{k}.blocks.0.attn.bias_table'].shape[1] for k in range(stages)],
        'patch_size': patch[0],
        'mlp_ratio': state[f'{first}mlp.fc1.weight'].shape[0] / width,
        'qkv_bias': f'{first}attn.qkv.bias' in state,
        'patch_norm': f'{_SWIN}embed.norm.weight' in state,
        'convolution_skip': 'backbone.skip.conv.weight' in state,
        'image_channels': images,
    }


def _image_channels(first: int, ndim: int) -> int:
    """Channels of an image whose pooled features, 3 per channel, enter the coarsest block as ``first`` channels."""
    if first == 6 or _radius(first - 3, ndim):
        return 1
    return first // 6


def _radius(volume: int, ndim: int) -> int:
    """Radius of a window of ``volume`` voxels, 0 where it is no such window."""
    radius = (round(max(volume, 0) ** (1 / ndim)) - 1) // 2
    return radius if radius > 0 and (2 * radius + 1) ** ndim == volume else 0


def _decoder(state: Mapping[str, Tensor], ndim: int, features: Sequence[int], siamese: bool = True) -> dict[str, Any]:
    """The decoder on levels with ``features`` channels, finest first."""
    blocks = f'{_HEAD}.blocks'
    published = f'{blocks}.0.convs.0.conv.weight' not in state  # TransMorph's: nothing at the coarsest level
    start = int(published)
    count = 0
    while f'{blocks}.{start + count}.convs.0.conv.weight' in state:
        count += 1
    numbers = [start + k for k in range(count)]
    widths: list[int | None] = [state[f'{blocks}.{k}.convs.0.conv.weight'].shape[0] for k in numbers]
    context = state.get(f'{_HEAD}.context_block.convs.0.conv.weight')
    head: dict[str, Any] = {
        'type': 'PyramidHead',
        'channels': widths[::-1] + ([None] if published else []) + ([] if context is None else [context.shape[0]]),
        'pyramid': f'{_HEAD}.flows.1.conv.weight' in state,
        'convs': _count(state, f'{blocks}.{start}.convs', 'conv.weight'),
        'upsample': _upsampling(state, published),
        'remaining': _widths(state, f'{_HEAD}.remaining', 'conv.weight'),
        'context': context is not None,
    }
    if published:
        head |= {'bias': False, 'act_cfg': {'type': 'LeakyReLU', 'negative_slope': 0.01}}
    head['warp'] = head['pyramid'] and siamese
    below = 0 if context is None else context.shape[0]
    if published or not siamese:
        return head
    volumes = []
    coarse_to_fine = features[: len(widths)][::-1]
    for k, channels in zip(numbers, coarse_to_fine):
        volumes.append(state[f'{blocks}.{k}.convs.0.conv.weight'].shape[1] - below - channels)
        below = state[f'{blocks}.{k}.convs.0.conv.weight'].shape[0]
    if volumes != list(coarse_to_fine):
        head['correlation'] = _correlation(volumes, coarse_to_fine, ndim)
    return head


def _upsampling(state: Mapping[str, Tensor], published: bool) -> str:
    if published:
        return 'centres'
    return 'transposed' if f'{_HEAD}.blocks.1.upsample.weight' in state else 'corners'


def _correlation(volumes: Sequence[int], features: Sequence[int], ndim: int) -> dict[str, Any]:
    """Options of the correlation whose volumes (and, if kept, the moving features) have ``volumes`` channels."""
    plain = [_radius(volume, ndim) for volume in volumes]
    keeping = [_radius(volume - channels, ndim) for volume, channels in zip(volumes, features)]
    keep = sum(map(bool, keeping)) > sum(map(bool, plain))
    return {'radius': (keeping if keep else plain)[::-1], **({'keep_moving': True} if keep else {})}


def configure(model: dict[str, Any], arguments: Mapping[str, Any]) -> None:
    """Set what the model section of a training config says about the field.

    Raises:
        CheckpointError: blocks of a kind that no published model has.
    """
    name, inner = str(arguments.get('type', '')), {**arguments, **arguments.get('config', {})}
    decoder, head = inner.get('decoder_cfg', {}), model['flow_head']
    head['bidirectional'] = bool(inner.get('bidirectional', False))
    if 'composition' in decoder:
        head['composition'] = decoder['composition']
    if 'num_iters' in decoder:
        head['iterations'] = list(decoder['num_iters'])[::-1]
    if name.endswith(('_Py', '_DualPy')):
        head['warp'] = False
    if 'window_size' in inner:
        model['backbone']['window'] = list(inner['window_size'])
    if inner.get('drop_path_rate') is not None:
        model['backbone']['drop_path'] = inner['drop_path_rate']
    _comparison(model, decoder)
    unknown = [key for cfg in (inner.get('encoder_cfg', {}), decoder) for key in _unsupported(cfg)]
    if unknown:
        raise CheckpointError(
            f'the published config has {unknown[0]}, expected blocks without it: it is not built here.'
        )


def _comparison(model: dict[str, Any], decoder: Mapping[str, Any]) -> None:
    """How features are compared: radii, unit vectors, scale, the grid of a global volume."""
    head = model['flow_head']
    target = head if head['type'] == 'MatchingHead' else head.get('correlation')
    if target is None or 'corr_radius' not in decoder:
        return
    target['radius'] = list(decoder['corr_radius'])[::-1]
    target['normalise'] = bool(decoder.get('norm_vectors', False))
    target['scale'] = bool(decoder.get('scale', True))
    if target is not head and 0 in target['radius']:
        coarsest = 2 ** max(decoder['out_indices'])
        target['candidates'] = [n // coarsest for n in decoder['image_size']]


def _unsupported(config: Mapping[str, Any]) -> list[str]:
    block = config.get('block_config', {})
    wrong = {'res_skip': block.get('res_skip', False), 'down_first': not block.get('down_first', True)}
    return [f'{key}={block[key]}' for key, found in wrong.items() if found]


def arguments(published: Mapping[str, Tensor]) -> dict[str, Any]:
    """The window, which only the shape of an index buffer of the Swin encoder tells."""
    for key, value in published.items():
        if key.endswith('relative_position_index'):
            ndim = next(v.dim() for k, v in published.items() if k.endswith('patch_embed.proj.weight')) - 2
            return {'window_size': window_of(value, ndim)}
    return {}


FAMILY = Family(
    name='pyramid_designs',
    rules=_rules(),
    ignore=(r'(.*\.)?grid', r'.*relative_position_index'),
    describe=describe,
    configure=configure,
    arguments=arguments,
    note='pyramid designs: VXM, Dual, DWP, DWCP, DWCPI, LessNet forms, VFA, TransMorph forms',
)
