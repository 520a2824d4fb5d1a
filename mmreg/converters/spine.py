"""Checkpoints of the spine CT/MR system (VoxelMorph estimator at half or full resolution); the network only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .base import Family

_LAST = r'(?P<last>weight|bias|running_mean|running_var|num_batches_tracked)'
_LEVEL, _UNIT = r'(?P<level>\d+)', r'(?P<unit>\d+)'
_PARTS = (
    (rf'unet\.encoder\.encoder\.{_LEVEL}\.layers', r'backbone.encoder.\g<level>'),
    (rf'unet\.decoder\.decoder\.{_LEVEL}\.conv_block\.layers', r'backbone.decoder.\g<level>'),
    (rf'unet\.remain\.encoder\.{_LEVEL}\.layers', r'backbone.remaining.\g<level>'),
)
#: Convolution units as published: ``conv`` and, where there is one, a normalisation named after its kind.
_UNITS = ((r'conv', 'conv'), (r'(?:bn|in|gn|ln|norm)', 'norm'))


def _rules() -> list[tuple[str, str]]:
    rules = [
        (rf'{theirs}\.{_UNIT}\.{name}\.{_LAST}', rf'{ours}.\g<unit>.{own}.\g<last>')
        for theirs, ours in _PARTS
        for name, own in _UNITS
    ]
    return [*rules, (rf'flow_conv\.layers\.0\.conv\.{_LAST}', r'flow_head.flow.conv.\g<last>')]


def _widths(state: Mapping[str, Tensor], part: str) -> list[list[int]]:
    """Output channels of the convolutions of ``part``, per level."""
    levels: dict[int, dict[int, int]] = {}
    for key, value in state.items():
        if key.startswith(f'backbone.{part}.') and key.endswith('.conv.weight'):
            level, unit = key.split('.')[2:4]
            levels.setdefault(int(level), {})[int(unit)] = value.shape[0]
    return [[units[unit] for unit in sorted(units)] for _, units in sorted(levels.items())]


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Network of the shapes in a converted state dict; the number of integration steps is not in the weights: the
    published 7.
    """
    encoder, decoder, remaining = (_widths(state, part) for part in ('encoder', 'decoder', 'remaining'))
    _, channels, *kernel = state['backbone.encoder.0.0.conv.weight'].shape
    return {
        'ndim': len(kernel),
        'backbone': {
            'type': 'StagedUNet',
            'encoder': {'out_channels': encoder, 'kernel_size': kernel[0]},
            'decoder': {'out_channels': decoder, 'kernel_size': kernel[0]},
            'remaining': {'out_channels': remaining, 'kernel_size': kernel[0]},
            'image_channels': channels // 2,
        },
        'flow_head': {
            'type': 'ConvFlowHead',
            'int_downsize': 2 ** (len(encoder) - 1 - len(decoder)),
            'bidirectional': True,
        },
        'integrator': {'type': 'ScalingSquaring', 'steps': 7},
    }


FAMILY = Family(
    name='spine',
    rules=_rules(),
    ignore=(r'(.*\.)?grid',),
    describe=describe,
    untold=('integrator.steps',),
    note='spine CT/MR system: VoxelMorph estimator at half or full resolution',
)
