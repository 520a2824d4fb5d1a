"""EOIR checkpoints (generic/LUMIR/abdomen, ACDC and OASIS networks of arXiv 2509.00451)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .base import Family

_ENCODER = 'backbone.encoder.blocks'
_BRANCHES = (('regular', 'regular'), ('large', 'large'), ('one', 'point'))
_LAST = r'(?P<last>weight|bias)'


def _large_kernel(theirs: str, ours: str) -> list[tuple[str, str]]:
    """Rules of one large-kernel block."""
    rules = [(rf'{theirs}\.layer\.{branch}\.0\.{_LAST}', rf'{ours}.{name}.conv.\g<last>') for branch, name in _BRANCHES]
    return [*rules, (rf'{theirs}\.layer\.prelu\.{_LAST}', rf'{ours}.act.\g<last>')]


def _rules() -> list[tuple[str, str]]:
    block, ours_block = r'simple_encoder\.(?P<block>\d)', rf'{_ENCODER}.\g<block>'
    level, ours_level = r'disp_warp_(?P<level>\d)', r'flow_head.estimators.\g<level>'
    return [
        (rf'{block}\.layer\.0\.{_LAST}', rf'{ours_block}.conv.\g<last>'),
        (rf'{block}\.layer\.2\.{_LAST}', rf'{ours_block}.act.\g<last>'),
        *_large_kernel(block, ours_block),
        *_large_kernel(rf'{level}\.disp_field_fea\.0', f'{ours_level}.mix'),
        (rf'{level}\.disp_field_fea\.0\.{_LAST}', rf'{ours_level}.mix.conv.\g<last>'),
        (rf'{level}\.disp_field_fea\.[12]\.{_LAST}', rf'{ours_level}.reduce.conv.\g<last>'),
        (rf'{level}\.get_flow\.{_LAST}', rf'{ours_level}.flow.\g<last>'),
    ]


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Backbone and flow head of the shapes in a converted state dict; integration and resize factors are not in the
    weights.
    """
    first = state[f'{_ENCODER}.0.conv.weight']
    channels, image_channels, *_ = first.shape
    large = state.get(f'{_ENCODER}.2.large.conv.weight')
    hidden, _, *kernel = state['flow_head.estimators.0.reduce.conv.weight'].shape
    ndim = len(kernel)
    kernel_size = None if large is None else large.shape[-1]
    levels = len({key.split('.')[2] for key in state if key.startswith('flow_head.estimators.')})
    return {
        'ndim': ndim,
        'backbone': {
            'type': 'ResizePyramid',
            'levels': levels,
            'first_level': 0 if large is None else 1,
            'encoder': {
                'type': 'EOIREncoder',
                'channels': channels,
                'image_channels': image_channels,
                'large_kernel': kernel_size,
            },
        },
        'flow_head': {
            'type': 'CoarseToFineHead',
            'search_radius': (round(hidden ** (1 / ndim)) - 1) // 2,
            'large_kernel': kernel_size,
        },
    }


class _EOIRFamily(Family):
    """EOIR, with the estimator that the OASIS network builds and never uses."""

    def convert(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        plain = {key.removeprefix('module.'): value for key, value in published.items()}
        if any(key.startswith('simple_encoder.2.layer.large') for key in plain):
            plain = {key: value for key, value in plain.items() if not key.startswith('disp_warp_4.')}
        return super().convert(plain)


FAMILY = _EOIRFamily(
    name='eoir',
    rules=_rules(),
    ignore=(r'(transformers|integrates)\.\d+\.(transformer\.)?grid',),
    describe=describe,
    note='EOIR: generic (LUMIR, abdomen), ACDC and OASIS networks',
)
