"""SITReg checkpoints: encoder and control-point networks; the optional affine part is not part of the project."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .base import Family

_LAST = r'(?P<last>weight|bias)'
_CONV = rf'convolutions\.(?P<conv>\d+)\.conv\.{_LAST}'
_NORM = rf'normalizers\.(?P<conv>\d+)\.{_LAST}'
_ENCODER = r'_feature_extractor\.'
_HALVING = rf'{_ENCODER}downsampling_blocks\.(?P<level>\d+)\.'
_CONTROL = r'_not_none_dense_extration_networks\.(?P<level>\d+)\.'  # the name is the authors'
#: Groups of the normalisation (LUMIR; OASIS has 2) and bound of the steps, where a file does not say.
_GROUPS, _BOUND = 4, 0.99


def _rules() -> list[tuple[str, str]]:
    first, level, head = 'backbone.blocks', r'backbone.levels.\g<level>', r'flow_head.networks.\g<level>'
    last, conv, norm = r'\g<last>', r'\g<conv>.conv.\g<last>', r'\g<conv>.norm.\g<last>'
    return [
        (rf'{_ENCODER}initial_projection\.{_LAST}', rf'backbone.stem.{last}'),
        (rf'{_ENCODER}initial_convs\.{_CONV}', rf'{first}.{conv}'),
        (rf'{_ENCODER}initial_convs\.{_NORM}', rf'{first}.{norm}'),
        (rf'{_HALVING}downsampling\.conv\.{_LAST}', rf'{level}.down.{last}'),
        (rf'{_HALVING}projection\.conv\.{_LAST}', rf'{level}.skip.{last}'),
        (rf'{_HALVING}conv\.{_CONV}', rf'{level}.blocks.{conv}'),
        (rf'{_HALVING}conv\.{_NORM}', rf'{level}.blocks.{norm}'),
        (rf'{_CONTROL}convolutions\.{_CONV}', rf'{head}.blocks.{conv}'),
        (rf'{_CONTROL}convolutions\.{_NORM}', rf'{head}.blocks.{norm}'),
        (rf'{_CONTROL}final_convolution\.conv\.{_LAST}', rf'{head}.flow.{last}'),
    ]


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Numbered children of ``prefix``."""
    return len({key.removeprefix(prefix).split('.')[0] for key in state if key.startswith(prefix)})


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Network of the shapes in a converted state dict, with the published normalisation, bound and inversion."""
    halvings, networks = _count(state, 'backbone.levels.'), _count(state, 'flow_head.networks.')
    if networks != halvings + 1:
        raise ValueError(f'{networks} control-point networks for {halvings + 1} levels of features')
    blocks = ['backbone.blocks.', *(f'backbone.levels.{k}.blocks.' for k in range(halvings))]
    heads = [f'flow_head.networks.{k}.blocks.' for k in range(networks)]
    _, channels, *kernel = state['backbone.stem.weight'].shape
    channels_of = [[state[f'{prefix}0.conv.weight'].shape[0] for prefix in part] for part in (blocks, heads)]
    norm = {'type': 'GN', 'num_groups': math.gcd(_GROUPS, *channels_of[0], *channels_of[1])}
    return {
        'ndim': len(kernel),
        'backbone': {
            'type': 'SITRegEncoder',
            'channels': channels_of[0],
            'num_convs': [_count(state, prefix) for prefix in blocks],
            'norm_cfg': dict(norm),
            'image_channels': channels,
        },
        'flow_head': {
            'type': 'SITRegHead',
            'channels': channels_of[1],
            'num_convs': [_count(state, prefix) for prefix in heads],
            'norm_cfg': dict(norm),
            'bound': _BOUND,
        },
        'integrator': {'type': 'IdentityIntegrator', 'iterations': 50, 'tolerance': 1e-2},
    }


def configure(model: dict[str, Any], arguments: Mapping[str, Any]) -> None:
    """Set what constructor arguments say and shapes do not: groups of the normalisation, bound of the steps."""
    for part in ('backbone', 'flow_head'):
        norm = model[part]['norm_cfg']
        norm['num_groups'] = int(arguments.get('group_norm_groups', norm['num_groups']))
    model['flow_head']['bound'] = float(arguments.get('max_control_point_multiplier', _BOUND))


FAMILY = Family(
    name='sitreg',
    rules=_rules(),
    ignore=(r'(.*\.)?_indicator',),
    describe=describe,
    configure=configure,
    note='SITReg: dense part (no affine), any number of levels',
)
