"""Update rules: from gradients to increments, that is, who decides how far each voxel moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.spatial.compiled.stepping import direction, running, serves_step
from mmreg.spatial.constants import constant

from .settings import Settings
from .stiffness import Smoother


class Rule:
    """Base: a running mean of the smoothed gradient, downhill, its longest vector made ``step`` voxels per pair.

    Args:
        settings: Momentum, memory and floor.
        smooth: The Gaussian on the gradient; None: none.
        mobility: Factor on each component of the gradient and of the increment.
        step: Longest increment, voxels.
    """

    def __init__(self, settings: Settings, smooth: Smoother | None, mobility: Sequence[float], step: float):
        self.settings, self.smooth, self.mobility, self.step = settings, smooth, mobility, step
        self.mean: Tensor | None = None
        self.count = 0

    def __call__(self, gradient: Tensor, share: float = 1.0) -> Tensor:
        """The increment, ``(N, ndim, *grid)`` voxels, for the gradient of the same shape; ``share`` of the step."""
        gradient = gradient if self.smooth is None else self.smooth(gradient)
        self.count += 1
        uphill, longest = self._uphill(gradient)
        longest = longest.sqrt()
        scale = -share * self.step / torch.where(longest > 0, longest, torch.ones_like(longest))
        out = None if uphill is self.mean else uphill
        return torch.mul(uphill, scale.view(-1, *[1] * (gradient.dim() - 1)), out=out)

    def _uphill(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The direction ``(N, ndim, *grid)`` and its largest squared length ``(N,)``."""
        gradient = self._scaled(gradient)
        self.mean = _running(self.mean, gradient, self.settings.momentum)
        uphill = self._scaled(self.direction(gradient))
        return uphill, uphill.square().sum(1).flatten(1).amax(1)

    def _scaled(self, vectors: Tensor) -> Tensor:
        if all(m == 1 for m in self.mobility):
            return vectors
        return vectors * constant(self.mobility, vectors).view(1, -1, *[1] * (vectors.dim() - 2))

    def direction(self, gradient: Tensor) -> Tensor:
        """Uphill, ``(N, ndim, *spatial)`` of any length: the running mean itself."""
        assert self.mean is not None
        return self.mean


class Component(Rule):
    """Adam: every component is divided by the root of its running square (Kingma and Ba, ICLR 2015)."""

    def __init__(self, settings: Settings, smooth: Smoother | None, mobility: Sequence[float], step: float):
        super().__init__(settings, smooth, mobility, step)
        self.square: Tensor | None = None

    def energy(self, gradient: Tensor) -> Tensor:
        """Squared gradient ``(N, ndim, *spatial)``, component by component."""
        return gradient.square()

    def direction(self, gradient: Tensor) -> Tensor:
        """The step ``(N, ndim, *spatial)`` from the means of gradient and energy."""
        assert self.mean is not None
        momentum, memory = self.settings.momentum, self.settings.memory
        self.square = _running(self.square, self.energy(gradient), memory)
        root = (self.square / (1 - memory**self.count)).sqrt_()
        highest = root.flatten(1).amax(1).view(-1, *[1] * (root.dim() - 1))
        tiny = torch.finfo(root.dtype).tiny
        return self.mean / (1 - momentum**self.count) / root.add_(self.settings.floor * highest).clamp_(min=tiny)

    def _uphill(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """By the kernels, where they are, in two passes over memory."""
        if type(self) not in (Component, Length) or not serves_step(gradient):
            return super()._uphill(gradient)
        momentum, memory, mobility = self.settings.momentum, self.settings.memory, list(self.mobility)
        if self.mean is None or self.square is None:
            self.mean = torch.zeros(gradient.shape)
            self.square = torch.zeros_like(self.mean[:, :1] if isinstance(self, Length) else self.mean)
        highest = running(gradient, self.mean, self.square, mobility, momentum, memory)
        by_mean, by_square = 1 - momentum**self.count, 1 - memory**self.count
        added = self.settings.floor * (highest / by_square).sqrt_()
        return direction(self.mean, self.square, added, mobility, by_mean, by_square)


class Length(Component):
    """Adam on vectors: all components of a voxel are divided by the root of its running squared length."""

    def energy(self, gradient: Tensor) -> Tensor:
        """Squared length of the gradient ``(N, ndim, *spatial)``, ``(N, 1, *spatial)``."""
        return gradient.square().sum(1, keepdim=True)


def _running(past: Tensor | None, new: Tensor, weight: float) -> Tensor:
    return new * (1 - weight) if past is None else past.mul_(weight).add_(new, alpha=1 - weight)


RULES: dict[str, type[Rule]] = {'plain': Rule, 'component': Component, 'length': Length}


def make_rule(settings: Settings) -> Callable[[Smoother | None, Sequence[float], float], Rule]:
    """The rule that ``optimisation.rule`` names.

    Raises:
        ConfigError: there is none of that name.
    """
    if settings.rule not in RULES:
        raise ConfigError(f'optimisation.rule is {settings.rule!r}, expected one of {sorted(RULES)}.')
    return partial(RULES[settings.rule], settings)
