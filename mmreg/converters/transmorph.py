"""TransMorph checkpoints of all its forms: base, no-skip, OASIS, Bayes, diff, B-spline, TVF (LUMIR)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .base import Family

_LAST = r'(?P<last>weight|bias)'
_NORM = r'(?P<last>weight|bias|running_mean|running_var|num_batches_tracked)'
_T, _E = r'(net\.)?transformer\.', 'backbone.encoder.'
_INDEX = r'.*relative_position_index'
#: Dropout of TransMorph-Bayes where the file does not say.
_MC_DROP = 0.15


def _rules() -> list[tuple[str, str]]:
    i, j, n = r'(?P<i>\d+)', r'(?P<j>\d+)', r'(?P<n>[12])'
    parts = r'(?P<part>norm1|norm2|attn\.qkv|attn\.proj|mlp\.fc1|mlp\.fc2)'
    block = rf'{_T}layers\.{i}\.blocks\.{j}'
    ours = rf'{_E}stages.\g<i>.blocks.\g<j>'
    return [
        (rf'{_T}patch_embed\.(?P<part>proj|norm)\.{_LAST}', rf'{_E}embed.\g<part>.\g<last>'),
        (rf'{_T}absolute_pos_embed', f'{_E}position.table'),
        (rf'{block}\.{parts}\.{_LAST}', rf'{ours}.\g<part>.\g<last>'),
        (rf'{block}\.attn\.relative_position_bias_table', rf'{ours}.attn.bias_table'),
        (
            rf'{_T}layers\.{i}\.downsample\.(?P<part>norm|reduction)\.{_LAST}',
            rf'{_E}stages.\g<i>.merge.\g<part>.\g<last>',
        ),
        (rf'{_T}norm{i}\.{_LAST}', rf'{_E}norms.\g<i>.\g<last>'),
        (rf'(net\.)?up{i}\.conv{n}\.0\.weight', r'backbone.up.\g<i>.conv\g<n>.conv.weight'),
        (r'(net\.)?c1\.0\.weight', 'backbone.skips.0.0.conv.weight'),
        (r'(net\.)?c2\.0\.weight', 'backbone.skips.1.0.conv.weight'),
        (rf'c1\.1\.{_NORM}', r'backbone.skips.0.0.norm.\g<last>'),
        (rf'(reg_head\.0|flow_mean|out_layer)\.{_LAST}', r'flow_head.flow.conv.\g<last>'),
        (rf'flow_sigma\.{_LAST}', r'flow_head.log_variance.\g<last>'),
        (rf'resize_conv\.{i}\.0\.{_LAST}', r'flow_head.mix.\g<i>.conv.\g<last>'),
        (r'cs\.(?P<i>\d+)\.0\.weight', r'flow_head.images.\g<i>.conv.weight'),
        (rf'cs\.{i}\.1\.{_NORM}', r'flow_head.images.\g<i>.norm.\g<last>'),
        (rf'up3s\.{i}\.conv{n}\.0\.weight', r'flow_head.up.\g<i>.conv\g<n>.conv.weight'),
        (rf'reg_heads\.{i}\.0\.{_LAST}', r'flow_head.flows.\g<i>.conv.\g<last>'),
    ]


def ignored(published: Mapping[str, Any]) -> list[str]:
    """Patterns of entries that the network at hand never uses: they differ between the forms."""
    patterns = [r'(.*\.)?grid', _INDEX]
    bayes = any(key.startswith('net.') for key in published)
    timed = any(key.startswith('reg_heads.') for key in published)
    if bayes:
        patterns.append(r'net\.(reg_head|sigma_head)\..*')
    if timed or any(key.startswith(('flow_mean.', 'out_layer.')) for key in published):
        patterns.append(r'reg_head\..*')
    if _finer_levels(published) < 2:
        patterns.append(r'(net\.)?c2\..*')
    if not _image_skips(published):
        patterns.append(r'(net\.)?c[12]\..*')
    if not any(re.fullmatch(_INDEX, key) for key in published):  # the published code has it where it adds the bias
        patterns.append(r'.*relative_position_bias_table')
    return patterns


def _finer_levels(published: Mapping[str, Any]) -> int:
    """Decoder levels on grids finer than the patches."""
    ups = sum(re.fullmatch(r'(net\.)?up\d+\.conv1\.0\.weight', key) is not None for key in published)
    return ups - _stages(published) + 1


def _stages(published: Mapping[str, Any]) -> int:
    return sum(re.fullmatch(rf'{_T}norm\d+\.weight', key) is not None for key in published)


def _image_skips(published: Mapping[str, Any]) -> bool:
    """Whether the first decoder level that is finer than the patches has a skip."""
    plain = {key.removeprefix('net.'): value for key, value in published.items()}
    stages = _stages(plain)
    above, below = f'up{stages - 2}.conv2.0.weight', f'up{stages - 1}.conv1.0.weight'
    if above not in plain or below not in plain:
        return True
    return plain[below].shape[1] > plain[above].shape[0]


def arguments(published: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the shapes of index buffers and names tell: the window, and whether it is Bayes."""
    found: dict[str, Any] = {'bayes': any(key.startswith('net.') for key in published)} if published else {}
    index = next((value for key, value in published.items() if re.fullmatch(_INDEX, key)), None)
    patches = next((v for key, v in published.items() if key.endswith('patch_embed.proj.weight')), None)
    if index is not None and patches is not None:
        found['window_size'] = window_of(index, patches.dim() - 2)
    return found


def window_of(index: Tensor, ndim: int) -> tuple[int, ...]:
    """Tokens per axis of the window whose ``relative_position_index`` is ``(L, L)``.

    The first row falls by 1 per token along the last axis, and by more where another axis begins.
    """
    steps = (index[0, 0] - index[0]).tolist()
    sizes: list[int] = []
    block = 1  # tokens in a block of the axes found so far
    for _ in range(ndim - 1):
        count = 1
        while count * block < len(steps) and steps[count * block] == count * steps[block]:
            count += 1
        sizes.insert(0, count)
        block *= count
    return (len(steps) // block, *sizes)


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Network of the shapes in a converted state dict; the window is not in the weights, see :func:`arguments`."""
    width, both, *patch = state[f'{_E}embed.proj.weight'].shape
    depths = stage_depths(state)
    first = f'{_E}stages.0.blocks.0.'
    tables = [state.get(f'{_E}stages.{k}.blocks.0.attn.bias_table') for k in range(len(depths))]
    ups = sum(bool(re.fullmatch(r'backbone\.up\.\d+\.conv1\.conv\.weight', key)) for key in state)
    halvings = patch[0].bit_length() - 1
    deepest = state[f'{_E}norms.{len(depths) - 1}.weight'].shape[0]
    backbone: dict[str, Any] = {
        'type': 'TransMorph',
        'width': width,
        'depths': depths,
        'heads': [table.shape[1] for table in tables if table is not None],
        'channels': state[f'backbone.up.{ups - 1}.conv2.conv.weight'].shape[0],
        'finest': halvings - (ups - (len(depths) - 1)),
        'patch_size': patch[0],
        'mlp_ratio': state[f'{first}mlp.fc1.weight'].shape[0] / width,
        'qkv_bias': f'{first}attn.qkv.bias' in state,
        'relative_bias': tables[0] is not None,
        'patch_norm': f'{_E}embed.norm.weight' in state,
        'transformer_skips': state['backbone.up.0.conv1.conv.weight'].shape[1] > deepest,
        'convolution_skips': 'backbone.skips.0.0.conv.weight' in state,
        'skip_norm_cfg': {'type': 'BN'} if 'backbone.skips.0.0.norm.weight' in state else None,
        'image_channels': both // 2,
    }
    table = state.get(f'{_E}position.table')
    if table is not None:
        backbone |= {'position': 'learned', 'position_size': list(table.shape[2:])}
    return {'ndim': len(patch), 'backbone': backbone, **_flow(state, backbone)}


def stage_depths(state: Mapping[str, Tensor]) -> list[int]:
    """Blocks per stage of the Swin encoder ``backbone.encoder`` in our state dict; shapes do not matter."""
    found: dict[int, int] = {}
    for key in state:
        match = re.fullmatch(r'backbone\.encoder\.stages\.(\d+)\.blocks\.(\d+)\.norm1\.weight', key)
        if match:
            stage, block = map(int, match.groups())
            found[stage] = max(found.get(stage, 0), block + 1)
    return [found[k] for k in range(len(found))]


def _flow(state: Mapping[str, Tensor], backbone: dict[str, Any]) -> dict[str, Any]:
    """Head and integrator, with the slips of the published code that the weights were trained with."""
    if 'flow_head.log_variance.weight' in state:
        head = {'type': 'GaussianFlowHead', 'int_downsize': 2, 'resampling': 'centres', 'values': 'keep'}
        return {'flow_head': head, 'integrator': {'type': 'ScalingSquaring', 'steps': 7, 'divide': False}}
    if 'flow_head.mix.0.conv.weight' in state:
        count = sum(bool(re.fullmatch(r'flow_head\.mix\.\d+\.conv\.weight', key)) for key in state)
        widths = [state[f'flow_head.mix.{k}.conv.weight'].shape[0] for k in range(count)]
        sampler = 'mixed_corners_sizes'
        integrator = {'type': 'BSplineFFD', 'spacing': 3, 'steps': 7, 'sampler': sampler}
        head = {'type': 'FFDHead', 'channels': widths, 'resampling': 'centres', 'sampler': sampler}
        return {'flow_head': head, 'integrator': integrator}
    if 'flow_head.images.0.conv.weight' in state:
        backbone['image_downsample'] = 2
        head = {
            'type': 'TimeVaryingHead',
            'steps': sum(bool(re.fullmatch(r'flow_head\.images\.\d+\.conv\.weight', key)) for key in state),
            'width': state['flow_head.images.0.conv.weight'].shape[0],
            'channels': state['flow_head.up.0.conv2.conv.weight'].shape[0],
            'update': 'published',
            'sampler': 'mixed_corners',
        }
        return {'flow_head': head, 'integrator': {'type': 'IdentityIntegrator'}}
    head = {'type': 'ConvFlowHead'}
    if backbone['finest'] == 1:  # OASIS code: the flow counts voxels of the image, and is enlarged as it is
        head |= {'scale': 0.5, 'resampling': 'centres', 'sampler': 'mixed_corners'}
    return {'flow_head': head, 'integrator': {'type': 'IdentityIntegrator'}}


def configure(model: dict[str, Any], found: Mapping[str, Any]) -> None:
    """Set what is not in the shapes: window, position bias and embedding, dropout, the control spacing, Bayes."""
    backbone = model['backbone']
    if 'window_size' not in found:
        raise ValueError('relative_position_index (or a config that says window_size)')
    backbone['window'] = list(found['window_size'])[: model['ndim']]  # the published OASIS tuple has one entry more
    names = {'num_heads': 'heads', 'drop_rate': 'drop', 'drop_path_rate': 'drop_path', 'use_checkpoint': None}
    for theirs, ours in names.items():
        if theirs in found:
            backbone[ours or theirs] = found[theirs]
    if found.get('spe'):
        backbone['position'] = 'sinusoidal'
    if 'cps' in found and model['integrator']['type'] == 'BSplineFFD':
        model['integrator']['spacing'] = list(found['cps'])
    if found.get('bayes') or 'MC_drop' in found:
        backbone |= {
            'drop': found.get('MC_drop', _MC_DROP),
            'monte_carlo': True,
            'window_reverse': 'published_bayes',
        }
        model |= {'type': 'MonteCarloRegistrar', 'samples': 25}


FAMILY = Family(
    name='transmorph',
    rules=_rules(),
    ignore=ignored,
    describe=describe,
    configure=configure,
    arguments=arguments,
    note='TransMorph: base, no-skip, OASIS, Bayes, diff, B-spline and TVF (LUMIR) networks',
)
