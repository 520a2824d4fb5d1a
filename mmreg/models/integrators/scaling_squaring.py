"""Scaling and squaring of a stationary velocity (Arsigny et al., MICCAI 2006)."""

from __future__ import annotations

from torch import Tensor

from mmreg.models.base import Integrator
from mmreg.registry import INTEGRATORS
from mmreg.spatial import scaling_and_squaring


@INTEGRATORS.register_module()
class ScalingSquaring(Integrator):
    """``exp(v)`` by ``steps`` compositions of ``v / 2^steps`` with itself.

    Args:
        steps: Number of squarings.
        padding: What lies outside the grid: ``'zeros'`` (published code of EOIR, VoxelMorph) or ``'border'``.
        divide: False: what is given is already ``v / 2^steps`` (published TransMorph-diff leaves the division out).
    """

    def __init__(self, steps: int = 7, padding: str = 'zeros', divide: bool = True):
        super().__init__()
        self.steps = steps
        self.padding = padding
        self.divide = divide

    def forward(self, velocity: Tensor) -> Tensor:
        """Displacement ``(N, ndim, *spatial)`` in voxels of the flow of ``velocity`` at time 1."""
        velocity = velocity if self.divide else velocity * 2**self.steps
        return scaling_and_squaring(velocity, steps=self.steps, padding=self.padding)

    def extra_repr(self) -> str:
        return f'steps={self.steps}, padding={self.padding!r}'
