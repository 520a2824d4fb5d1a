"""Local correlation of two images at several scales."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial import average_down

from .base import ImageLoss
from .lncc import LNCC


@LOSSES.register_module()
class MultiScaleLNCC(ImageLoss):
    r"""Sum over scales ``s`` of ``1/2^s`` times :class:`LNCC` of both images after ``s`` average poolings.

    ``sum_s 2^-s LNCC_{w_s}(pool^s(warped), pool^s(fixed))``: both images are pooled, so that a displacement is judged
    by coarse structures too; the pooling is :func:`mmreg.spatial.average_down`.

    Source: LapIRN (windows 3; 5, 3; 7, 5, 3 for its levels from the coarsest) and C2FViT (7, 5, 3); goldens
    baselines/lapirn_*.

    Value: dimensionless, 0 (perfect) to ``sum_s 2^-s``; with ``negative`` that much less. Saved for backward: what
    :class:`LNCC` saves, at every scale (in 3-D little more than at the first).

    Args:
        windows: voxels per axis of the window at each scale, the finest first; odd.
        negative: minus the correlation instead of one minus the correlation, as published.
        eps: as in :class:`LNCC`.

    Raises:
        ConfigError: no window, or one that is not odd.
    """

    def __init__(self, windows: Sequence[int] = (7, 5, 3), negative: bool = False, eps: float = 1e-5):
        super().__init__()
        if not windows:
            raise ConfigError('MultiScaleLNCC: windows is empty, expected one odd number per scale.')
        self.scales = [LNCC(window, negative=negative, eps=eps) for window in windows]

    def energy(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        """Sum over the scales, of images ``(N, C, *spatial)``."""
        total = self.scales[0](warped, fixed, mask)
        for scale, loss in enumerate(self.scales[1:], start=1):
            warped, fixed = average_down(warped), average_down(fixed)
            total = total + loss(warped, fixed, mask) / 2**scale
        return total
