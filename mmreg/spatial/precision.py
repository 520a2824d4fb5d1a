"""Where autocast ends: positions, integration and window sums are computed in the precision they come in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from ._checks import coordinate_dtype


def without_autocast(tensor: Tensor) -> AbstractContextManager[Any]:
    """Context in which autocast is off on the device of ``tensor``, of any shape; devices that have none need nothing.

    Tensors on ``meta`` follow that of the CPU, where what a step needs is counted.

    Example:
        >>> with without_autocast(torch.ones(1)):
        ...     torch.is_autocast_enabled('cpu')
        False
    """
    kind = 'cpu' if tensor.is_meta else tensor.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def full_precision(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in one dtype: float64 if any of them is, float32 otherwise.

    Example:
        >>> [tensor.dtype for tensor in full_precision(torch.ones(1).half(), torch.ones(1).double())]
        [torch.float64, torch.float64]
    """
    dtype = coordinate_dtype(*tensors)
    return tuple(t.to(dtype) for t in tensors)
