"""Instance normalisation and a piecewise linear activation in one operation that keeps one tensor for backward."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class _NormAct(torch.autograd.Function):
    """``act((x - mean) / std)`` per sample and channel; backward normalises ``x`` once more."""

    @staticmethod
    def forward(ctx, x: Tensor, slope: Tensor, eps: float) -> Tensor:
        normed, mean, rstd = _normalise(x, eps)
        ctx.save_for_backward(x, slope, mean, rstd)
        ctx.eps = eps
        return F.prelu(normed, slope.reshape(1))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, slope, mean, rstd = ctx.saved_tensors
        normed = _normalise(x, ctx.eps)[0]
        grad_slope = None
        if ctx.needs_input_grad[1]:
            grad_slope = torch.dot(grad.flatten(), normed.clamp(max=0).flatten()).view_as(slope)
        inner = torch.where(normed > 0, grad, grad * slope)
        grad_x, _, _ = torch.ops.aten.native_batch_norm_backward(
            _instances(inner), _instances(x), None, None, None, mean, rstd, True, ctx.eps, [True, False, False]
        )
        return grad_x.view_as(x), grad_slope, None


def _instances(x: Tensor) -> Tensor:
    """Every channel of every sample as a channel of one sample."""
    return x.reshape(1, -1, *x.shape[2:])


def _normalise(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    normed, mean, rstd = torch.native_batch_norm(_instances(x), None, None, None, None, True, 0.0, eps)
    return normed.view_as(x), mean, rstd


def norm_act(x: Tensor, slope: Tensor, eps: float = 1e-5) -> Tensor:
    """Instance normalisation without affine parameters, then ``max(y, 0) + slope * min(y, 0)``.

    Equal to ``InstanceNorm`` followed by ``PReLU`` (one slope), ``LeakyReLU`` or ``ReLU`` (slope 0). Saved for
    backward: ``x`` and two numbers per channel; the two modules apart save two tensors.

    Args:
        x: ``(N, C, *spatial)``.
        slope: One number, a tensor.
        eps: Added to the variance.
    """
    with torch.autocast(x.device.type, enabled=False):
        dtype = x.dtype
        return _NormAct.apply(x if dtype == torch.float64 else x.float(), slope, eps).to(dtype)


def fusable(norm: nn.Module, act: nn.Module) -> bool:
    """Whether :func:`norm_act` does what the two modules do."""
    plain = isinstance(norm, nn.modules.instancenorm._InstanceNorm) and not (norm.affine or norm.track_running_stats)
    return plain and (
        isinstance(act, (nn.ReLU, nn.LeakyReLU)) or (isinstance(act, nn.PReLU) and act.weight.numel() == 1)
    )


def slope_of(act: nn.Module, like: Tensor) -> Tensor:
    """Slope for negative values of a fusable activation."""
    if isinstance(act, nn.PReLU):
        return act.weight
    return like.new_tensor(act.negative_slope if isinstance(act, nn.LeakyReLU) else 0.0)
