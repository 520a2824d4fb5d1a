"""What a training will need, found by counting on the device ``meta`` and loading one batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor

from mmreg.evaluation.analysis.training_memory import StepMemory, step_memory
from mmreg.registry import MODELS
from mmreg.utils import console

_GIB = 2**30
#: Keys that make a step smaller, as a user would write them.
HELP = (
    '--amp, --cfg-options model.checkpoint_levels=N (recompute N of the finest levels), fewer channels, a smaller '
    'batch (train_dataloader.batch_size) or crops'
)


@dataclass(frozen=True)
class DryRun:
    """What was found.

    Attributes:
        memory: Of one step; None for a model whose work depends on the values of its images.
        shapes: Of the images of one batch.
        steps: Iterations of an epoch, and of the whole training.
    """

    memory: StepMemory | None
    shapes: dict[str, tuple[int, ...]]
    steps: tuple[int, int]


def dry_run(cfg: Config) -> DryRun:
    """Load one batch, count the step that it makes, and count the steps.

    Args:
        cfg: A config that is ready to be trained.

    Raises:
        InputError: whatever the training would end with at its start.
    """
    init_default_scope(cfg.get('default_scope') or 'mmreg')
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=cfg.get('randomness', {}).get('seed', 0))
    batch = next(iter(loader))
    inputs = _on_meta(batch['inputs'] if isinstance(batch, Mapping) and 'inputs' in batch else batch)
    memory = memory_of(cfg, inputs, optimiser_of(cfg))
    epoch = len(loader)
    total = cfg.train_cfg.get('max_iters') or epoch * int(cfg.train_cfg.get('max_epochs') or 1)
    return DryRun(memory, {name: tuple(x.shape) for name, x in inputs.items()}, (epoch, int(total)))


def optimiser_of(cfg: Config) -> str:
    """Type of the optimiser."""
    return str(cfg.optim_wrapper.get('optimizer', {}).get('type', 'Adam'))


def memory_of(cfg: Config, inputs: Mapping[str, Tensor], optimizer: str) -> StepMemory | None:
    """Memory of a step of the config's model; None where it cannot be counted."""
    try:
        with torch.device('meta'):
            model = MODELS.build(cfg.model).to('meta')
        return step_memory(model, inputs, optimizer, autocast=precision_of(cfg))
    except (NotImplementedError, RuntimeError) as error:
        if 'meta' in str(error).lower() or isinstance(error, NotImplementedError):
            return None
        raise


def precision_of(cfg: Config) -> torch.dtype | None:
    """Type of mixed precision that a training computes in; None without."""
    wrapper = cfg.optim_wrapper
    if not any(word in str(wrapper.get('type')) for word in ('Amp', 'Mixed')):
        return None
    # MMEngine's own wrapper leaves the choice to autocast, which takes float16 on a GPU.
    usual = 'bfloat16' if 'Mixed' in str(wrapper.type) else 'float16'
    return getattr(torch, str(wrapper.get('dtype') or usual))


def tell(found: DryRun) -> None:
    """Print what was found."""
    for name, shape in found.shapes.items():
        console.say(f'{name}: {" x ".join(map(str, shape))}')
    if found.memory is None:
        console.say('memory: not counted, the model follows the values of its images')
    else:
        m = found.memory
        parts = (('weights', m.weights), ('gradients', m.gradients), ('optimiser', m.optimiser),
                 ('images, activations, losses', m.activations))  # fmt: skip
        told = ', '.join(f'{name} {size / _GIB:.2f}' for name, size in parts)
        console.say(f'memory of a step: {m.total / _GIB:.2f} GiB ({told}); libraries need some more')
        if (warning := warning_of(m)) is not None:
            console.say(f'warning: {warning}')
    console.say(f'steps: {found.steps[0]} per epoch, {found.steps[1]} in all; nothing was trained')


def warning_of(memory: StepMemory) -> str | None:
    """A sentence where the GPU will not hold the step; None where it will, or there is none."""
    device = gpu()
    if device is None or memory.total < device[1]:
        return None
    name, room = device
    return f'{name} has {room / _GIB:.1f} GiB and a step needs about {memory.total / _GIB:.1f} GiB; what helps: {HELP}.'


def gpu() -> tuple[str, int] | None:
    """Name and memory, bytes, of the GPU in use; None where there is none."""
    if not torch.cuda.is_available():
        return None
    device = torch.cuda.current_device()
    return torch.cuda.get_device_name(device), torch.cuda.get_device_properties(device).total_memory


class StepWarning(Hook):
    """Says before the first step of a training that the GPU will not hold it, from the batch that is there anyway."""

    def __init__(self, cfg: Config):
        self.cfg, self.done = cfg, False

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Count the first batch that is trained on."""
        if self.done or gpu() is None or not isinstance(data_batch, Mapping):
            return
        self.done = True
        with torch.random.fork_rng(devices=[]):  # the weights of a second model are no business of the training
            memory = memory_of(self.cfg, _on_meta(data_batch.get('inputs', data_batch)), optimiser_of(self.cfg))
        if memory is not None and (warning := warning_of(memory)) is not None:
            console.say(f'warning: {warning}')


def _on_meta(batch: Any) -> dict[str, Tensor]:
    """The tensors of a batch without their numbers."""
    found: dict[str, Tensor] = {}
    for name, value in dict(batch).items():
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], Tensor):
            value = torch.empty((len(value), *value[0].shape), dtype=value[0].dtype, device='meta')
        if isinstance(value, Tensor):
            found[name] = value.to('meta')
    return found
