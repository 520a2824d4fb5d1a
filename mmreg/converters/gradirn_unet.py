"""The U-Net baseline of the GraDIRN release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .base import Family

_LAST = r'(?P<last>weight|bias)'
_NUMBER = r'(?P<number>\d+)'


class _UNetFamily(Family):
    """Numbers shift by one: the first encoder block is our stem, the last output layer our flow."""

    def convert(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        plain = {key.removeprefix('module.').removeprefix('network.'): value for key, value in published.items()}
        return super().convert({_renumbered(key): value for key, value in plain.items()})


def _renumbered(key: str) -> str:
    part, number, *rest = key.split('.')
    if part != 'enc' or not number.isdigit():
        return key
    return '.'.join(['stem', *rest] if number == '0' else ['enc', str(int(number) - 1), *rest])


def _widths(state: Mapping[str, Tensor], pattern: str) -> list[int]:
    widths: list[int] = []
    while (key := pattern.format(len(widths))) in state:
        widths.append(state[key].shape[0])
    return widths


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Network of the shapes in a converted state dict."""
    stem = state['backbone.stem.0.conv.weight']
    encoder, decoder = (_widths(state, f'backbone.{part}.{{}}.0.conv.weight') for part in ('encoder', 'decoder'))
    remaining = _widths(state, 'backbone.remaining.{}.conv.weight')
    return {
        'ndim': stem.dim() - 2,
        'backbone': {
            'type': 'UNet',
            'features': [encoder, decoder + remaining],
            'down': 'stride',
            'stem': stem.shape[0],
            'fixed_first': True,
            'image_channels': stem.shape[1] // 2,
        },
        'flow_head': {'type': 'ConvFlowHead', 'unit': 'size_normalised'},
        'integrator': {'type': 'IdentityIntegrator'},
    }


FAMILY = _UNetFamily(
    name='gradirn_unet',
    rules=[
        (rf'stem\.0\.{_LAST}', r'backbone.stem.0.conv.\g<last>'),
        (rf'enc\.{_NUMBER}\.0\.{_LAST}', r'backbone.encoder.\g<number>.0.conv.\g<last>'),
        (rf'dec\.{_NUMBER}\.0\.{_LAST}', r'backbone.decoder.\g<number>.0.conv.\g<last>'),
        (rf'out_layers\.{_NUMBER}\.0\.{_LAST}', r'backbone.remaining.\g<number>.conv.\g<last>'),
        (rf'out_layers\.\d+\.{_LAST}', r'flow_head.flow.conv.\g<last>'),
    ],
    ignore=(r'(.*\.)?grid(_lvl\d+)?',),
    describe=describe,
    note='U-Net baseline of the GraDIRN release, 2-D and 3-D',
)
