"""Cross-entropy between warped soft labels and fixed labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES

from .base import Loss, full_precision, prepare_mask, same_shape, without_autocast


@LOSSES.register_module()
class CrossEntropy(Loss):
    r"""``- sum_x w sum_k t_k(x) log(max(p_k(x), eps)) / sum_x w``, in [0, -log eps].

    ``p`` is the warped one-hot volume, a probability per class already, ``t`` the fixed one (one-hot or soft). ``w``
    is the mask times ``sum_k c_k t_k`` with the class weights ``c``: voxels without a fixed label do not count.
    A probability below ``eps`` (nothing of the right label near) is clamped: such voxels pull nowhere, Dice does that.
    Saved for backward: ``p`` and ``t`` by reference and two volumes of their shape.

    Args:
        class_weight: one weight per class, or None.
        background: count the voxels of class 0.
        eps: smallest probability.
    """

    kind = 'label'

    def __init__(self, class_weight: Sequence[float] | None = None, background: bool = True, eps: float = 1e-6) -> None:
        super().__init__()
        if not 0 < eps < 1:
            raise ConfigError(f'CrossEntropy: eps={eps}, expected a number between 0 and 1.')
        self.class_weight = None if class_weight is None else [float(c) for c in class_weight]
        self.background, self.eps = background, eps

    def forward(self, warped_onehot: Tensor, fixed_onehot: Tensor, mask: Tensor | None = None) -> Tensor:
        """Cross-entropy of ``warped_onehot`` (N, K, *S) against ``fixed_onehot`` (N, K, *S)."""
        same_shape(self, warped_onehot=warped_onehot, fixed_onehot=fixed_onehot)
        warped, fixed = full_precision(warped_onehot, fixed_onehot)
        with without_autocast(warped):
            weighted = fixed * self._weights(fixed)
            entropy = -(weighted * warped.clamp_min(self.eps).log()).sum(1, keepdim=True)
            weight = weighted.sum(1, keepdim=True)
            mask = prepare_mask(mask, warped)
            weight = weight if mask is None else weight * mask
            entropy = entropy if mask is None else entropy * mask
            total = weight.sum()
            return entropy.sum() / torch.where(total > 0, total, 1)

    def _weights(self, fixed: Tensor) -> Tensor:
        """Weight per class, (1, K, 1, ..)."""
        classes = fixed.shape[1]
        weight = [1.0] * classes if self.class_weight is None else list(self.class_weight)
        if len(weight) != classes:
            raise ConfigError(f'CrossEntropy: class_weight has {len(weight)} entries, found {classes} classes.')
        weight[0] *= float(self.background)
        return fixed.new_tensor(weight).view(1, -1, *[1] * (fixed.dim() - 2))
