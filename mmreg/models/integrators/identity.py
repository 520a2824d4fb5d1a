"""No integration: the flow is the displacement."""

from __future__ import annotations

from torch import Tensor

from mmreg.models.base import Integrator, require
from mmreg.registry import INTEGRATORS
from mmreg.spatial import invert


@INTEGRATORS.register_module()
class IdentityIntegrator(Integrator):
    """Returns its input; the inverse comes from a fixed-point iteration.

    Args:
        iterations: Steps of the fixed point for :meth:`inverse`, at most.
        tolerance: Residual at which it ends, voxels.
        inverse: ``'fixed_point'``, or ``'negate'``: minus the displacement, which is no inverse but what VoxelMorph
            takes for one where it does not integrate.

    Raises:
        ConfigError: another ``inverse``.
    """

    def __init__(self, iterations: int = 20, inverse: str = 'fixed_point', tolerance: float = 1e-3):
        super().__init__()
        require(
            inverse in ('fixed_point', 'negate'), self, f"got inverse={inverse!r}, expected 'fixed_point' or 'negate'."
        )
        self.iterations, self.tolerance = iterations, tolerance
        self.negate = inverse == 'negate'

    def forward(self, velocity: Tensor) -> Tensor:
        """``velocity`` itself, ``(N, ndim, *spatial)`` in voxels."""
        return velocity

    def inverse(self, velocity: Tensor) -> Tensor:
        """Displacement ``(N, ndim, *spatial)`` of the inverse map, as far as the field has one."""
        if self.negate:
            return -velocity
        return invert(velocity, self.iterations, self.tolerance)[0]
