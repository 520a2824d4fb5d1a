"""VoxelMorph checkpoints: VxmDense (torch) and the older strided network of the IXI and LUMIR tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .base import Family

_LAST = r'(?P<last>weight|bias)'
_POOLED, _STRIDED = r'unet_model\.(?P<part>encoder|decoder)', r'unet_model\.'
_BLOCK = 'backbone'


def _rules() -> list[tuple[str, str]]:
    level, conv = r'(?P<level>\d+)', r'(?P<conv>\d+)'
    ours = r'\g<level>.0.conv.\g<last>'
    return [
        (rf'{_POOLED}\.{level}\.{conv}\.main\.{_LAST}', rf'{_BLOCK}.\g<part>.\g<level>.\g<conv>.conv.\g<last>'),
        (rf'unet_model\.remaining\.{conv}\.main\.{_LAST}', rf'{_BLOCK}.remaining.\g<conv>.conv.\g<last>'),
        (rf'{_STRIDED}downarm\.{level}\.main\.{_LAST}', rf'{_BLOCK}.encoder.{ours}'),
        (rf'{_STRIDED}uparm\.{level}\.main\.{_LAST}', rf'{_BLOCK}.decoder.{ours}'),
        (rf'{_STRIDED}extras\.{conv}\.main\.{_LAST}', rf'{_BLOCK}.remaining.\g<conv>.conv.\g<last>'),
        (rf'flow\.{_LAST}', r'flow_head.flow.conv.\g<last>'),
    ]


def _widths(state: Mapping[str, Tensor], part: str) -> list[list[int]]:
    """Output channels of the convolutions of ``part``, per level."""
    keys = [k.removeprefix(f'{_BLOCK}.{part}.').split('.') for k in state if k.startswith(f'{_BLOCK}.{part}.')]
    levels: dict[int, set[int]] = {}
    for level, conv, *_ in keys:
        levels.setdefault(int(level), set()).add(int(conv))
    return [
        [state[f'{_BLOCK}.{part}.{level}.{conv}.conv.weight'].shape[0] for conv in sorted(convs)]
        for level, convs in sorted(levels.items())
    ]


def _remaining(state: Mapping[str, Tensor]) -> list[int]:
    count = sum(key.startswith(f'{_BLOCK}.remaining.') and key.endswith('.weight') for key in state)
    return [state[f'{_BLOCK}.remaining.{k}.conv.weight'].shape[0] for k in range(count)]


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Network of the shapes in a converted state dict; how its flow is integrated is not in the weights: the published
    default.
    """
    encoder, decoder, remaining = _widths(state, 'encoder'), _widths(state, 'decoder'), _remaining(state)
    _, channels, *kernel = state[f'{_BLOCK}.encoder.0.0.conv.weight'].shape
    last = state[f'{_BLOCK}.remaining.0.conv.weight' if remaining else 'flow_head.flow.conv.weight']
    # What the last skip adds: the raw input, an encoder level, or nothing.
    added = last.shape[1] - decoder[-1][-1]
    strided = added == channels and added != encoder[0][-1]
    return {
        'ndim': len(kernel),
        'backbone': {
            'type': 'UNet',
            'features': [sum(encoder, []), sum(decoder, []) + remaining],
            'conv_per_level': len(encoder[0]),
            'half_res': added == 0,
            'down': 'stride' if strided else 'pool',
            'image_channels': channels // 2,
        },
        'flow_head': {'type': 'ConvFlowHead', 'int_downsize': 1 if strided else 2},
        'integrator': {'type': 'IdentityIntegrator'} if strided else {'type': 'ScalingSquaring', 'steps': 7},
    }


def configure(model: dict[str, Any], arguments: Mapping[str, Any]) -> None:
    """Set what VxmDense's constructor arguments say about the field: integration, its grid, both directions."""
    steps, downsize = int(arguments.get('int_steps', 7)), int(arguments.get('int_downsize', 2))
    if steps > 0:
        model['integrator'] = {'type': 'ScalingSquaring', 'steps': steps}
    else:  # published: the flow is the displacement, whatever int_downsize says; its backward field is minus that
        model['integrator'] = {'type': 'IdentityIntegrator', 'inverse': 'negate'}
    model['flow_head']['int_downsize'] = downsize if steps > 0 else 1
    model['flow_head']['bidirectional'] = bool(arguments.get('bidir', False))


FAMILY = Family(
    name='voxelmorph',
    rules=_rules(),
    ignore=(r'(.*\.)?grid',),
    describe=describe,
    configure=configure,
    untold=('integrator', 'flow_head.int_downsize', 'flow_head.bidirectional'),
    note='VoxelMorph: VxmDense (torch), and the older strided network of the IXI and LUMIR tables',
)
