"""Memory of a training step, counted tensor by tensor without computing anything."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .meta_autocast import MetaAutocast

#: Numbers that an optimiser keeps per weight, by the first letters of its type; two for those that are not named.
_STATES = {'SGD': 1, 'Adagrad': 1, 'RMSprop': 1, 'Adam': 2, 'NAdam': 2, 'RAdam': 2, 'Adamax': 2, 'Lion': 1}
_USUAL = 2


@dataclass(frozen=True)
class StepMemory:
    """Bytes of one training step.

    Attributes:
        weights: Weights and buffers.
        gradients: Of the weights that are trained.
        optimiser: What the optimiser keeps.
        activations: The most that images, activations, losses and what the backward pass makes have at any time.
    """

    weights: int
    gradients: int
    optimiser: int
    activations: int

    @property
    def total(self) -> int:
        """All of it; what a library needs inside a convolution, and fragments, come on top."""
        return self.weights + self.gradients + self.optimiser + self.activations


class _Live(TorchDispatchMode):
    """The memory of all tensors that operations made and that are still there."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known = known
        self._references: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return found

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._references or key in self._known:
            return
        size = storage.nbytes()

        def gone(_: Any) -> None:
            self._references.pop(key, None)
            self.now -= size

        self._references[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)


def step_memory(
    model: nn.Module, inputs: Mapping[str, Tensor], optimizer: str = 'Adam', autocast: torch.dtype | None = None
) -> StepMemory:
    """Memory of one training step of a registrar on the device ``meta``.

    Args:
        model: A registrar with losses, on ``meta``.
        inputs: Images and label maps ``(N, C, *spatial)`` on ``meta``.
        optimizer: Its type.
        autocast: Type of mixed precision, None without.

    Raises:
        NotImplementedError: the model asks for values of its images.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    there = [*model.parameters(), *model.buffers()]
    live = _Live({tensor.untyped_storage()._cdata for tensor in there})
    model.train()
    with MetaAutocast(autocast) as step, live:
        batch = {name: torch.empty_like(value) for name, value in inputs.items()}
        with step.forward():
            terms = model(batch, None, mode='loss')
            loss = sum(value for name, value in terms.items() if name.startswith('loss'))
        del terms
        gradients = step.gradients(loss, parameters)  # type: ignore[arg-type]
        del loss, batch
    trained = sum(_bytes(p) for p in parameters)
    kept = sum(_bytes(g) for g in gradients if g is not None)
    return StepMemory(sum(map(_bytes, there)), trained, states_of(optimizer) * trained, max(live.peak - kept, 0))


def states_of(optimizer: str) -> int:
    """Numbers per weight that an optimiser keeps, by its type.

    Example:
        >>> states_of('AdamW'), states_of('SGD')
        (2, 1)
    """
    return next((count for name, count in _STATES.items() if optimizer.startswith(name)), _USUAL)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
