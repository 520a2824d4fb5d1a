"""LKU-Net checkpoints (3-D IXI, 3-D OASIS full resolution, 2-D OASIS); bare state dicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from .base import Family

_BRANCHES = {'regularKernel': 'regular', 'largeKernel': 'large', 'oneKernel': 'point'}
_NORM = r'(?P<last>weight|bias|running_mean|running_var|num_batches_tracked)'


def _block(theirs: str, ours: str) -> list[tuple[str, str]]:
    """Rules of one convolution with PReLU."""
    return [
        (rf'{theirs}\.0\.(?P<last>weight|bias)', rf'{ours}.conv.\g<last>'),
        (rf'{theirs}\.1\.weight', f'{ours}.act.weight'),
    ]


def _large_kernel(theirs: str, ours: str) -> list[tuple[str, str]]:
    rules = [(rf'{theirs}\.layer_nonlinearity\.weight', f'{ours}.act.weight')]
    for branch, name in _BRANCHES.items():
        rules.append((rf'{theirs}\.layer_{branch}\.0\.(?P<last>weight|bias)', rf'{ours}.{name}.conv.\g<last>'))
        rules.append((rf'{theirs}\.layer_{branch}\.1\.{_NORM}', rf'{ours}.{name}.norm.\g<last>'))
    return rules


def _rules() -> list[tuple[str, str]]:
    rules = _block('eninput', 'backbone.stem.0') + _block('ec1', 'backbone.stem.1')
    for k in range(4):
        rules += _block(f'ec{2 * k + 2}', f'backbone.down.{k}.0')
        rules += _large_kernel(f'ec{2 * k + 3}', f'backbone.down.{k}.1')
        rules += _block(f'up{k + 1}', f'backbone.up.{k}')
        rules += _block(f'dc{2 * k + 1}', f'backbone.mix.{k}.0') + _block(f'dc{2 * k + 2}', f'backbone.mix.{k}.1')
    return [*rules, (r'dc9\.0\.weight', 'flow_head.flow.conv.weight')]


def describe(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Network of the shapes in a converted state dict. Not in the weights: whether the field is a displacement or a
    velocity.
    """
    channels, both, *kernel = state['backbone.stem.0.conv.weight'].shape
    large = state['backbone.down.0.1.large.conv.weight']
    normed = any('.norm.' in key for key in state)
    return {
        'ndim': len(kernel),
        'backbone': {
            'type': 'LKUNet',
            'channels': channels,
            'kernel': large.shape[-1],
            'half_resolution': not any(key.startswith('backbone.up.3.') for key in state),
            'norm_cfg': {'type': 'BN'} if normed else None,
            'image_channels': both // 2,
        },
        'flow_head': {
            'type': 'ConvFlowHead',
            'bias': False,
            'init_std': None,
            'activation': 'softsign',
            'unit': 'normalised',
            'resampling': 'centres',
        },
        'integrator': {'type': 'IdentityIntegrator'},
    }


def family(name: str, unused: Sequence[str], note: str) -> Family:
    """A family of LKU-Net checkpoints in which the layers ``unused`` are built and never run."""
    ignore = [rf'{layer}\..*' for layer in unused]
    return Family(name, _rules(), ignore=ignore, describe=describe, untold=('integrator',), note=note)


# The IXI and the 2-D code own a second head, dc10, that is never used.
FAMILY = family('lkunet', ['dc10'], 'LKU-Net: 3-D (IXI, OASIS full resolution) and 2-D')
