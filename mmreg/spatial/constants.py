"""Fixed numbers as tensors, copied to a device once instead of in every call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

#: A number, or numbers nested as the axes of the tensor.
Numbers = float | Sequence[Any]


def constant(values: Numbers, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A small tensor of fixed numbers; never to be changed in place, since all calls share it.

    A copy from the host in every training step makes a GPU wait for the processor.

    Args:
        values: one number, or nested sequences of numbers.
        like: gives the device, and the type where ``dtype`` does not.
        dtype: of the numbers.

    Returns:
        The tensor that ``like.new_tensor(values)`` would be.

    Example:
        >>> constant([1, 2], torch.zeros(1)).tolist()
        [1.0, 2.0]
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return like.new_tensor(values, dtype=dtype or like.dtype)
    return _kept(_frozen(values), dtype or like.dtype, like.device)


def _frozen(values: Numbers) -> Any:
    return tuple(map(_frozen, values)) if isinstance(values, Sequence) else values


@lru_cache(maxsize=1024)
def _kept(values: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # it may be saved for a backward pass later
        return torch.tensor(values, dtype=dtype, device=device)
