"""Instance normalisation and a piecewise linear activation in one operation that keeps one tensor for backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from mmreg.spatial.constants import constant
from mmreg.spatial.precision import full_precision, without_autocast

from . import norm_rows


class _NormAct(torch.autograd.Function):
    """``act((x - mean) / std)`` per sample and channel; backward normalises ``x`` once more."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor, eps: float) -> Tensor:
        rows = _stored_as_rows(x)
        instances = _instances(x, rows)
        if rows:
            mean, variance = norm_rows.statistics(instances)
            rstd = (variance + eps).rsqrt()
            out = norm_rows.forward(instances, mean, rstd, slope)
        else:
            normed, mean, rstd = torch.native_batch_norm(instances, None, None, None, None, True, 0.0, eps)
            out = F.prelu(normed, slope.reshape(1))
        ctx.save_for_backward(x, slope, mean, rstd)
        ctx.eps, ctx.rows = eps, rows
        return _restore(out, x, rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, slope, mean, rstd = ctx.saved_tensors
        instances, grad = _instances(x, ctx.rows), _instances(grad, ctx.rows)
        if ctx.rows:
            grad_x, to_slope = norm_rows.backward(grad, instances, mean, rstd, slope.reshape(1))
            return _restore(grad_x, x, True), to_slope.view_as(slope) if ctx.needs_input_grad[1] else None, None
        # The sign, and all that depends on the slope, of (x - mean) / std is that of x - mean.
        centred = instances - mean.view(1, -1, *[1] * (instances.dim() - 2))
        inner, to_slope = torch.ops.aten._prelu_kernel_backward(grad, centred, slope.reshape(1))
        grad_slope = None
        if ctx.needs_input_grad[1]:
            axes = [a for a in range(to_slope.dim()) if a != 1]
            grad_slope = torch.dot(to_slope.sum(axes), rstd).view_as(slope)
        grad_x, _, _ = torch.ops.aten.native_batch_norm_backward(
            inner, instances, None, None, None, mean, rstd, True, ctx.eps, [True, False, False]
        )
        return _restore(grad_x, x, False), grad_slope, None


def _stored_as_rows(x: Tensor) -> bool:
    """Whether ``x`` is one sample with its channels next to each other, on the CPU: a matrix (voxels, channels)."""
    one = x.shape[0] == 1 and x.device.type == 'cpu'
    return one and not x.is_contiguous() and x.movedim(1, -1).is_contiguous()


def _instances(x: Tensor, rows: bool) -> Tensor:
    """``x`` so that a batch norm normalises every channel of every sample: (voxels, channels), or one sample."""
    return x.movedim(1, -1).reshape(-1, x.shape[1]) if rows else x.reshape(1, -1, *x.shape[2:])


def _restore(instances: Tensor, like: Tensor, rows: bool) -> Tensor:
    """Undo :func:`_instances`."""
    if rows:
        return instances.view(1, *like.shape[2:], like.shape[1]).movedim(-1, 1)
    return instances.view(like.shape)


def norm_act(x: Tensor, slope: Tensor, eps: float = 1e-5) -> Tensor:
    """Instance normalisation without affine parameters, then ``max(y, 0) + slope * min(y, 0)``.

    Equal to ``InstanceNorm`` followed by ``PReLU`` (one slope), ``LeakyReLU`` or ``ReLU`` (slope 0). Saved for
    backward: ``x`` and two numbers per channel; the two modules apart save two tensors.

    Args:
        x: ``(N, C, *spatial)``.
        slope: One number, a tensor.
        eps: Added to the variance.
    """
    with without_autocast(x):
        dtype = x.dtype
        (x,) = full_precision(x)
        return _NormAct.apply(x, slope.to(x.dtype), eps).to(dtype)


def fusable(norm: nn.Module, act: nn.Module) -> bool:
    """Whether :func:`norm_act` does what the two modules do."""
    plain = isinstance(norm, nn.modules.instancenorm._InstanceNorm) and not (norm.affine or norm.track_running_stats)
    return plain and (
        isinstance(act, (nn.ReLU, nn.LeakyReLU)) or (isinstance(act, nn.PReLU) and act.weight.numel() == 1)
    )


def eps_of(norm: nn.Module) -> float:
    """What a fusable normalisation adds to the variance."""
    return float(norm.eps)  # type: ignore[arg-type]


def slope_of(act: nn.Module, like: Tensor) -> Tensor:
    """Slope for negative values of a fusable activation, a number for every shape."""
    if isinstance(act, nn.PReLU):
        return act.weight
    return constant(act.negative_slope if isinstance(act, nn.LeakyReLU) else 0.0, like)
