"""Re-parameterisation: convolutions that run side by side and are summed, as one convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from mmreg.errors import ConfigError

Convolution = nn.Conv2d | nn.Conv3d


def merge_branches(branches: Sequence[tuple[Convolution, nn.Module]], identity: bool) -> Convolution:
    """One convolution equal to the sum of ``norm(conv(x))`` over the branches, plus ``x``.

    Smaller kernels are centred in the largest one; the identity is a 1 at the centre tap of equal channels. Batch
    norms are folded with their running statistics, so the result is what the branches compute in evaluation mode.

    Args:
        branches: Pairs (convolution, normalisation); the first one has the largest kernel, all kernels are odd, with
            stride 1 and size-preserving padding.
        identity: Whether the input is added; the number of channels is then the same on both sides.

    Returns:
        A convolution with bias of the type, kernel and padding of the first branch.

    Raises:
        ConfigError: a normalisation that is neither absent nor a batch norm.
    """
    template, _ = branches[0]
    size = template.weight.shape[2:]
    weight = torch.zeros_like(template.weight, dtype=torch.float64)
    bias = weight.new_zeros(weight.shape[0])
    for conv, norm in branches:
        own_weight, own_bias = _folded(conv, norm)
        weight += _centred(own_weight, size)
        bias += own_bias
    if identity:
        centre = tuple(n // 2 for n in size)
        weight.movedim((0, 1), (-2, -1))[centre] += torch.eye(weight.shape[0], dtype=weight.dtype, device=weight.device)
    return _convolution(template, weight, bias)


def reparameterise(model: nn.Module) -> nn.Module:
    """Replace every large-kernel block in ``model`` by one convolution, in place; faster, for inference.

    The state dict changes with it: build the model with ``fused=True`` to load such weights.

    Returns:
        ``model``.

    Raises:
        ConfigError: it has no such block, or one whose branches cannot be merged.
    """
    blocks: list[Any] = [module for module in model.modules() if hasattr(module, 'reparameterise')]
    if not blocks:
        raise ConfigError(f'{type(model).__name__} has no large-kernel block, expected one to re-parameterise.')
    for block in blocks:
        block.reparameterise()
    return model


@torch.no_grad()
def _folded(conv: Convolution, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias (float64) of ``norm(conv(x))`` as one convolution."""
    weight = conv.weight.detach().double()
    bias = weight.new_zeros(weight.shape[0]) if conv.bias is None else conv.bias.detach().double()
    if isinstance(norm, nn.Identity):
        return weight, bias
    if not isinstance(norm, _BatchNorm) or norm.running_var is None or norm.running_mean is None:
        raise ConfigError(
            f'a branch ends in {type(norm).__name__}, expected no normalisation or batch normalisation: one that '
            'depends on the image cannot become part of a kernel.'
        )
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.affine:
        scale = scale * norm.weight.detach().double()
    shift = norm.bias.detach().double() if norm.affine else 0.0
    bias = (bias - norm.running_mean.double()) * scale + shift
    return weight * scale.view(-1, *[1] * (weight.dim() - 1)), bias


def _centred(weight: Tensor, size: Sequence[int]) -> Tensor:
    """``weight`` with zeros around its kernel so that it has ``size``."""
    widths = [(m - n) // 2 for n, m in zip(weight.shape[2:], size)]
    return F.pad(weight, [width for width in reversed(widths) for _ in range(2)])


def _convolution(template: Convolution, weight: Tensor, bias: Tensor) -> Convolution:
    """A convolution such as ``template`` with these weights, in its precision, on its device."""
    kernel: Any = tuple(weight.shape[2:])
    padding: Any = tuple(n // 2 for n in kernel)
    conv = type(template)(weight.shape[1], weight.shape[0], kernel, padding=padding)
    conv.weight = nn.Parameter(weight.to(template.weight))
    conv.bias = nn.Parameter(bias.to(template.weight))
    return conv
