"""Explicit integration of a stationary velocity with equal steps."""

from __future__ import annotations

from torch import Tensor

from mmreg.models.base import Integrator, require
from mmreg.registry import INTEGRATORS
from mmreg.spatial import runge_kutta


@INTEGRATORS.register_module()
class RungeKutta(Integrator):
    """The flow of a stationary velocity by Runge-Kutta steps; see :func:`mmreg.spatial.runge_kutta`.

    Args:
        steps: Number of steps.
        order: 1 (Euler), 2 (midpoint) or 4.
        padding: The velocity outside the grid: ``'zeros'`` or ``'border'``.

    Raises:
        ConfigError: steps below 1 or another order.
    """

    def __init__(self, steps: int = 8, order: int = 4, padding: str = 'zeros'):
        super().__init__()
        require(steps >= 1, self, f'got steps={steps}, expected 1 or more.')
        require(order in (1, 2, 4), self, f'got order={order}, expected 1, 2 or 4.')
        self.steps, self.order, self.padding = steps, order, padding

    def forward(self, velocity: Tensor) -> Tensor:
        """Displacement ``(N, ndim, *spatial)`` in voxels of the flow of ``velocity`` at time 1."""
        return runge_kutta(velocity, steps=self.steps, order=self.order, padding=self.padding)

    def extra_repr(self) -> str:
        return f'steps={self.steps}, order={self.order}, padding={self.padding!r}'
