"""The coarse-to-fine run of LapIRN: every level adds a residual to the enlarged velocity of the level below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmreg.models.base import FeatureSpec, Integrator, LevelFeatures, require
from mmreg.models.blocks.flow_layer import ORDERS, FlowConv
from mmreg.spatial import resize_field, warp
from mmreg.spatial.convert import displacement_to_normalised

from .level import LevelNetwork, Widths

UNITS = ('normalised', 'voxel')
RESAMPLINGS = ('linear', 'centres')


class LevelRun(NamedTuple):
    """What one level found, on its own grid.

    Attributes:
        features: ``(N, C, *spatial)``, the input of the flow convolution.
        start: Enlarged velocity of the level below, voxels; None at the coarsest level.
        velocity, displacement: Voxels; None where the level has no flow convolution.
    """

    features: Tensor
    start: Tensor | None
    velocity: Tensor | None
    displacement: Tensor | None


class LaplacianPyramid(nn.Module):
    """``v_k = r_k(x_k o (id + up(d_{k+1})), y_k, up(v_{k+1})) + up(v_{k+1})``, ``d_k = S(v_k)``, level 0 the finest.

    Args:
        features: One feature map per image and level; images for LapIRN itself.
        channels: Width, four times the published start channel.
        layout: ``'full'``, or ``'lite'``, narrower on the levels' own grids.
        blocks: Residual blocks per level.
        conditional: The blocks follow one number per sample.
        scale: Bound of a residual in ``unit``.
        unit: ``'normalised'`` (the grid spans -1..1) or ``'voxel'`` (the beta variant; ``scale=60``).
        order: Components inside the network: ``'ijk'``, or ``'xyz'``, reversed.
        padding: What lies outside an image that is warped between levels: ``'border'`` or ``'zeros'``.
        resampling: How fields are enlarged: ``'linear'`` (aligned corners, as everywhere here) or ``'centres'``.
        finest_flow: Whether the finest level has a flow convolution.

    Raises:
        ConfigError: strides that are no multiples of each other, or an unknown option.
    """

    def __init__(
        self,
        features: FeatureSpec,
        channels: int = 28,
        layout: str = 'full',
        blocks: int = 5,
        conditional: bool = False,
        scale: float = 0.4,
        unit: str = 'normalised',
        order: str = 'ijk',
        padding: str = 'border',
        resampling: str = 'linear',
        finest_flow: bool = True,
    ):
        super().__init__()
        choices = (('unit', unit, UNITS), ('order', order, ORDERS), ('resampling', resampling, RESAMPLINGS))
        for name, value, allowed in (*choices, ('padding', padding, ('border', 'zeros'))):
            require(value in allowed, self, f'got {name}={value!r}, expected one of {allowed}.')
        self.unit, self.order, self.resampling = unit, order, resampling
        self.padding: Any = padding
        self.conditional = conditional
        self.steps = self._steps(features)
        self.networks, self.flows = nn.ModuleList(), nn.ModuleList()
        self.channels: list[int] = []
        for level, width in enumerate(features.channels):
            widths = Widths.of(layout, channels, finest=level == 0)
            inputs = 2 * width + (features.ndim if level < features.levels - 1 else 0)
            self.networks.append(LevelNetwork(inputs, widths, self.steps[level], blocks, conditional, features.ndim))
            self.channels.append(widths.merged)
            flow: nn.Module = nn.Identity()
            if level > 0 or finest_flow:
                flow = FlowConv(features.ndim, widths.merged, 3, False, None, 'softsign', scale, unit, order)
            self.flows.append(flow)
        coarsest = zip(features.strides[-1], self.steps[-1])
        self.size_divisor = tuple(stride * step for stride, step in coarsest)
        # Corner-aligned coordinates need two voxels per axis, an instance norm more than one in all.
        least = 2 if conditional else 1
        self.min_size = tuple(max(2 * s, least * d) for s, d in zip(features.strides[-1], self.size_divisor))

    def _steps(self, features: FeatureSpec) -> list[tuple[int, ...]]:
        """Ratio of each level's grid to the grid of its residual blocks: that of the level below."""
        factors = [features.factors(level) for level in range(features.levels - 1)]
        whole = all(float(f).is_integer() and f >= 1 for step in factors for f in step)
        require(whole, self, f'needs grids that are multiples of the next coarser one, found {features.strides}.')
        steps = [tuple(int(f) for f in step) for step in factors]
        return [*steps, steps[-1] if steps else (2,) * features.ndim]

    def forward(
        self,
        features: Sequence[LevelFeatures],
        integrator: Integrator,
        code: Tensor | None = None,
        stage: int | None = None,
        checkpoint_levels: int = 0,
    ) -> list[LevelRun]:
        """The runs of the ``stage`` coarsest levels (None: of all), finest first.

        Args:
            features: Pairs ``(fixed, moving)`` of ``(N, C, *spatial_l)``, finest first.
            integrator: Velocity to displacement.
            code: ``(N, 1)`` where the networks are conditional.
            stage: How many levels run.
            checkpoint_levels: How many of the finest levels compute their activations again in the backward pass.
        """
        runs: list[LevelRun] = []
        embedding: Tensor | None = None
        last = len(features) - (len(features) if stage is None else stage)
        for level in reversed(range(last, len(features))):
            fixed, moving = features[level]
            size, start = fixed.shape[2:], None
            inputs = [moving, fixed]
            if runs:
                velocity, displacement = runs[0].velocity, runs[0].displacement
                assert velocity is not None and displacement is not None
                start = self.enlarge(velocity, size)
                warping = start if displacement is velocity else self.enlarge(displacement, size)
                inputs = [warp(moving, warping, padding=self.padding), fixed, self._as_input(start)]
            x = torch.cat(inputs, dim=1)
            if level < checkpoint_levels and torch.is_grad_enabled():
                out = checkpoint(self.networks[level], x, embedding, code, use_reentrant=False)
            else:
                out = self.networks[level](x, embedding, code)
            found, embedding = out
            runs.insert(0, self._run(level, found, start, integrator))
        return runs

    def _run(self, level: int, features: Tensor, start: Tensor | None, integrator: Integrator) -> LevelRun:
        flow = self.flows[level]
        if not isinstance(flow, FlowConv):
            return LevelRun(features, start, None, None)
        velocity = flow(features)
        velocity = velocity if start is None else velocity + start
        return LevelRun(features, start, velocity, integrator(velocity))

    def enlarge(self, field: Tensor, size: Sequence[int]) -> Tensor:
        """``field`` ``(N, ndim, *spatial)`` on the grid of another level, in its voxels."""
        values = 'aligned' if self.unit == 'normalised' else 'factor'
        return resize_field(field, size=list(size), values=values, mode=self.resampling)

    def _as_input(self, field: Tensor) -> Tensor:
        if self.unit == 'normalised':
            return displacement_to_normalised(field, order=self.order)
        return field.flip(1) if self.order == 'xyz' else field
