"""SYMNet checkpoints; bare state dicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .base import Family

_LAST = r'(?P<last>weight|bias)'


def _block(theirs: str, ours: str) -> tuple[str, str]:
    """Rule of one convolution; the activation after it has no weights."""
    return rf'{theirs}\.0\.{_LAST}', rf'{ours}.conv.\g<last>'


def _rules() -> list[tuple[str, str]]:
    rules = [_block('eninput', 'backbone.stem.0'), _block('ec1', 'backbone.stem.1')]
    for k in range(4):
        rules += [_block(f'ec{2 * k + 2}', f'backbone.down.{k}.0'), _block(f'ec{2 * k + 3}', f'backbone.down.{k}.1')]
        rules += [_block(f'up{k + 1}', f'backbone.up.{k}')]
        rules += [_block(f'dc{2 * k + 1}', f'backbone.mix.{k}.0'), _block(f'dc{2 * k + 2}', f'backbone.mix.{k}.1')]
    return [
        *rules,
        (r'dc9\.0\.weight', 'flow_head.flow.conv.weight'),
        (r'dc10\.0\.weight', 'flow_head.backward_flow.conv.weight'),
    ]


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Network of the shapes in a converted state dict; its unit, 100 voxels, is not in the weights.

    The authors' command puts the image that it calls fixed first.
    """
    channels, both, *kernel = state['backbone.stem.0.conv.weight'].shape
    return {
        'ndim': len(kernel),
        'backbone': {'type': 'SYMNet', 'channels': channels, 'first': 'fixed', 'image_channels': both // 2},
        'flow_head': {
            'type': 'SymmetricHead',
            'kernel': state['flow_head.flow.conv.weight'].shape[-1],
            'scale': 100.0,
            'order': 'xyz',
            'first': 'fixed',
        },
        'integrator': {'type': 'ScalingSquaring', 'steps': 7},
    }


def configure(model: dict[str, Any], arguments: Mapping[str, Any]) -> None:
    """Set what the published constructor arguments say: the unit of the velocity and the squarings."""
    model['flow_head']['scale'] = float(arguments.get('range_flow', 100.0))
    model['integrator']['steps'] = int(arguments.get('time_step', 7))


FAMILY = Family('symnet', _rules(), describe=describe, configure=configure, note='SYMNet')
