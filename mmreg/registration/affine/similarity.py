"""Similarities of intensities at points, several maps at a time; higher is better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmreg.spatial.compiled import scattered
from mmreg.spatial.histogram import mutual_information, normalised_information

Score = Callable[[Tensor], Tensor]
#: Variance, on intensities in [0, 1], below which a block counts as flat.
_NOISE = 1e-4
#: Squared correlations count up to here as information.
_HIGHEST = 0.9999


class PointSimilarity(Protocol):
    """``(values (B, C, P) of the moving image, weights (B, P)) -> (B,)``."""

    def __call__(self, values: Tensor, weights: Tensor) -> Tensor: ...


SCORES: dict[str, Score] = {'mi': mutual_information, 'nmi': normalised_information}


class HistogramSimilarity:
    """A function of the joint histogram: fixed intensities in their nearest bin, moving ones by a cubic B-spline.

    Args:
        fixed: ``(C, P)`` in [0, 1].
        bins: per image.
        score: of joint histograms ``(R, bins, bins)``, axis 1 the fixed image's.

    Source: Mattes et al., IEEE TMI 2003, eq. 2-7 (windows); the mean over channels is taken.
    """

    def __init__(self, fixed: Tensor, bins: int, score: Score):
        self.bins, self.score = bins, score
        self.rows = (fixed.nan_to_num().clamp(0, 1) * (bins - 1)).round().long() * bins

    def __call__(self, values: Tensor, weights: Tensor) -> Tensor:
        batch, channels, _ = values.shape
        if scattered.serves_points(values, weights):
            compiled: Tensor = _CompiledScore.apply(  # type: ignore[no-untyped-call]
                values, weights, self.rows, self.bins, self.score
            )
            return compiled.mean(1)
        rows = self.rows.expand(batch, -1, -1).flatten(0, 1)
        spread = weights[:, None].expand(-1, channels, -1).flatten(0, 1)
        found: Tensor = _HistogramScore.apply(  # type: ignore[no-untyped-call]
            values.flatten(0, 1), spread, rows, self.bins, self.score
        )
        return found.view(batch, channels).mean(1)


class _HistogramScore(torch.autograd.Function):
    """``score(histogram(values, weights))``; the slope of the score is carried back through four taps per point."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor, rows: Tensor, bins: int, score: Score) -> Tensor:
        position = values.nan_to_num().clamp(0, 1) * (bins - 3) + 1
        base = position.floor().clamp_(max=bins - 3)
        offset = torch.arange(len(values), device=values.device)[:, None] * bins**2
        first = base.long() - 1 + rows + offset
        t = position - base
        joint = torch.zeros(len(values) * bins**2, dtype=values.dtype, device=values.device)
        for k, tap in enumerate(_taps(t)):
            _accumulate(joint, (first + k).flatten(), (tap * weights).flatten())
        joint = joint.view(-1, bins, bins)
        if not any(ctx.needs_input_grad[:2]):
            return score(joint)
        found, slope = _with_slope(score, joint)
        ctx.save_for_backward(slope.flatten(), first, t, weights)
        ctx.scale = bins - 3
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        slope, first, t, weights = ctx.saved_tensors
        to_value, to_weight = torch.zeros_like(t), torch.zeros_like(t)
        for k, (tap, change) in enumerate(zip(_taps(t), _tap_slopes(t))):
            picked = slope[first + k]
            to_value.addcmul_(picked, change)
            to_weight.addcmul_(picked, tap)
        outer = grads[0][:, None]
        return to_value * weights * (outer * ctx.scale), to_weight * outer, None, None, None


class _CompiledScore(torch.autograd.Function):
    """The same by the kernels, ``(B, C)``; weights ``(B, P)`` and rows ``(C, P)`` serve all channels and maps."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor, rows: Tensor, bins: int, score: Score) -> Tensor:
        joint = scattered.histogram(values, weights, rows, bins)
        if not any(ctx.needs_input_grad[:2]):
            return score(joint.flatten(0, 1)).view(values.shape[:2])
        found, slope = _with_slope(score, joint.flatten(0, 1))
        ctx.save_for_backward(values, weights, rows, slope)
        ctx.bins = bins
        return found.view(values.shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        values, weights, rows, slope = ctx.saved_tensors
        to_values, to_weights = scattered.histogram_gradient(values, weights, rows, slope, grads[0], ctx.bins)
        return to_values, to_weights.sum(1), None, None, None


def _with_slope(score: Score, joint: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of histograms ``(R, bins, bins)``, and their derivatives by the bins."""
    with torch.enable_grad():
        leaf = joint.detach().requires_grad_()
        found = score(leaf)
        (slope,) = torch.autograd.grad(found.sum(), leaf)
    return found.detach(), slope


def _taps(t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cubic B-spline at ``t + 1, t, t - 1, t - 2`` for ``t`` in [0, 1]."""
    square, cube = t * t, t * t * t
    last = cube / 6
    second = (3 * cube - 6 * square + 4) / 6
    first = (1 - t).pow(3) / 6
    return first, second, 1 - first - second - last, last


def _tap_slopes(t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    first, last = -0.5 * (1 - t).square(), 0.5 * t * t
    second = 1.5 * t * t - 2 * t
    return first, second, -first - second - last, last


def _accumulate(target: Tensor, index: Tensor, values: Tensor) -> None:
    """Add in an order that is always the same (sequential on a CPU, sorted on other devices)."""
    if target.device.type == 'cpu':
        target.index_add_(0, index, values)
    else:
        target.index_put_((index,), values, accumulate=True)


class CorrelationSimilarity:
    """Correlation inside blocks of points, weighted mean over blocks and channels.

    Args:
        fixed: ``(C, P)``, the points of a block follow one another.
        block: points per block.
        information: with the correlation r, the value is ``-log(1 - r^2) / 2`` with the sign of r, the mutual
            information of two Gaussian variables; otherwise ``r |r|``.
    """

    def __init__(self, fixed: Tensor, block: int, information: bool = False):
        self.fixed, self.block, self.information = fixed.unflatten(1, (-1, block)), block, information

    def __call__(self, values: Tensor, weights: Tensor) -> Tensor:
        moving = values.unflatten(2, (-1, self.block))
        weights = weights.unflatten(1, (-1, self.block))[:, None]
        total = weights.sum(-1, keepdim=True)
        share = weights / total.clamp(min=1e-6)
        fixed = self.fixed - (share * self.fixed).sum(-1, keepdim=True)
        moving = moving - (share * moving).sum(-1, keepdim=True)
        cross = (share * fixed * moving).sum(-1)
        product = ((share * fixed.square()).sum(-1) + _NOISE) * ((share * moving.square()).sum(-1) + _NOISE)
        square = cross.square() / product
        if self.information:
            square = -0.5 * torch.log1p(-square.clamp(max=_HIGHEST))
        size = total[..., 0]
        return ((size * square * cross.sign()).sum(-1) / size.sum(-1).clamp(min=1e-6)).mean(1)


def make_similarity(name: str, fixed: Tensor, block: int, bins: int) -> PointSimilarity:
    """The similarity of that name for fixed intensities ``(C, P)``."""
    if name in SCORES:
        return HistogramSimilarity(fixed, bins, SCORES[name])
    return CorrelationSimilarity(fixed, block, information=name == 'ncc')
