"""VoxelMorph-diff of the IXI table: a strided encoder, a Gaussian velocity at half resolution; bare state dicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .base import Family

_LAST = r'(?P<last>weight|bias)'
#: Strided convolutions of the encoder, and convolutions of the decoder before the last grid.
_LEVELS = 4


def _rules() -> list[tuple[str, str]]:
    ours = r'0.conv.\g<last>'
    rules = [(rf'encoders\.0\.conv\.{_LAST}', rf'backbone.stem.{ours}')]
    for level in range(_LEVELS):
        rules += [
            (rf'encoders\.{level + 1}\.conv\.{_LAST}', rf'backbone.encoder.{level}.{ours}'),
            (rf'decoders\.{level}\.conv\.{_LAST}', rf'backbone.decoder.{level}.{ours}'),
        ]
    return [
        *rules,
        (rf'decoders\.{_LEVELS}\.conv\.{_LAST}', rf'backbone.remaining.{ours}'),
        (rf'flow_mean\.{_LAST}', r'flow_head.flow.conv.\g<last>'),
        (rf'flow_sigma\.{_LAST}', r'flow_head.log_variance.\g<last>'),
    ]


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Network of the shapes in a converted state dict, with the published code's integration: it does not divide by
    the number of steps, and takes half-resolution voxels for full ones.
    """
    stem, both, *kernel = state['backbone.stem.0.conv.weight'].shape
    widths = {
        part: [state[f'backbone.{part}.{level}.0.conv.weight'].shape[0] for level in range(_LEVELS)]
        for part in ('encoder', 'decoder')
    }
    last = state['backbone.remaining.0.conv.weight'].shape[0]
    return {
        'ndim': len(kernel),
        'backbone': {
            'type': 'UNet',
            'features': [widths['encoder'], [*widths['decoder'], last]],
            'stem': stem,
            'down': 'stride',
            'half_res': True,
            'upsampling': 'centres',
            'image_channels': both // 2,
        },
        'flow_head': {'type': 'GaussianFlowHead', 'int_downsize': 2, 'resampling': 'centres', 'values': 'keep'},
        'integrator': {'type': 'ScalingSquaring', 'steps': 7, 'divide': False},
    }


FAMILY = Family(
    name='voxelmorph_diff',
    rules=_rules(),
    describe=describe,
    note='VoxelMorph-diff of the IXI table (torch)',
)
