"""What image losses that sum squares over windows make of images that are not finite, or too large for squares."""

from __future__ import annotations

import torch
from torch import Tensor

from mmreg.spatial.compiled.library import serves

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
    if serves(*images):  # by numpy, as the kernels that follow: PyTorch's threads do not survive a fork
        held = [image.detach().numpy() for image in images]
        return one if all(x.min() >= -LARGEST and x.max() <= LARGEST for x in held) else one * torch.nan
    for image in images:
        if image.numel():
            low, high = image.detach().aminmax()
            one = torch.where((low >= -LARGEST) & (high <= LARGEST), one, torch.nan)
    return one
