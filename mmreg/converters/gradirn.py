"""GraDIRN checkpoints (arXiv 2112.03915)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .base import Family

_PLACE = r'(?:network\.)?{part}_blocks\.(?P<level>\d+)\.(?P<block>\d+)'
_OURS = r'flow_head.blocks.\g<level>.\g<block>'
_LAST = r'(?P<last>weight|bias)'
_LAYER = _PLACE.format(part='reg') + r'\.layers\.(?P<layer>\d+)'

RULES = [
    (_PLACE.format(part='sim') + r'\.tau_', rf'{_OURS}.step_size'),
    (rf'{_LAYER}(?:\.0)?\.{_LAST}', rf'{_OURS}.regulariser.layers.\g<layer>.conv.\g<last>'),
]


def _numbers(state: Mapping[str, Tensor], prefix: str) -> set[int]:
    return {int(key.removeprefix(prefix).split('.')[0]) for key in state if key.startswith(prefix)}


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Network of the shapes in a converted state dict; repeats, similarity and explicit or implicit images are not in
    the weights.
    """
    levels = len(_numbers(state, 'flow_head.blocks.'))
    first = 'flow_head.blocks.0.0.regulariser.layers.'
    layers = _numbers(state, first)
    inner = state[f'{first}0.conv.weight']
    ndim = inner.dim() - 2
    return {
        'ndim': ndim,
        'backbone': {'type': 'ImagePyramid', 'levels': levels, 'any_size': True},
        'flow_head': {
            'type': 'GraDIRNHead',
            'blocks': [len(_numbers(state, f'flow_head.blocks.{level}.')) for level in range(levels)],
            'layers': len(layers),
            'channels': inner.shape[0] if len(layers) > 1 else 32,
            'image_inputs': 'explicit' if inner.shape[1] > ndim else None,
        },
        'integrator': {'type': 'IdentityIntegrator'},
    }


def configure(model: dict[str, Any], arguments: Mapping[str, Any]) -> None:
    """Set what the published constructor says about the steps."""
    head = model['flow_head']
    head['repeats'] = [int(n) for n in arguments.get('num_repeat', [3] * len(head['blocks']))]
    similarity = arguments.get('similarity', 'ssd')
    head['similarity'] = similarity if isinstance(similarity, str) else str(similarity[0])
    steps = arguments.get('tau_config', {})
    head['step_scale'] = float(steps.get('train_scale', 10.0))
    head['learn_step_size'] = bool(steps.get('requires_grad', True))
    head['image_inputs'] = arguments.get('regulariser_config', {}).get('input_images', head['image_inputs']) or None


FAMILY = Family(
    name='gradirn',
    rules=RULES,
    ignore=(r'(.*\.)?grid(_lvl\d+)?',),
    describe=describe,
    configure=configure,
    note='GraDIRN, 2-D and 3-D',
)
