"""What image losses that sum squares over windows make of images that are not finite, or too large for squares."""

from __future__ import annotations

import torch
from torch import Tensor

#: Magnitude up to which float32 holds the sums of squares of any window.
LARGEST = 1e15


def representable(*images: Tensor) -> Tensor:
    """1, or NaN where a voxel of the images is NaN, infinite or larger than ``LARGEST``.

    A loss multiplies its value by this: then the value and every gradient are NaN, whichever code computed them. The
    window sums of such an image overflow here and there, at places that depend on the order of the additions.

    Args:
        *images: any shape, floating point.

    Returns:
        0-dimensional, on the device of the images; nothing waits for its value.
    """
    one = torch.ones((), dtype=images[0].dtype, device=images[0].device)
    for image in images:
        if image.numel():
            low, high = image.detach().aminmax()
            one = torch.where((low >= -LARGEST) & (high <= LARGEST), one, torch.nan)
    return one
