"""Linear operators whose backward pass is another linear operator and which therefore save nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Operator = Callable[[Tensor], Tensor]


class _LinearMap(torch.autograd.Function):
    """``y = A x`` with backward ``A^T`` and second backward ``A`` again; no tensor is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, operator: Operator, adjoint: Operator) -> Tensor:
        ctx.operator, ctx.adjoint = operator, adjoint
        return operator(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return linear_map(grads[0], ctx.adjoint, ctx.operator), None, None


def linear_map(x: Tensor, operator: Operator, adjoint: Operator) -> Tensor:
    """Apply ``operator`` to ``x``; its derivative is ``adjoint``, both pure functions of one tensor."""
    return _LinearMap.apply(x, operator, adjoint)  # type: ignore[no-untyped-call]
