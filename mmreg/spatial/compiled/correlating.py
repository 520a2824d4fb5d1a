"""Local normalised cross correlation by the kernels: value and gradients without intermediate volumes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .gpu import summing as gpu
from .gpu.switch import on_gpu
from .library import call

#: Volumes of workspace per volume.
WORKSPACE = 5


def local_correlation(
    first: Tensor,
    second: Tensor,
    mask: Tensor | None,
    need: tuple[bool, bool],
    window: Sequence[int],
    count: float,
    eps: float,
    exponent: int,
    scale: float,
    counts: Tensor | None = None,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Sum of the map of the local correlation to a power, and ``scale`` times the gradients of that sum.

    Args:
        first: ``(N, C, *spatial)`` float32.
        second: The same shape.
        mask: ``(N, 1, *spatial)``, weights of the map, or None.
        need: which gradients are wanted.
        window: odd, voxels per axis.
        count: voxels that a window counts.
        eps: added to the product of the variances.
        exponent: of the correlation: 1, 2 or 4.
        scale: of the gradients.
        counts: ``(N, 1, *spatial)``, voxels that each window counts, where they differ; less than 1 counts as 1.

    Returns:
        The sum ``()`` and the two gradients, None where not wanted.
    """
    if on_gpu(first, second):
        return gpu.local_correlation(first, second, mask, need, window, count, eps, exponent, scale, counts)
    first, second = first.contiguous(), second.contiguous()
    weights = [None if m is None else m.expand(len(first), 1, *first.shape[2:]).contiguous() for m in (mask, counts)]
    missing = 5 - first.dim()
    size = [1] * missing + list(first.shape[2:])
    reach = [0] * 2 * missing + [min(w // 2, n - 1) for w, n in zip(window, first.shape[2:]) for _ in range(2)]
    volumes = first.shape[0] * first.shape[1]
    # By numpy: PyTorch's threads do not survive a fork of the process, the kernels' own do.
    less = [torch.from_numpy(x.detach().numpy().reshape(volumes, -1).min(axis=1)) for x in (first, second)]
    gradients = [torch.empty(first.shape) if wanted else None for wanted in need]
    workspace = torch.empty(WORKSPACE * first.numel())
    total = torch.empty((), dtype=torch.float64)
    call(
        'mmreg_local_correlation',
        *(first, second, *weights, *less, *gradients, workspace, total, volumes, first.shape[1]),
        *(size, reach, count, eps, scale, exponent),
    )
    return total.float(), gradients[0], gradients[1]
