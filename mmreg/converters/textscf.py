"""TextSCF checkpoints (OASIS network of arXiv 2311.15607); bare state dicts without the text embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .base import Family

_LAST = r'(?P<last>weight|bias)'
_COMPONENTS = 'xyz'


def _block(theirs: str, ours: str) -> list[tuple[str, str]]:
    return [
        (rf'{theirs}\.layer\.0\.{_LAST}', rf'{ours}.conv.\g<last>'),
        (rf'{theirs}\.layer\.1\.weight', f'{ours}.act.weight'),
    ]


def _large_kernel(theirs: str, ours: str) -> list[tuple[str, str]]:
    rules = [(rf'{theirs}\.prelu\.weight', f'{ours}.act.weight')]
    for branch, name in (('regular', 'regular'), ('large', 'large'), ('one', 'point')):
        rules.append((rf'{theirs}\.{branch}\.{_LAST}', rf'{ours}.{name}.conv.\g<last>'))
    return rules


def _rules() -> list[tuple[str, str]]:
    rules = [(rf'flow\.flow\.{_LAST}', r'flow_head.flow.conv.\g<last>')]
    for number, component in enumerate(_COMPONENTS):
        theirs = rf'flow\.generate_flow_{component}\.mlp\.(?P<layer>\d)\.{_LAST}'
        rules.append((theirs, rf'flow_head.filters.mlps.{number}.\g<layer>.\g<last>'))
    rules += _block('eninput', 'backbone.stem.0') + _block('ec1', 'backbone.stem.1')
    for k in range(4):
        rules += _block(f'ec{2 * k + 2}', f'backbone.down.{k}.0')
        rules += _large_kernel(f'ec{2 * k + 3}', f'backbone.down.{k}.1')
    for k in range(3):
        rules += _block(f'up{k + 1}', f'backbone.up.{k}')
        rules += _block(f'dc{2 * k + 1}', f'backbone.mix.{k}.0') + _block(f'dc{2 * k + 2}', f'backbone.mix.{k}.1')
    return rules


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Network of the shapes in a converted state dict. Not in the weights: integration, label set and text embeddings.

    The embeddings are those of the published code for the length found; give the file of your own training run with
    ``--cfg-options model.flow_head.text_embedding...`` where it was another.
    """
    channels, both, *kernel = state['backbone.stem.0.conv.weight'].shape
    hidden, dim = state['flow_head.filters.mlps.0.0.weight'].shape
    encoder = 'RN50x64' if dim == 1024 else 'ViT-L-14-336'
    return {
        'ndim': len(kernel),
        'backbone': {
            'type': 'LKUNet',
            'channels': channels,
            'kernel': state['backbone.down.0.1.large.conv.weight'].shape[-1],
            'half_resolution': True,
            'image_channels': both // 2,
        },
        'flow_head': {
            'type': 'TextSCFHead',
            'label_set': 'oasis35',
            'text_embedding': [
                {'type': 'FileTextEmbedding', 'path': '{label_set}_{encoder}.npz', 'encoder': encoder},
                {'type': 'OpenClipTextEmbedding', 'model': encoder, 'background': 'svd_last_column'},
            ],
            'text_dim': dim,
            'hidden_dim': hidden,
            'int_downsize': 1,
        },
        'integrator': {'type': 'IdentityIntegrator'},
    }


FAMILY = Family(
    name='textscf',
    rules=_rules(),
    ignore=(r'up4\..*', r'(transformer|integrate\.transformer)\.grid'),
    describe=describe,
    note='TextSCF: OASIS network; its files hold no text embeddings',
)
