"""Options that make a run of a config small: what it is, with few samples, small volumes and narrow networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmreg.registry import DATASETS

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
#: Voxels per axis of volumes whose size a config fixes.
SIDE = 32


def short(cfg: Mapping[str, Any], length: int) -> tuple[list[str], str]:
    """Options for ``--cfg-options``, and the unit that ``length`` counts: 'epoch' or 'iter'."""
    options = ['default_hooks.visualization=None', 'default_hooks.logger.interval=1', 'randomness.seed=1']
    group = cfg['model'].get('group', 1)
    for name in LOADERS:
        node, where = cfg[name]['dataset'], f'{name}.dataset'
        count = max(2, group) if name == 'train_dataloader' else 2
        options += [f'{name}.num_workers=0', *_few(node, where, count), *_smaller(node, where)]
    if cfg['train_dataloader'].batch_size > max(2, group):
        options.append(f'train_dataloader.batch_size={2 if group == 1 else group}')
    options += _narrower(cfg['model'])
    unit = 'max_epochs' if 'max_epochs' in cfg['train_cfg'] else 'max_iters'
    options += [f'train_cfg.{unit}={length}', f'train_cfg.val_interval={length}']
    options += [f'default_hooks.checkpoint.interval={length}', 'default_hooks.checkpoint.max_keep_ckpts=3']
    return options, 'epoch' if unit == 'max_epochs' else 'iter'


def _few(node: Mapping[str, Any], where: str, count: int) -> Iterator[str]:
    """``count`` samples, kept in memory."""
    yield f'{where}.count={count}' if 'count' in node else f'{where}.indices={count}'
    if 'cache' in node or 'count' not in node:
        yield f'{where}.cache=memory'


def _smaller(node: Mapping[str, Any], where: str) -> Iterator[str]:
    """No grid larger than the volumes that are made."""
    if 'size' in node:
        yield f'{where}.size={(SIDE,) * len(node["size"])}'
    for number, step in enumerate(node.get('pipeline') or ()):
        if len(step.get('size', ())) == 3:
            yield f'{where}.pipeline.{number}.size={(SIDE,) * 3}'
    steps = node.get('preprocess') or getattr(DATASETS.get(node['type']), 'PREPROCESS', ())
    if any(len(step.get('size') or ()) == 3 for step in steps):
        smaller = [{**step, **({'size': (SIDE,) * 3} if step.get('size') else {})} for step in steps]
        yield f'{where}.preprocess={smaller}'


def _narrower(node: Any, where: str = 'model') -> Iterator[str]:
    """Fewer weights where there are tens of millions: transformers, hidden layers, deep levels."""
    for key, value in node.items() if isinstance(node, Mapping) else enumerate(node):
        path = f'{where}.{key}'
        if key == 'hidden_dim':  # of a text head: 160 of 164 million
            yield f'{path}=32'
        elif key == 'width' and value > 32:
            yield f'{path}=16'
        elif key == 'channels' and isinstance(value, int) and value > 16:
            yield f'{path}={4 if node.get("type") == "LKUNet" else 8}'
        elif key == 'channels' and isinstance(value, list | tuple) and None not in value and max(value) > 255:
            yield f'{path}={[min(n, 16) for n in value]}'
        elif isinstance(value, Mapping | list | tuple):
            yield from _narrower(value, path)
