"""What a model costs: parameters, multiply-adds, memory for the backward pass, time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from mmreg.structures import Fields

#: Integer maps that some networks look at besides the images.
LABELS = ('fixed_labels', 'moving_labels', 'fixed_prompt')


@dataclass(frozen=True)
class Counts:
    """What can be counted without running anything.

    Attributes:
        parameters, trained: All numbers in the weights, and those that training changes.
        multiply_adds: Of convolutions, matrix products and attention in one forward pass, 1 each for ``a * b + c``.
        activation_bytes: What one forward pass keeps for the backward pass, besides weights and images.
    """

    parameters: int
    trained: int
    multiply_adds: int
    activation_bytes: int


@dataclass(frozen=True)
class Times:
    """Medians over repeated runs.

    Attributes:
        forward: Seconds of a forward pass in evaluation mode.
        training: Seconds of a forward and a backward pass of the network, without losses and optimiser.
        peak_bytes: Largest memory that tensors had on the GPU during that, weights included; None elsewhere.
    """

    forward: float
    training: float
    peak_bytes: int | None


def example_inputs(
    size: Sequence[int], channels: int = 1, batch: int = 1, device: str | torch.device = 'cpu'
) -> dict[str, Tensor]:
    """Random images ``(batch, channels, *size)`` and label maps of zeros."""
    images = {key: torch.rand(batch, channels, *size, device=device) for key in ('fixed', 'moving')}
    labels = {key: torch.zeros(batch, 1, *size, dtype=torch.int64, device=device) for key in LABELS}
    return images | labels


def count(model: nn.Module, inputs: Mapping[str, Tensor]) -> Counts:
    """Counts of ``model`` for ``inputs`` ``(N, C, *spatial)``; on the device ``meta`` nothing is computed and no memory
    is needed.

    Padding by the registrar is part of it. Sampling, pooling, normalisation and window sums are not counted as
    multiply-adds, as in published tables.
    """
    parameters = list(model.parameters())
    with _ValuesAreZero(), torch.no_grad(), FlopCounterMode(display=False) as flops:
        model.eval()(inputs)
    return Counts(
        parameters=sum(p.numel() for p in parameters),
        trained=sum(p.numel() for p in parameters if p.requires_grad),
        multiply_adds=flops.get_total_flops() // 2,
        activation_bytes=activation_bytes(model, inputs),
    )


def activation_bytes(model: nn.Module, inputs: Mapping[str, Tensor]) -> int:
    """Bytes that one forward pass of ``(N, C, *spatial)`` in training mode keeps for backward; memory that several
    tensors share counts once.

    Weights, buffers and the inputs themselves are there anyway and do not count.
    """
    given = [*model.parameters(), *model.buffers(), *inputs.values()]
    own = {_identity(tensor) for tensor in given}
    kept: dict[int, Tensor] = {}  # the tensors stay alive, so that an address is not used twice

    def remember(tensor: Tensor) -> Tensor:
        if _identity(tensor) not in own:
            kept.setdefault(_identity(tensor), tensor.detach())
        return tensor

    with _ValuesAreZero(), torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        model.train()(inputs)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def measure(model: nn.Module, inputs: Mapping[str, Tensor], repeats: int = 3, warm_up: int = 1) -> Times:
    """Times of ``model`` on the device of ``inputs`` ``(N, C, *spatial)``, after ``warm_up`` runs that do not count."""
    device = inputs['fixed'].device
    cuda = device.type == 'cuda'

    def training() -> None:
        model.zero_grad(set_to_none=True)
        _energy(model(inputs)).backward()

    with torch.no_grad():
        model.eval()
        forward = _median(lambda: model(inputs), device, repeats, warm_up)
    model.train()
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    both = _median(training, device, repeats, warm_up)
    model.zero_grad(set_to_none=True)
    return Times(forward, both, torch.cuda.max_memory_allocated(device) if cuda else None)


def _energy(fields: Fields) -> Tensor:
    """A scalar that depends on every displacement."""
    found = [*fields.displacements, *fields.inverse_displacements]
    return torch.stack([field.float().square().mean() for field in found]).sum()


def _median(run: Callable[[], Any], device: torch.device, repeats: int, warm_up: int) -> float:
    for _ in range(warm_up):
        run()
    seconds = []
    for _ in range(max(repeats, 1)):
        _wait(device)
        start = time.perf_counter()
        run()
        _wait(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _wait(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def _identity(tensor: Tensor) -> int:
    """Which memory a tensor lives in; also on the device ``meta``, where there is none."""
    return tensor.untyped_storage()._cdata


class _ValuesAreZero(TorchDispatchMode):
    """On the device ``meta``, a value that code asks for (a check, the end of a loop) is 0."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:
            return torch.zeros((), dtype=args[0].dtype).item()
        return func(*args, **(kwargs or {}))
