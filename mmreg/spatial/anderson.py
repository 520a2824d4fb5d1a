"""Anderson acceleration: a fixed-point iteration that learns from its last steps."""

from __future__ import annotations

import torch
from torch import Tensor

#: Added to the diagonal of the normal equations, as a share of its mean: differences may be parallel.
_RIDGE = 1e-7


class Anderson:
    """The next point of a fixed-point iteration ``x <- F(x)`` from the last ``memory`` points.

    Among the affine combinations of the points seen, the one whose residual ``x - F(x)`` is smallest (least squares,
    per sample) is taken, and ``F`` of it by the same combination. With one point it is the plain iteration.

    Args:
        memory: Points kept, 1 or more; two tensors each.

    Source: Anderson, J. ACM 12(4), 1965; Walker and Ni, SIAM J. Numer. Anal. 49(4), 2011 (the form with differences).
    """

    def __init__(self, memory: int):
        self.memory = memory
        self._images: list[Tensor] = []
        self._residuals: list[Tensor] = []

    def __call__(self, x: Tensor, residual: Tensor) -> Tensor:
        """The point after ``x`` ``(N, ...)``, whose ``residual`` is ``x - F(x)``."""
        image = x - residual
        previous = list(zip(self._images, self._residuals))
        self._images = [*self._images, image][-self.memory :]
        self._residuals = [*self._residuals, residual][-self.memory :]
        previous = previous[-(self.memory - 1) :] if self.memory > 1 else []
        if not previous:
            return image
        steps = [(residual - r).flatten(1) for _, r in previous]
        weights = self._weights(steps, residual.flatten(1))
        result = image
        for k, (old, _) in enumerate(previous):
            result = torch.addcmul(result, image - old, -weights[:, k].view(-1, *[1] * (x.dim() - 1)))
        return result

    @staticmethod
    def _weights(steps: list[Tensor], residual: Tensor) -> Tensor:
        """``(N, len(steps))``: what of each step to take back so that the residual is smallest."""
        count = len(steps)
        gram = torch.stack([(steps[i] * steps[j]).sum(1) for i in range(count) for j in range(count)], dim=1)
        gram = gram.view(-1, count, count).double()
        right = torch.stack([(step * residual).sum(1) for step in steps], dim=1).double()
        scale = gram.diagonal(dim1=1, dim2=2).mean(1).clamp(min=torch.finfo(torch.float64).tiny)
        eye = torch.eye(count, dtype=gram.dtype, device=gram.device)
        solved = torch.linalg.solve(gram / scale[:, None, None] + _RIDGE * eye, right / scale[:, None])
        return solved.to(residual)
