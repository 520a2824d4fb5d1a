"""The linear warp and its gradients on a GPU: no sampling grid, one pass over memory each."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 256


def warp_forward(image: Tensor, displacement: Tensor, border: bool, composed: bool = False) -> Tensor:
    """As :func:`mmreg.spatial.compiled.warping.warp_forward`; images may have fewer digits than float32."""
    from .warp_kernels import warp_kernel

    image, image_step = _laid_out(image)
    field, field_step = _laid_out(displacement)
    out = torch.empty(image.shape, dtype=image.dtype, device=image.device)
    size, voxels, flat = _size(image)
    grid = (-(-voxels // BLOCK), len(image))
    warp_kernel[grid](
        image, field, out, image.shape[1], voxels, *size, image_step, field_step,
        BORDER=border, COMPOSED=composed, FLAT=flat, BLOCK=BLOCK,
    )  # fmt: skip
    return out


def warp_backward(
    grad: Tensor, image: Tensor, displacement: Tensor, border: bool, to_image: Tensor | None, to_field: Tensor | None
) -> None:
    """As :func:`mmreg.spatial.compiled.warping.warp_backward`: adds to ``to_image`` and ``to_field``, float32.

    Sums of one voxel are made in no fixed order (atomic additions), so their last digits vary from run to run.
    """
    from .warp_kernels import warp_backward_kernel

    image, image_step = _laid_out(image)
    field, field_step = _laid_out(displacement)
    size, voxels, flat = _size(image)
    grid = (-(-voxels // BLOCK), len(image))
    warp_backward_kernel[grid](
        grad.contiguous(), image, field, grad if to_image is None else to_image, grad if to_field is None else to_field,
        image.shape[1], voxels, *size, image_step, field_step, BORDER=border, FLAT=flat,
        BY_IMAGE=to_image is not None, BY_FIELD=to_field is not None, BLOCK=BLOCK,
    )  # fmt: skip


def _size(image: Tensor) -> tuple[tuple[int, int, int], int, bool]:
    """Depth, height, width; voxels; whether it is a picture."""
    spatial = image.shape[2:]
    depth, height, width = spatial if len(spatial) == 3 else (1, *spatial)
    return (depth, height, width), depth * height * width, len(spatial) == 2


def _laid_out(x: Tensor) -> tuple[Tensor, int]:
    """Contiguous, and the distance from sample to sample, 0 where one sample serves all."""
    if len(x) > 1 and x.stride(0) == 0:
        return x[:1].contiguous().expand(x.shape), 0
    return x.contiguous(), x[0].numel()
