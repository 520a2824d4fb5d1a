"""One step of a config on the ``meta`` device, watched for what a GPU would punish.

``meta`` knows no numbers, but refuses what a GPU refuses: an operation on tensors of two devices, a copy from the host
in the middle of a step, a place where Python asks a tensor for a number and waits for it.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import mmreg
from mmreg.evaluation.analysis.meta_autocast import MetaAutocast
from mmreg.registry import MODELS
from mmreg.structures import RegSample
from tests import configs

PACKAGE = str(Path(mmreg.__file__).parent)
#: Operations whose result depends on numbers: a GPU has to be waited for.
WAITS = ('_local_scalar_dense', 'nonzero', '_unique', 'unique_dim', 'masked_select', 'is_nonzero', 'bincount')

#: Where a wait is known, and why.
KNOWN = {
    'spatial/rigid.py': 'how many vertebrae there are, and where each lies, is read from the label map',
    'models/losses/rigid_bodies.py': 'the same',
    'models/blocks/textscf/prompt_map.py': 'whether a label map has labels without a prompt',
    'models/blocks/textscf/covariant.py': 'how many voxels each prompt has, for one matrix product per prompt',
    'models/registrars/elastix.py': 'elastix works on the processor, with files in memory',
}
#: Besides, in predictions: the fixed point of an inverse ends where its error is small, looked at every few iterations.
KNOWN_IN_PREDICTION = KNOWN | {
    'spatial/invert.py': 'the fixed point ends early',
    'spatial/invert_multilevel.py': 'the same, and only the voxels that need it go on',
}


def place(frames: Any) -> str:
    """File and line of the package nearest to where it happened."""
    ours = [f for f in frames if f.filename.startswith(PACKAGE) and not f.filename.endswith('meta_autocast.py')]
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
    return MODELS.build(configs.read(config).model).to('meta')


def inputs_of(model: nn.Module, size: tuple[int, ...]) -> dict[str, Any]:
    """Images, label maps and landmarks of one pair, or of as many as the model takes as a group."""
    count = int(getattr(model, 'group', 1))
    channels = getattr(model.backbone.spec, 'image_channels', 1) if hasattr(model, 'backbone') else 1
    images = {name: torch.empty(count, channels, *size, device='meta') for name in ('fixed', 'moving')}
    labels = {name: torch.empty(count, 1, *size, dtype=torch.long, device='meta') for name in LABELS}
    points = {name: [torch.empty(5, len(size), device='meta')] * count for name in LANDMARKS}
    return images | labels | points


LABELS = ('fixed_labels', 'moving_labels', 'fixed_prompt')
LANDMARKS = ('fixed_landmarks', 'moving_landmarks')


def step(model: nn.Module, inputs: dict[str, Any], training: bool, autocast: bool = False) -> list[str]:
    """What one step shows: loss and backward in training, the samples of a prediction in evaluation mode."""
    model.train(training)
    if training and getattr(model, 'objective', None) is None:
        return []
    return watched(lambda step: (train if training else predict)(model, inputs, step), autocast)


def train(model: nn.Module, inputs: dict[str, Any], step: MetaAutocast) -> None:
    """Loss and backward; every loss and every field is float32."""
    with step.forward():
        terms = model(dict(inputs), None, mode='loss')
    assert {value.dtype for value in terms.values()} == {torch.float32}
    loss = sum(value for name, value in terms.items() if name.startswith('loss'))
    step.gradients(loss, [parameter for parameter in model.parameters() if parameter.requires_grad])


def predict(model: nn.Module, inputs: dict[str, Any], step: MetaAutocast) -> None:
    """Displacement, warped image and warped labels of every pair."""
    with torch.no_grad(), step.forward():
        samples = model(dict(inputs), [RegSample() for _ in inputs['fixed']], mode='predict')
    assert {sample.pred.displacement.dtype for sample in samples} == {torch.float32}


def watched(run: Callable[[MetaAutocast], None], autocast: bool = False) -> list[str]:
    """What ``run`` shows, by kind and place; it ends at the first number that it asks for.

    It is given the mode that knows its forward and its backward pass.
    """
    with Watch() as watch, MetaAutocast(torch.bfloat16 if autocast else None) as mode:
        try:
            run(mode)
        except (RuntimeError, NotImplementedError) as error:
            if 'meta' not in str(error).lower():
                raise
            watch.found[f'wait at {place(traceback.extract_tb(error.__traceback__))}'] += 1
    return sorted(watch.found)


def unexpected(found: Iterable[str], known: Iterable[str]) -> list[str]:
    """What lies at no known place."""
    return [line for line in found if not any(f'at {place}:' in line for place in known)]
