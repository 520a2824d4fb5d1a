"""Autocast on the device ``meta``, which PyTorch has none for: there steps in mixed precision are counted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

#: Functions that autocast computes with fewer digits on a GPU, by the names under which Python calls them.
LOWER = frozenset(
    [
        'conv1d', 'conv2d', 'conv3d', 'conv_transpose1d', 'conv_transpose2d', 'conv_transpose3d', 'conv_tbc',
        'prelu', 'linear', 'bilinear', 'matmul', '__matmul__', '__rmatmul__', 'mm', 'mv', 'bmm', 'addmm', 'addmv',
        'addr', 'addbmm', 'baddbmm', 'chain_matmul', 'multi_dot', 'einsum', 'scaled_dot_product_attention',
    ]
)  # fmt: skip
#: Functions that it computes in float32; losses that mmreg does not use are left out.
FULL = frozenset(
    [
        'acos', 'asin', 'cosh', 'erfinv', 'exp', 'expm1', 'log', 'log10', 'log1p', 'log2', 'reciprocal', 'rsqrt',
        'sinh', 'tan', 'pow', '__pow__', '__rpow__', 'softplus', 'layer_norm', 'group_norm', 'norm',
        'cosine_similarity', 'nll_loss', 'kl_div', 'l1_loss', 'smooth_l1_loss', 'huber_loss', 'mse_loss',
        'binary_cross_entropy_with_logits', 'cross_entropy', 'dist', 'pdist', 'cdist', 'renorm', 'logsumexp',
        'prod', 'softmax', 'log_softmax', 'cumprod', 'cumsum', 'sum',
    ]
)  # fmt: skip
#: Functions that it computes in the widest type of their inputs.
WIDEST = frozenset(
    [
        'addcdiv', 'addcmul', 'atan2', 'cross', 'dot', 'grid_sample', 'index_put', 'scatter_add', 'tensordot',
        'cat', 'stack',
    ]
)  # fmt: skip


class MetaAutocast(TorchFunctionMode):
    """While it is entered, autocast of the CPU holds for tensors on ``meta`` as that of a GPU does for its own.

    Which functions change their type is what the documentation of ``torch.amp`` lists for CUDA. What a weight is
    rounded to is kept as long as the mode is entered, as autocast keeps it.

    Args:
        dtype: Type of mixed precision, None for none.

    Example:
        >>> image, kernel = torch.ones(1, 1, 8, 8, device='meta'), torch.ones(1, 1, 3, 3, device='meta')
        >>> with MetaAutocast(torch.bfloat16) as step, step.forward():
        ...     torch.nn.functional.conv2d(image, kernel).dtype
        torch.bfloat16
    """

    def __init__(self, dtype: torch.dtype | None) -> None:
        super().__init__()
        self._dtype = dtype
        self._rounded: dict[tuple[int, torch.dtype], tuple[Tensor, Tensor]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        dtype = self._type_for(getattr(func, '__name__', ''), (args, kwargs))
        if dtype is None:
            return func(*args, **kwargs)
        args, kwargs = tree_map(lambda x: self._cast(x, dtype), (args, kwargs))
        return func(*args, **kwargs)

    def forward(self) -> AbstractContextManager[Any]:
        """Context of the forward pass."""
        return torch.autocast('cpu', self._dtype or torch.bfloat16, enabled=self._dtype is not None)

    @staticmethod
    def gradients(loss: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
        """Of ``loss`` ``()`` by each of ``inputs``; None where it does not depend on them.

        ``torch.autograd.grad`` and ``backward`` leave the mode while they run, so that what is computed again in them
        would be without autocast.
        """
        run = torch.autograd.Variable._execution_engine.run_backward
        every = (True, False)  # inputs that the loss does not depend on are allowed, and nothing is left in ``.grad``
        return tuple(run((loss,), (torch.ones_like(loss),), False, False, tuple(inputs), *every))

    def __exit__(self, *error: Any) -> None:
        self._rounded.clear()
        super().__exit__(*error)

    @staticmethod
    def _type_for(name: str, given: Any) -> torch.dtype | None:
        if not torch.is_autocast_enabled('cpu'):
            return None
        if name in LOWER:
            return torch.get_autocast_dtype('cpu')
        if name in FULL:
            return torch.float32
        if name in WIDEST:
            return max((x.dtype for x in tree_leaves(given) if _eligible(x)), key=lambda t: t.itemsize, default=None)
        return None

    def _cast(self, x: Any, dtype: torch.dtype) -> Any:
        if not _eligible(x) or x.dtype is dtype:
            return x
        if not (x.is_leaf and x.requires_grad):
            return x.to(dtype)
        key = (id(x), dtype)
        if key not in self._rounded:
            self._rounded[key] = (x, x.to(dtype))  # the weight as well: its number is not given to another one
        return self._rounded[key][1]


def _eligible(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_meta and x.is_floating_point() and x.dtype is not torch.float64
