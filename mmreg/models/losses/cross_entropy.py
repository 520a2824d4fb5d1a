"""Cross-entropy between warped soft labels and fixed labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial.precision import full_precision, without_autocast

from .base import LabelLoss, prepare_mask, same_shape
from .label_agreement import label_agreement


@LOSSES.register_module()
class CrossEntropy(LabelLoss):
    r"""``- sum_x w sum_k t_k(x) log(max(p_k(x), eps)) / sum_x w``, in [0, -log eps].

    ``p`` is the warped one-hot volume, a probability per class already, ``t`` the fixed one (one-hot or soft). ``w``
    is the mask times ``sum_k c_k t_k`` with the class weights ``c``: voxels without a fixed label do not count.
    A probability below ``eps`` (nothing of the right label near) is clamped: such voxels pull nowhere, Dice does that.
    :meth:`from_labels` is the same on label maps, at a cost that does not depend on the number of classes.

    Source: Goodfellow et al., "Deep learning", 2016, section 6.2.2. No unit (nats). Saved for backward: ``p`` and ``t``
    by reference and two volumes of their shape; from label maps the displacement by reference and five volumes.

    Args:
        class_weight: one weight per class, or None.
        background: count the voxels of class 0.
        eps: smallest probability.
    """

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
            weighted = fixed * self._weights(fixed, fixed.shape[1]).view(1, -1, *[1] * (fixed.dim() - 2))
            entropy = -(weighted * warped.clamp_min(self.eps).log()).sum(1, keepdim=True)
            return _weighted_mean(entropy, weighted.sum(1, keepdim=True), prepare_mask(mask, warped))

    def from_labels(
        self,
        moving_labels: Tensor,
        fixed_labels: Tensor,
        displacement: Tensor,
        classes: Sequence[int],
        mask: Tensor | None = None,
    ) -> Tensor:
        """The same loss on label maps (N, 1, *S), the moving one warped linearly by ``displacement``.

        Equal to warping the one-hot volume of ``classes`` (the first one is the background) without ever holding it:
        see :func:`label_agreement`. Differentiable in ``displacement`` (N, ndim, *S).
        """
        with without_autocast(displacement):
            agreement, index = label_agreement(moving_labels, fixed_labels, displacement, classes)
            # one more entry, 0, for labels that are not listed
            table = torch.cat([self._weights(agreement, len(classes)), agreement.new_zeros(1)])
            weight = table[index.long()]
            entropy = -weight * agreement.clamp_min(self.eps).log()
            return _weighted_mean(entropy, weight, prepare_mask(mask, agreement))

    def _weights(self, like: Tensor, classes: int) -> Tensor:
        """Weight per class, (K,)."""
        weight = [1.0] * classes if self.class_weight is None else list(self.class_weight)
        if len(weight) != classes:
            raise ConfigError(f'CrossEntropy: class_weight has {len(weight)} entries, found {classes} classes.')
        weight[0] *= float(self.background)
        return like.new_tensor(weight)


def _weighted_mean(entropy: Tensor, weight: Tensor, mask: Tensor | None) -> Tensor:
    """``sum(entropy) / sum(weight)``, both (N, 1, *S) and the mask times; 0 where nothing weighs."""
    if mask is not None:
        entropy, weight = entropy * mask, weight * mask
    total = weight.sum()
    return entropy.sum() / torch.where(total > 0, total, 1)
