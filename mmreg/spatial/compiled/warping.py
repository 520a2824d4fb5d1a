"""The linear warp and its gradients by the kernels, in the memory layout that the image comes in."""

from __future__ import annotations

import torch
from torch import Tensor

from .gpu import warping as gpu
from .gpu.switch import on_gpu
from .library import call, has, serves


def serves_warp(image: Tensor, displacement: Tensor) -> bool:
    """Whether :func:`warp_forward` and :func:`warp_backward` can do it: volumes ``(N, C, D, H, W)`` of equal size."""
    if on_gpu(image, displacement):
        return image.shape[2:] == displacement.shape[2:]
    return image.dim() == 5 and image.shape[2:] == displacement.shape[2:] and serves(image, displacement)


def warp_forward(image: Tensor, displacement: Tensor, border: bool, composed: bool = False) -> Tensor:
    """``image(x + displacement(x))``, plus the displacement itself where it is composed with another one.

    Args:
        image: ``(N, C, *spatial)``; the result has its memory layout.
        displacement: ``(N, 3, *spatial)`` voxels.
        border: the nearest voxel outside the volume, instead of zeros.
        composed: add ``displacement``; the image is a displacement, too.
    """
    if on_gpu(image, displacement):
        return gpu.warp_forward(image, displacement, border, composed)
    inside = not composed and _channels_inside(image)
    image, image_step = _laid_out(image, inside)
    field, field_step = _laid_out(displacement, False)
    out = torch.empty(image.shape, memory_format=_layout(inside))
    shape = (image.shape[0], image.shape[1], image.shape[2:], image_step, field_step, border)
    if inside:
        call('mmreg_warp_rows', image, field, out, *shape)
        return out
    call('mmreg_warp_planar', image, field, field if composed else None, out, *shape)
    return out


def serves_slopes(image: Tensor, displacement: Tensor) -> bool:
    """Whether :func:`warp_with_slopes` can do it: one channel, on the CPU."""
    return not on_gpu(image) and image.shape[1] == 1 and serves_warp(image, displacement) and has('mmreg_warp_slopes')


def warp_with_slopes(image: Tensor, displacement: Tensor, border: bool) -> tuple[Tensor, Tensor]:
    """:func:`warp_forward` of ``(N, 1, *spatial)``, and its derivatives by the displacement ``(N, 3, *spatial)``."""
    image, image_step = _laid_out(image, False)
    field, field_step = _laid_out(displacement, False)
    out, slopes = torch.empty(image.shape), torch.empty(field.shape)
    call('mmreg_warp_slopes', image, field, out, slopes, len(image), image.shape[2:], image_step, field_step, border)
    return out, slopes


def warp_backward(
    grad: Tensor,
    image: Tensor,
    displacement: Tensor,
    border: bool,
    to_image: Tensor | None,
    to_field: Tensor | None,
) -> None:
    """Add the gradients of :func:`warp_forward` to ``to_image`` and ``to_field``.

    Args:
        grad: ``(N, C, *spatial)``.
        image: As given to the forward pass.
        displacement: As given to the forward pass.
        border: As given to the forward pass.
        to_image: Made by :func:`zero_gradient`, or contiguous, or None. For a field that warps itself it may be
            ``to_field`` as well.
        to_field: Contiguous, or None.
    """
    if on_gpu(image, displacement):
        gpu.warp_backward(grad, image, displacement, border, to_image, to_field)
        return
    inside = to_image.stride(1) == 1 if to_image is not None and to_image.shape[1] > 1 else _channels_inside(image)
    image, image_step = _laid_out(image, inside)
    field, field_step = _laid_out(displacement, False)
    grad = grad.contiguous(memory_format=_layout(inside))
    batch, _, depth, height, _ = image.shape
    ranges = torch.empty(2 * batch * depth * height, dtype=torch.int32)
    call(
        'mmreg_warp_rows_backward' if inside else 'mmreg_warp_planar_backward',
        *(grad, image, field, to_image, to_field, ranges),
        *(batch, image.shape[1], image.shape[2:], image_step, field_step, border),
    )


def zero_gradient(image: Tensor) -> Tensor:
    """Zeros of the shape of ``image`` ``(N, C, *spatial)``, in the layout in which :func:`warp_backward` adds its
    gradient.
    """
    if on_gpu(image):
        return torch.zeros(image.shape, device=image.device)
    return torch.zeros(image.shape).contiguous(memory_format=_layout(_channels_inside(image)))


def _channels_inside(image: Tensor) -> bool:
    """Whether the channels of one voxel lie next to each other."""
    return (
        image.shape[1] > 1
        and image[:1].is_contiguous(memory_format=torch.channels_last_3d)
        and not (image[:1].is_contiguous())
    )


def _layout(inside: bool) -> torch.memory_format:
    return torch.channels_last_3d if inside else torch.contiguous_format


def _laid_out(x: Tensor, inside: bool) -> tuple[Tensor, int]:
    """``x`` in that layout, and the distance from sample to sample, 0 where one sample serves all."""
    if len(x) > 1 and x.stride(0) == 0:
        one = x[:1].contiguous(memory_format=_layout(inside))
        return one.expand(x.shape), 0
    return x.contiguous(memory_format=_layout(inside)), x[0].numel()
