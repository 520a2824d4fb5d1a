"""No integration: the flow is the displacement."""

from __future__ import annotations

from torch import Tensor

from mmreg.models.base import Integrator
from mmreg.registry import INTEGRATORS
from mmreg.spatial import invert


@INTEGRATORS.register_module()
class IdentityIntegrator(Integrator):
    """Returns its input; the inverse comes from a fixed-point iteration.

    Args:
        iterations: Steps of the fixed point for :meth:`inverse`.
    """

    def __init__(self, iterations: int = 20):
        super().__init__()
        self.iterations = iterations

    def forward(self, velocity: Tensor) -> Tensor:
        """``velocity`` itself, ``(N, ndim, *spatial)`` in voxels."""
        return velocity

    def inverse(self, velocity: Tensor) -> Tensor:
        """Displacement of the inverse map, as far as the field has one."""
        return invert(velocity, iterations=self.iterations)[0]
