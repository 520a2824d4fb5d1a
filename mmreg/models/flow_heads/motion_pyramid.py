"""The loop that the pyramid designs share: coarse to fine, warp, estimate, compose, refine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mmreg.models.base import FeatureSpec, FlowHead, Guidance, Integrator, LevelFeatures, require
from mmreg.models.blocks.stages import per_level
from mmreg.spatial import resize_field, warp
from mmreg.structures import Fields

COMPOSITIONS = ('compose', 'add')
#: Per level, coarsest first: every displacement found there, in the order of the refinements, and the last increment.
Path = list[tuple[list[Tensor], Tensor]]


class MotionPyramid(FlowHead):
    """Flows from coarse to fine on warped features. Subclasses say how a flow is estimated: :meth:`estimate`.

    With ``u`` the displacement so far, enlarged to the level's grid, and ``s, t`` the features of moving and fixed:
    ``v = estimate(t, s o (id + u))``, ``d = S(v)``, ``u <- u o (id + d) + d``, ``iterations`` times per level. At the
    coarsest level the first pass has no ``u``: nothing is warped, ``u = d``.

    Args:
        features: What the backbone returns.
        pyramid: A flow at every level; otherwise at the finest one only.
        warp: The moving features are warped by what is known; needs a siamese backbone.
        iterations: Estimates per level with the same weights, one number or one per level, finest first.
        composition: ``'compose'`` as above, or ``'add'``: ``u <- u + d``.
        detach_position: The gradient of a composition passes through its values, not through the position ``x + d``
            at which ``u`` is read (published).
        bidirectional: Also the moving -> fixed fields, by the same weights on exchanged features.
        padding: What lies outside a warped feature map or field: ``'zeros'`` (published) or ``'border'``.

    Raises:
        ConfigError: options that exclude each other or do not fit the backbone.

    Source: Jian et al., WBIR 2024; goldens pyramid_designs.
    """

    def __init__(
        self,
        features: FeatureSpec,
        pyramid: bool = True,
        warp: bool = True,
        iterations: int | Sequence[int] = 1,
        composition: str = 'compose',
        detach_position: bool = True,
        bidirectional: bool = False,
        padding: str = 'zeros',
    ):
        super().__init__(features)
        self.iterations = per_level(iterations, features.levels, 'iterations')
        repeated = any(count > 1 for count in (self.iterations if pyramid else self.iterations[:1]))
        pair = 'needs one feature map per image (a siamese backbone), found joint features'
        require(features.siamese or not warp, self, f'with warp=True {pair}; joint features take warp=False.')
        require(features.siamese or not bidirectional, self, f'with bidirectional=True {pair}.')
        require(min(self.iterations) >= 1, self, f'got iterations={iterations}, expected 1 or more.')
        require(
            warp or not repeated, self, f'got iterations={iterations} with warp=False, which repeats the same estimate.'
        )
        require(composition in COMPOSITIONS, self, f'got composition={composition!r}, expected one of {COMPOSITIONS}.')
        self.factors = [self._whole(features.factors(level)) for level in range(features.levels - 1)]
        self.pyramid, self.warp, self.bidirectional = pyramid, warp, bidirectional
        self.composition, self.detach_position, self.padding = composition, detach_position, padding

    def _whole(self, factors: Sequence[float]) -> tuple[int, ...]:
        whole = tuple(round(f) for f in factors)
        require(
            whole == tuple(factors), self, f'needs grids of whole ratios, found {tuple(factors)} between two levels.'
        )
        return whole

    @property
    def size_divisor(self) -> tuple[int, ...]:
        """A whole number of voxels on the coarsest level."""
        return self.features.strides[-1]

    @property
    def min_size(self) -> tuple[int, ...]:
        """Enough voxels on the coarsest level that is estimated."""
        # Corner-aligned flows need two voxels per axis; levels without a flow need one.
        coarsest = max(level for level in range(self.features.levels) if self.estimates_at(level))
        sizes = zip(self.features.strides[-1], self.features.strides[coarsest])
        return tuple(max(last, 2 * flow) for last, flow in sizes)

    def estimates_at(self, level: int) -> bool:
        """Whether a flow is estimated at ``level`` (0: the finest)."""
        return self.pyramid or level == 0

    def estimate(
        self, level: int, fixed: Tensor, moving: Tensor, below: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Features for the next finer level, and the flow where one is estimated.

        Args:
            level: 0 is the finest.
            fixed, moving: ``(N, C, *spatial_l)``, moving already warped; the same joint tensor twice where the backbone
                is not siamese.
            below: What the coarser level's last estimate returned.
        """
        raise NotImplementedError

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """Displacements of all grids from the image's to the coarsest, the last increments as velocities.

        Where the features end at a coarser grid than the image's, the finest displacement is enlarged until it fills
        the grids in between. ``extras['steps']``: every displacement on the way, coarsest first, on its own grid.
        """
        pairs = [(f, f) if isinstance(f, Tensor) else f for f in features]
        path = self._walk(pairs, integrator)
        displacements, velocities = self._levels(path)
        extras = {'steps': [u for steps, _ in path for u in steps]}
        inverse: list[Tensor] = []
        if self.bidirectional:
            back = self._walk([(moving, fixed) for fixed, moving in pairs], integrator)
            inverse = self._levels(back)[0]
            extras['inverse_steps'] = [u for steps, _ in back for u in steps]
        return Fields(displacements, velocities, inverse, extras)

    def _walk(self, pairs: Sequence[tuple[Tensor, Tensor]], integrator: Integrator) -> Path:
        path: Path = []
        below: Tensor | None = None
        u: Tensor | None = None
        for level in reversed(range(self.features.levels)):
            if u is not None:
                u = resize_field(u, size=list(pairs[level][0].shape[2:]), values=self.factors[level])
            steps: list[Tensor] = []
            inner = below
            for _ in range(self.iterations[level] if self.estimates_at(level) else 1):
                # Every pass sees the coarser level's features, the last one hands its own to the next level.
                inner, flow = self._estimate(level, *pairs[level], below, u)
                if flow is not None:
                    u = self._update(u, integrator(flow))
                    steps.append(u)
            if flow is not None:
                path.append((steps, flow))
            below = inner
        return path

    def _estimate(
        self, level: int, fixed: Tensor, moving: Tensor, below: Tensor | None, u: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        def step(
            fixed: Tensor, moving: Tensor, below: Tensor | None, u: Tensor | None
        ) -> tuple[Tensor | None, Tensor | None]:
            if u is not None and self.warp:
                moving = warp(moving, u, padding=self.padding)
            return self.estimate(level, fixed, moving, below)

        if level < self.checkpoint_levels and torch.is_grad_enabled():
            return checkpoint(step, fixed, moving, below, u, use_reentrant=False)
        return step(fixed, moving, below, u)

    def _update(self, u: Tensor | None, increment: Tensor) -> Tensor:
        if u is None:
            return increment
        if self.composition == 'add':
            return u + increment
        return warp(u, increment.detach() if self.detach_position else increment, padding=self.padding) + increment

    def _levels(self, path: Path) -> tuple[list[Tensor], list[Tensor]]:
        """Displacements and increments, finest first, completed to the image's grid."""
        displacements = [steps[-1] for steps, _ in reversed(path)]
        velocities = [flow for _, flow in reversed(path)]
        stride = self.features.strides[0]
        while any(s > 1 for s in stride):
            factors = tuple(2 if s % 2 == 0 else s for s in stride)
            stride = tuple(s // f for s, f in zip(stride, factors))
            displacements.insert(0, resize_field(displacements[0], scale=factors))
            velocities.insert(0, velocities[0])
        return displacements, velocities
