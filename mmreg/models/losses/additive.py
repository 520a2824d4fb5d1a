"""Losses that are a function of sums over voxels, evaluated a chunk of voxels at a time.

A joint histogram needs a (voxels x bins) matrix per image. Here the sums are gathered chunk by chunk; the derivative
of the loss by the sums is then carried back to the intensities chunk by chunk, so that the matrices of one chunk are
all that ever exists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mmreg.spatial.stored_gradient import inner_graph, stored_gradient

#: Tensors ``(..., V)`` whose last axis is chunked, then tensors that every chunk needs whole.
Prepared = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


@dataclass(frozen=True)
class AdditiveLoss:
    """``finish(sum over chunks of statistic(*chunk, *whole))``.

    Attributes:
        prepare: ``(warped, fixed) -> (chunked, whole)``, differentiable and cheap.
        statistic: ``(*chunk, *whole) -> tensor``, additive over the last axis of the chunked tensors.
        finish: ``sum -> scalar``.
        chunk: voxels of one chunk.
    """

    prepare: Callable[[Tensor, Tensor], Prepared]
    statistic: Callable[..., Tensor]
    finish: Callable[[Tensor], Tensor]
    chunk: int

    def __call__(self, warped: Tensor, fixed: Tensor) -> Tensor:
        """The scalar; saves the images and their gradients only."""
        return stored_gradient(warped, fixed, self._at_once, self._in_chunks)

    def _at_once(self, warped: Tensor, fixed: Tensor) -> Tensor:
        chunked, whole = self.prepare(warped, fixed)
        if torch.is_grad_enabled():
            return self.finish(self.statistic(*chunked, *whole))
        return self.finish(self._total(chunked, whole))

    def _total(self, chunked: tuple[Tensor, ...], whole: tuple[Tensor, ...]) -> Tensor:
        parts = [self.statistic(*piece, *whole) for piece in self._pieces(chunked)]
        return torch.stack(parts).sum(0)

    def _pieces(self, tensors: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
        return list(zip(*(t.split(self.chunk, dim=-1) for t in tensors)))

    def _in_chunks(
        self, warped: Tensor, fixed: Tensor, need: tuple[bool, bool]
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        with inner_graph():
            return self._gradients(warped, fixed, need)

    def _gradients(
        self, warped: Tensor, fixed: Tensor, need: tuple[bool, bool]
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        images = [image.detach().requires_grad_(wanted) for image, wanted in zip((warped, fixed), need)]
        with torch.enable_grad():
            chunked, whole = self.prepare(*images)
        slope, value = self._slope([t.detach() for t in chunked], [t.detach() for t in whole])
        gradients = self._carry_back(chunked, whole, slope)

        reached = [(t, g) for t, g in zip((*chunked, *whole), gradients) if t.requires_grad]
        leaves = [image for image in images if image.requires_grad]
        outputs, weights = zip(*reached)
        found = iter(torch.autograd.grad(outputs, leaves, weights, allow_unused=True, materialize_grads=True))
        first, second = (next(found) if wanted else None for wanted in need)
        return value, first, second

    def _slope(self, chunked: list[Tensor], whole: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Derivative of the scalar by the sums, and the scalar."""
        total = self._total(tuple(chunked), tuple(whole)).requires_grad_()
        with torch.enable_grad():
            value = self.finish(total)
        (slope,) = torch.autograd.grad(value, total)
        return slope, value.detach()

    def _carry_back(self, chunked: tuple[Tensor, ...], whole: tuple[Tensor, ...], slope: Tensor) -> list[Tensor]:
        """Derivative of the scalar by every prepared tensor."""
        gradients = [torch.zeros_like(t) if t.requires_grad else t.detach() for t in (*chunked, *whole)]
        pieces = self._pieces(tuple(gradients[: len(chunked)]))
        for piece, targets in zip(self._pieces(chunked), pieces):
            leaves = [t.detach().requires_grad_(t.requires_grad) for t in (*piece, *whole)]
            wanted = [i for i, leaf in enumerate(leaves) if leaf.requires_grad]
            with torch.enable_grad():
                statistic = self.statistic(*leaves)
            if not statistic.requires_grad:
                continue
            found = torch.autograd.grad(
                statistic, [leaves[i] for i in wanted], slope, allow_unused=True, materialize_grads=True
            )
            for i, gradient in zip(wanted, found):
                (targets[i] if i < len(piece) else gradients[i]).add_(gradient)
        return gradients


def chunk_size(device: torch.device, rows: int, bins: int) -> int:
    """Voxels per chunk: matrices that stay in the cache of a CPU, a few hundred megabytes on other devices."""
    elements = 2**18 if device.type == 'cpu' else 2**25
    return max(1, elements // max(1, rows * bins))
