"""A scalar of two images that keeps its gradients instead of its graph.

Image losses build many full-size intermediates (window sums, descriptors, histograms' weights) of which only the
gradients matter in the end. Here value and gradients are computed together in the forward pass; what stays for
backward is the two images (by reference) and one volume per image that needs a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.graph import saved_tensors_hooks

#: ``(warped, fixed) -> scalar``, differentiable as often as needed.
Scalar = Callable[[Tensor, Tensor], Tensor]
#: ``(warped, fixed, (need_warped, need_fixed)) -> value and the two gradients`` (None where not needed).
ValueAndGradients = Callable[[Tensor, Tensor, tuple[bool, bool]], tuple[Tensor, Tensor | None, Tensor | None]]


def stored_gradient(
    warped: Tensor, fixed: Tensor, scalar: Scalar, value_and_gradients: ValueAndGradients | None = None
) -> Tensor:
    """``scalar(warped, fixed)`` that saves only the images and the gradients for backward.

    Args:
        warped: any shape, floating point.
        fixed: any shape, floating point.
        scalar: the differentiable definition; used when no gradient is asked for, and again when the backward pass
            itself is differentiated (``create_graph=True``), which costs a second evaluation with its full graph.
        value_and_gradients: a closed form of value and gradients; automatic differentiation of ``scalar`` when absent.

    Returns:
        0-dimensional tensor.

    Example:
        >>> first = torch.ones(3, requires_grad=True)
        >>> stored_gradient(first, torch.zeros(3), lambda a, b: (a - b).square().sum()).backward()
        >>> first.grad.tolist()
        [2.0, 2.0, 2.0]
    """
    if not (torch.is_grad_enabled() and (warped.requires_grad or fixed.requires_grad)):
        return scalar(warped, fixed)
    result: Tensor = _StoredGradient.apply(warped, fixed, scalar, value_and_gradients or _automatic(scalar))
    return result


def _automatic(scalar: Scalar) -> ValueAndGradients:
    def value_and_gradients(
        warped: Tensor, fixed: Tensor, need: tuple[bool, bool]
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        with torch.enable_grad(), inner_graph():
            images = [image.detach().requires_grad_(wanted) for image, wanted in zip((warped, fixed), need)]
            value = scalar(*images)
            found = iter(torch.autograd.grad(value, [i for i in images if i.requires_grad], allow_unused=True))
        first, second = (_filled(next(found), i) if i.requires_grad else None for i in images)
        return value.detach(), first, second

    return value_and_gradients


def inner_graph() -> saved_tensors_hooks:
    """Context for a graph that lives within one forward pass: hooks on what is kept for backward do not see it.

    Example:
        >>> with inner_graph():
        ...     torch.ones(1, requires_grad=True).square().grad_fn is not None
        True
    """
    return saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor)


def _filled(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient


class _StoredGradient(Function):
    @staticmethod
    def forward(ctx: Any, warped: Tensor, fixed: Tensor, scalar: Scalar, evaluate: ValueAndGradients) -> Tensor:
        need = (ctx.needs_input_grad[0], ctx.needs_input_grad[1])
        value, *gradients = evaluate(warped, fixed, need)
        ctx.save_for_backward(warped, fixed, *gradients)
        ctx.scalar = scalar
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        warped, fixed, *gradients = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return *(None if g is None else g * grad for g in gradients), None, None
        # The gradient itself is being differentiated: rebuild the graph.
        inputs = [image for image, wanted in zip((warped, fixed), ctx.needs_input_grad) if wanted]
        found = iter(torch.autograd.grad(ctx.scalar(warped, fixed), inputs, grad, create_graph=True))
        return *(next(found) if wanted else None for wanted in ctx.needs_input_grad[:2]), None, None
