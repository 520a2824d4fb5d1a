"""An image loss."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import softplus

from mmreg.errors import ConfigError
from mmreg.models.losses.base import ImageLoss
from mmreg.registry import LOSSES
from mmreg.spatial.masked import masked_mean


@LOSSES.register_module()
class LogCosh(ImageLoss):
    """``scale * mean(log(cosh((warped - fixed) / scale)))``: quadratic near 0, absolute far away, in [0, inf).

    Args:
        scale: Difference at which it turns from one to the other, in intensities.
    """

    def __init__(self, scale: float = 0.1):
        super().__init__()
        if scale <= 0:
            raise ConfigError(f'LogCosh.scale is {scale}, expected a positive number.')
        self.scale = scale

    def energy(self, warped: Tensor, fixed: Tensor, mask: Tensor | None) -> Tensor:
        ratio = ((warped - fixed) / self.scale).abs()
        # log(cosh(r)) = r + log(1 + exp(-2 r)) - log(2), without overflow
        return self.scale * masked_mean(ratio + softplus(-2 * ratio) - math.log(2), mask)
