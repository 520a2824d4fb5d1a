"""C2FViT checkpoints (affine registration of brains); bare state dicts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from .base import Family

_LAST = r'(?P<last>weight|bias)'
_STAGES = 'flow_head.stages'
#: Heads per block in all published models; the weights do not tell.
_HEADS = 2


def _rules() -> list[tuple[str, str]]:
    rules = []
    for k in range(9):  # published stages count from 1; the convolution between two belongs to the second
        block = rf'stage_{k + 1}\.(?P<j>\d+)'
        ours = rf'{_STAGES}.{k}.blocks.\g<j>'
        rules += [
            (rf'patch_embed_{k + 1}_xy\.proj\.{_LAST}', rf'{_STAGES}.{k}.embed.\g<last>'),
            (rf'{block}\.attn\.(?P<part>q|kv|proj)\.{_LAST}', rf'{ours}.attn.\g<part>.\g<last>'),
            (rf'{block}\.mlp\.(?P<part>fc1|fc2)\.{_LAST}', rf'{ours}.mlp.\g<part>.\g<last>'),
            (rf'{block}\.mlp\.dwconv\.dwconv\.weight', rf'{ours}.mlp.depthwise.weight'),
            (rf'head_{k + 1}\.(?P<part>0|2)\.weight', rf'{_STAGES}.{k}.head.\g<part>.weight'),
            (rf'squeeze_{k + 1}\.{_LAST}', rf'{_STAGES}.{k + 1}.squeeze.\g<last>'),
        ]
    return rules


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Network of the shapes in a converted state dict, as the published scripts run it: images halved, centres of mass
    first.
    """
    stages = len({key.split('.')[2] for key in state if key.startswith(f'{_STAGES}.')})
    _, both, *kernel = state[f'{_STAGES}.0.embed.weight'].shape
    depths = [_depth(state, k) for k in range(stages)]
    widths = [state[f'{_STAGES}.{k}.embed.weight'].shape[0] for k in range(stages)]
    hidden = [state[f'{_STAGES}.{k}.blocks.0.mlp.fc1.weight'].shape[0] for k in range(stages)]
    ratios = [wide / width for wide, width in zip(hidden, widths)]
    return {
        'type': 'CentredRegistrar',
        'ndim': len(kernel),
        'backbone': {
            'type': 'ImagePyramid',
            'levels': stages + 1,
            'method': 'block',
            'resized_levels': 1,
            'image_channels': both // 2,
        },
        'flow_head': {
            'type': 'AffineTransformerHead',
            'stages': stages,
            'channels': _one_or_all(widths),
            'depths': depths,
            'heads': _HEADS,
            'mlp_ratio': _one_or_all(ratios),
            'patches': [state[f'{_STAGES}.{k}.embed.weight'].shape[-1] for k in range(stages)],
        },
        'integrator': {'type': 'IdentityIntegrator'},
    }


def _one_or_all(values: list[Any]) -> Any:
    """One number where all stages have the same."""
    return values[0] if len(set(values)) == 1 else values


def _depth(state: Mapping[str, Tensor], stage: int) -> int:
    pattern = rf'{re.escape(_STAGES)}\.{stage}\.blocks\.(\d+)\.attn\.q\.weight'
    return sum(re.fullmatch(pattern, key) is not None for key in state)


def configure(model: dict[str, Any], arguments: Mapping[str, Any]) -> None:
    """Set the heads and the distance of the tokens, which the shapes do not tell."""
    heads, strides = arguments.get('num_heads'), arguments.get('stride')
    if isinstance(heads, Sequence):
        model['flow_head']['heads'] = list(heads)
    if isinstance(strides, Sequence) and strides[0] != 2:
        model['flow_head']['token_stride'] = strides[0]


FAMILY = Family(
    name='c2fvit',
    rules=_rules(),
    describe=describe,
    configure=configure,
    note='C2FViT: affine registration by transformer stages',
)
