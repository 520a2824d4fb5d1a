"""Free-form deformation: control points of a cubic B-spline instead of a dense field."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mmreg.models.base import Integrator, require
from mmreg.registry import INTEGRATORS
from mmreg.spatial import invert, scaling_and_squaring
from mmreg.spatial.bspline import bspline_field, control_size
from mmreg.spatial.sampler import SAMPLERS


@INTEGRATORS.register_module()
class BSplineFFD(Integrator):
    """Control points to a dense displacement, or, with ``steps``, to a velocity that is integrated.

    Control points are given in voxels of the dense grid, ``ceil((n - 1) / spacing) + 3`` per axis, the second on voxel
    0. Which of the sizes with that many control points is meant, the head says (:class:`FFDHead`).

    Args:
        spacing: Voxels between control points, one number or one per axis.
        steps: 0: the spline is the displacement; otherwise squarings of its exponential.
        padding: Outside the grid while integrating: ``'zeros'`` or ``'border'``.
        iterations: Steps of the fixed point for the inverse of a displacement.
        sampler: How a velocity is read while integrating: exactly, or with a published slip
            (:func:`mmreg.spatial.sampler.as_sampled`; TransMorph-bspl: ``'mixed_corners_sizes'``).

    Raises:
        ConfigError: spacing or steps out of range.

    Source: Rueckert et al., TMI 1999; Qiu et al., MIDL 2021 (MIDIR); golden gradirn/annex_ffd.
    """

    control_points = True

    def __init__(
        self,
        spacing: int | Sequence[int] = 4,
        steps: int = 0,
        padding: str = 'zeros',
        iterations: int = 20,
        sampler: str = 'aligned',
    ):
        super().__init__()
        require(sampler in SAMPLERS, self, f'got sampler={sampler!r}, expected one of {SAMPLERS}.')
        self.sampler = sampler
        values = [spacing] if isinstance(spacing, int) else list(spacing)
        require(min(values) >= 1, self, f'got spacing={spacing}, expected 1 voxel or more.')
        require(steps >= 0, self, f'got steps={steps}, expected 0 or more.')
        self.spacing, self.steps, self.padding, self.iterations = spacing, steps, padding, iterations

    def control_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Control points per axis for a dense grid of ``size``."""
        return control_size(size, self.spacing)

    def forward(self, velocity: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """``(N, ndim, *size)`` of control points ``(N, ndim, *control)``; the largest grid they reach without size."""
        dense = self._dense(velocity, size)
        return self._exponential(dense) if self.steps else dense

    def inverse(self, velocity: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """Displacement ``(N, ndim, *spatial)`` of the inverse map: of minus the velocity, or by fixed point."""
        dense = self._dense(velocity, size)
        if self.steps:
            return self._exponential(-dense)
        return invert(dense, iterations=self.iterations)[0]

    def _exponential(self, dense: Tensor) -> Tensor:
        return scaling_and_squaring(dense, steps=self.steps, padding=self.padding, sampler=self.sampler)

    def _dense(self, control: Tensor, size: Sequence[int] | None) -> Tensor:
        points = control.shape[2:]
        steps = [self.spacing] * len(points) if isinstance(self.spacing, int) else list(self.spacing)
        size = size or [(n - 3) * s + 1 for n, s in zip(points, steps)]
        return bspline_field(control, size, self.spacing)

    def extra_repr(self) -> str:
        return f'spacing={self.spacing}, steps={self.steps}, padding={self.padding!r}'
