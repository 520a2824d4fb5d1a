"""LapIRN checkpoints of one to three levels: diffeomorphic (this family), displacement, conditional."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .base import Family

#: Level, the finest first, and prefix of its published names: each level owns the one below, so that the coarsest of
#: the two levels of an intermediate checkpoint is called as it is inside the second of three.
_PREFIXES = ((0, ''), (1, r'model_lvl2\.'), (1, r'model_lvl1\.'), (2, r'model_lvl2\.model_lvl1\.'))
_PYRAMID = 'flow_head.pyramid'


def rules(conditional: bool = False) -> list[tuple[str, str]]:
    """Key patterns of all levels."""
    result = []
    for level, prefix in _PREFIXES:
        network = f'{_PYRAMID}.networks.{level}'
        result += [
            (rf'{prefix}input_encoder_lvl1\.0\.weight', f'{network}.encoder.0.conv.weight'),
            (rf'{prefix}input_encoder_lvl1\.2\.weight', f'{network}.encoder.1.conv.weight'),
            (rf'{prefix}down_conv\.weight', f'{network}.down.conv.weight'),
            (rf'{prefix}up\.weight', f'{network}.up.weight'),
            (rf'{prefix}output_lvl1\.0\.weight', f'{network}.merge.conv.weight'),
            (rf'{prefix}output_lvl1\.2\.weight', f'{_PYRAMID}.flows.{level}.conv.weight'),
        ]
        # Between the blocks stand activations without weights: blocks 0, 2, 4, ... are ours 0, 1, 2, ...
        for theirs in range(0, 10, 2):
            block, ours = rf'{prefix}resblock_group_lvl1\.{theirs}', f'{network}.blocks.{theirs // 2}'
            result.append((rf'{block}\.conv(?P<k>[12])\.weight', rf'{ours}.conv\g<k>.conv.weight'))
            if conditional:
                last = r'(?P<last>weight|bias)'
                result.append((rf'{block}\.ai(?P<k>[12])\.style\.{last}', rf'{ours}.norm\g<k>.style.\g<last>'))
                result.append((rf'{block}\.mapping\.(?P<m>\d)\.{last}', rf'{ours}.mapping.\g<m>.\g<last>'))
    return result


def network_of(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Backbone and head of the shapes in a converted state dict; how the velocity becomes a displacement is not in the
    weights.
    """
    networks = f'{_PYRAMID}.networks.'
    coarsest = max(int(key.removeprefix(networks).split('.')[0]) for key in state if key.startswith(networks))
    blocks = {key.split('.')[5] for key in state if key.startswith(f'{networks}0.blocks.')}
    first = state[f'{_PYRAMID}.networks.{coarsest}.encoder.0.conv.weight']
    channels = state[f'{_PYRAMID}.networks.0.down.conv.weight'].shape[0]
    ndim = first.dim() - 2
    return {
        'ndim': ndim,
        'backbone': {
            'type': 'ImagePyramid',
            'levels': coarsest + 1,
            'method': 'average',
            'image_channels': first.shape[1] // 2,
        },
        'flow_head': {
            'type': 'LapIRNHead',
            'channels': channels,
            'layout': 'full' if first.shape[0] == channels else 'lite',
            'conditional': any('.mapping.' in key for key in state),
            'order': 'xyz',
            'blocks': len(blocks),
            'resampling': 'centres',
        },
    }


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The diffeomorphic network, from the shapes in its state dict."""
    return {**network_of(state), 'integrator': {'type': 'ScalingSquaring', 'steps': 7, 'padding': 'border'}}


def describe_displacement(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The displacement network, conditional or not, from the shapes in its state dict."""
    return {**network_of(state), 'integrator': {'type': 'IdentityIntegrator'}}


def configure(model: dict[str, Any], arguments: Mapping[str, Any]) -> None:
    """Set what the published constructor arguments say: the bound of the flow."""
    model['flow_head']['scale'] = float(arguments.get('range_flow', 0.4))


FAMILY = Family('lapirn', rules(), describe=describe, configure=configure, note='LapIRN, diffeomorphic')
