"""One step of a config on the ``meta`` device, watched for what a GPU would punish.

``meta`` knows no numbers, but refuses what a GPU refuses: an operation on tensors of two devices, a copy from the host
in the middle of a step, a place where Python asks a tensor for a number and waits for it.
"""

from __future__ import annotations

import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import mmreg
from mmreg.registry import MODELS

PACKAGE = str(Path(mmreg.__file__).parent)
#: Operations whose result depends on numbers: a GPU has to be waited for.
WAITS = ('_local_scalar_dense', 'nonzero', '_unique', 'unique_dim', 'masked_select', 'is_nonzero', 'bincount')


def place(frames: Any) -> str:
    """File and line of the package nearest to where it happened."""
    ours = [frame for frame in frames if frame.filename.startswith(PACKAGE)]
    return f'{ours[-1].filename[len(PACKAGE) + 1 :]}:{ours[-1].lineno}' if ours else 'autograd'


class Watch(TorchDispatchMode):
    """Notes every operation of two devices, every copy between devices and every wait, by its place."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor) and x.dim()]
        devices, name = {x.device.type for x in tensors}, str(func)
        copies = '_to_copy' in name or 'copy_' in name
        target = kwargs.get('device')
        crosses = target is not None and devices and {torch.device(target).type} != devices
        if copies and (crosses or len(devices) > 1):
            self.found[f'copy at {place(traceback.extract_stack())}'] += 1
        elif len(devices) > 1:
            self.found[f'two devices in {name} at {place(traceback.extract_stack())}'] += 1
        elif 'meta' in devices and any(word in name for word in WAITS):
            self.found[f'wait at {place(traceback.extract_stack())}'] += 1
        return func(*args, **kwargs)


def build(config: str | Path) -> nn.Module:
    """The model of a config on ``meta``."""
    return MODELS.build(Config.fromfile(config).model).to('meta')


def inputs_of(model: nn.Module, size: tuple[int, ...]) -> dict[str, Tensor]:
    """Images and label maps of one pair, or of as many as the model takes as a group."""
    count = int(getattr(model, 'group', 1))
    channels = getattr(model.backbone.spec, 'image_channels', 1) if hasattr(model, 'backbone') else 1
    images = {name: torch.empty(count, channels, *size, device='meta') for name in ('fixed', 'moving')}
    labels = {name: torch.empty(count, 1, *size, dtype=torch.long, device='meta') for name in LABELS}
    return images | labels


LABELS = ('fixed_labels', 'moving_labels', 'fixed_prompt')


def step(model: nn.Module, inputs: dict[str, Tensor], training: bool, autocast: bool = False) -> list[str]:
    """What one step shows: loss and backward in training, the fields in evaluation mode."""
    model.train(training)
    with Watch() as watch, torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        try:
            if training and getattr(model, 'objective', None) is not None:
                terms = model(dict(inputs), None, mode='loss')
                sum(value for name, value in terms.items() if name.startswith('loss')).backward()
            else:
                with torch.no_grad():
                    model(dict(inputs), None, mode='tensor')
        except (RuntimeError, NotImplementedError) as error:
            if 'meta' not in str(error).lower():
                raise
            watch.found[f'wait at {place(traceback.extract_tb(error.__traceback__))}'] += 1
    return sorted(watch.found)
