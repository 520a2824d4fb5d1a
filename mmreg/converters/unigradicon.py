"""uniGradICON and multiGradICON checkpoints: four networks, at a quarter, half, full and full resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from .base import Family

#: Published prefix of every network of the nested composition -> its place in the chain.
_NETWORKS = (
    r'netPhi\.netPhi\.net\.netPhi\.net\.net',
    r'netPhi\.netPhi\.net\.netPsi\.net',
    r'netPhi\.netPsi\.net',
    r'netPsi\.net',
)
#: Level of the image pyramid that each network sees.
_LEVELS = (2, 1, 0, 0)


def rules(networks: Sequence[str]) -> list[tuple[str, str]]:
    """Rules of a chain of networks, first step first."""
    level, last = r'(?P<level>\d+)', r'(?P<last>\w+)'
    result = []
    for step, prefix in enumerate(networks):
        backbone = rf'flow_head.steps.{step}.backbone'
        result += [
            (rf'{prefix}\.downConvs\.{level}\.{last}', rf'{backbone}.down.\g<level>.conv.\g<last>'),
            (rf'{prefix}\.upConvs\.{level}\.{last}', rf'{backbone}.up.\g<level>.conv.\g<last>'),
            (rf'{prefix}\.batchNorms\.{level}\.{last}', rf'{backbone}.norms.\g<level>.\g<last>'),
            (rf'{prefix}\.lastConv\.{last}', rf'flow_head.steps.{step}.flow_head.flow.conv.\g<last>'),
        ]
    return result


def describe_chain(state: Mapping[str, Tensor], levels: Sequence[int]) -> dict[str, Any]:
    """Model of the shapes in a converted state dict whose networks see the image pyramid at ``levels``."""
    first = state['flow_head.steps.0.backbone.down.0.conv.weight']
    return {
        'ndim': first.dim() - 2,
        'backbone': {
            'type': 'ImagePyramid',
            'levels': max(levels) + 1,
            'method': 'block_partial',
            'any_size': True,
            'image_channels': first.shape[1] // 2,
        },
        'flow_head': {
            'type': 'MultiStepHead',
            'steps': [_network(state, step, level) for step, level in enumerate(levels)],
        },
        'integrator': {'type': 'IdentityIntegrator'},
    }


def _network(state: Mapping[str, Tensor], step: int, level: int) -> dict[str, Any]:
    prefix = f'flow_head.steps.{step}.backbone.'
    depth = len({key.split('.')[5] for key in state if key.startswith(f'{prefix}down.')})
    if not depth:
        raise KeyError(f'{prefix}down')
    return {
        'level': level,
        'backbone': {
            'type': 'GradICONUNet',
            'channels': [state[f'{prefix}down.{k}.conv.weight'].shape[0] for k in range(depth)],
            'up_channels': [state[f'{prefix}up.{k}.conv.weight'].shape[1] for k in range(depth)],
        },
        # Published: a tenth of the convolution, in units where an axis has length 1.
        'flow_head': {'type': 'ConvFlowHead', 'init_std': 0.0, 'scale': 0.2, 'unit': 'normalised'},
    }


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Model of the shapes in a converted state dict of all four networks."""
    return describe_chain(state, _LEVELS)


FAMILY = Family(
    name='unigradicon',
    rules=rules(_NETWORKS),
    ignore=(r'(.*\.)?identity_map', r'(.*\.)?spacing'),
    describe=describe,
    note='uniGradICON, multiGradICON: the whole network of four steps',
)
