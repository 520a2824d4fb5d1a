"""GraDIRN: a fixed number of gradient-descent steps on a registration energy, from coarse to fine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmreg.errors import ConfigError
from mmreg.models.base import FeatureSpec, FlowHead, Guidance, Integrator, LevelFeatures, require
from mmreg.models.blocks.descent import DescentBlock, Regulariser, build_force
from mmreg.models.blocks.descent.step import Increments, kappa
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import resize, resize_field
from mmreg.spatial.constants import constant
from mmreg.spatial.interpolation import warp_with_gradient
from mmreg.spatial.precision import full_precision
from mmreg.structures import Fields

#: Guidance: where the descent starts, ``(N, ndim, *spatial)`` voxels of its own grid; zero where it is missing.
START = 'initial_displacement'


@dataclass
class DescentRecord:
    """One step as the head records it.

    Attributes:
        level: 0 is full resolution.
        block, repeat: Which block of the level, and its how many-th application.
        displacement: After the step, ``(N, ndim, *spatial)`` voxels of the level's grid.
        increments: What was subtracted, in size-normalised voxels of the level.
        before, after: Energy of the images of this level before and after the step, ``(N,)``.
    """

    level: int
    block: int
    repeat: int
    displacement: Tensor
    increments: Increments
    before: Tensor
    after: Tensor


@FLOW_HEADS.register_module()
class GraDIRNHead(FlowHead):
    """``d <- d - tau dD(F, M o (id + d))/dd - R(d, images)``, ``repeats`` times per block, level by level.

    Inside, displacements are in size-normalised voxels as published: ``n / (n - 1)`` times true voxels. Levels are
    joined by linear upsampling that keeps the displacement the same in the image. Updates are added: nothing makes the
    result diffeomorphic. Lists over levels start with the **coarsest**, the order in which they run.

    Args:
        features: What the backbone returns: image pairs (:class:`ImagePyramid`).
        blocks: Blocks with weights of their own, per level.
        repeats: How often each block of a level runs, sharing its weights; 0 leaves a level out.
        test_repeats: The same in evaluation mode; None: as in training.
        similarity: ``'ssd'``, ``'ncc'`` (closed forms) or the config of any image loss.
        step_size: Start of every step size; divided by 1 + the number of steps if ``scale_step_size``.
        learn_step_size, step_scale, scale_step_size: See :class:`~mmreg.models.blocks.descent.DescentBlock`.
        layers, channels, image_inputs, zero_init: See :class:`~mmreg.models.blocks.descent.Regulariser`; 0 layers:
            plain gradient descent.
        checkpoint_steps: Recompute every step in the backward pass. The model's ``checkpoint_levels`` does it for the
            finest levels only.
        detach_steps: Back-propagate through the last so many steps only; None: all.
        velocity_unit: Unit of ``Fields.velocities``: ``'voxel'``, or ``'published'``, size-normalised voxels, in which
            the published regularity loss counts. Displacements are always in voxels.

    Attributes:
        record: Put every :class:`DescentRecord` into ``Fields.extras['steps']``.

    Raises:
        ConfigError: no image pairs, lists of another length than the levels, an unknown option.

    Source: Qiu et al., MICCAI 2022 (arXiv 2112.03915); goldens gradirn/gradirn_*.
    """

    def __init__(
        self,
        features: FeatureSpec,
        blocks: int | Sequence[int] = 1,
        repeats: int | Sequence[int] = 3,
        test_repeats: int | Sequence[int] | None = None,
        similarity: str | dict[str, Any] = 'ssd',
        step_size: float = 0.5,
        learn_step_size: bool = True,
        step_scale: float = 10.0,
        scale_step_size: bool = True,
        layers: int = 5,
        channels: int = 32,
        image_inputs: str | None = 'explicit',
        zero_init: bool = True,
        checkpoint_steps: bool = False,
        detach_steps: int | None = None,
        velocity_unit: str = 'voxel',
    ):
        super().__init__(features)
        require(
            features.siamese and set(features.channels) == {features.image_channels},
            self,
            'needs the images themselves at every level (ImagePyramid), found learned or joint features.',
        )
        require(
            velocity_unit in ('voxel', 'published'),
            self,
            f"got velocity_unit={velocity_unit!r}, expected 'voxel' or 'published'.",
        )
        self.repeats = self._per_level('repeats', repeats)
        self.test_repeats = None if test_repeats is None else self._per_level('test_repeats', test_repeats)
        counts = self._per_level('blocks', blocks)
        require(min(counts) >= 1, self, f'got blocks={blocks}, expected 1 or more at every level.')
        self.force = build_force(similarity)
        self.checkpoint_steps, self.detach_steps = checkpoint_steps, detach_steps
        self.velocity_unit = velocity_unit
        self.record = False
        total = sum(count * repeat for count, repeat in zip(counts, self.repeats))
        start = step_size / (1 + total) if scale_step_size else step_size

        def block() -> DescentBlock:
            learned = None
            if layers:
                learned = Regulariser(features.ndim, features.image_channels, layers, channels, image_inputs, zero_init)
            return DescentBlock(learned, start, step_scale, learn_step_size)

        self._counts = counts
        self.blocks = nn.ModuleList(nn.ModuleList(block() for _ in range(count)) for count in counts)

    def _per_level(self, name: str, value: int | Sequence[int]) -> tuple[int, ...]:
        values = (value,) * self.features.levels if isinstance(value, int) else tuple(value)
        require(
            len(values) == self.features.levels,
            self,
            f'got {name}={list(values)}, expected one number per level of the backbone ({self.features.levels}).',
        )
        require(min(values) >= 0, self, f'got {name}={list(values)}, expected 0 or more.')
        return values

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """The last displacement of every level, finest first; ``guidance`` may hold :data:`START`."""
        images = [(full_precision(fixed)[0], full_precision(moving)[0]) for fixed, moving in features]
        schedule = list(self._schedule())
        if self.training and torch.is_grad_enabled() and not schedule:
            raise ConfigError('GraDIRNHead has repeats of 0 at every level, expected at least one step to train.')
        kept = len(schedule) if self.detach_steps is None else self.detach_steps
        displacement = self._start(images[-1][0], guidance.get(START))
        results = [displacement] * len(images)
        steps: list[DescentRecord] = []
        for level in reversed(range(len(images))):
            displacement = _to_grid(displacement, images[level][0].shape[2:])
            for number, (own, block, repeat) in enumerate(schedule):
                if own == level:
                    start = displacement.detach() if len(schedule) - number > kept else displacement
                    displacement = self._step(level, block, start, images[level])
                    if self.record:
                        steps.append(self._recorded(level, block, repeat, start, displacement, images[level]))
            results[level] = displacement
        return self._fields(results, integrator, steps)

    def _schedule(self) -> Iterator[tuple[int, int, int]]:
        """(level, finest 0; block; repeat) of every step, in order."""
        repeats = self.repeats if self.training or self.test_repeats is None else self.test_repeats
        for position, (blocks, count) in enumerate(zip(self._counts, repeats)):
            for block in range(blocks):
                for repeat in range(count):
                    yield self.features.levels - 1 - position, block, repeat

    def _block(self, level: int, block: int) -> DescentBlock:
        found = self.blocks.get_submodule(f'{self.features.levels - 1 - level}.{block}')
        assert isinstance(found, DescentBlock)
        return found

    def _start(self, coarsest: Tensor, start: Tensor | None) -> Tensor:
        size = coarsest.shape[2:]
        if start is None:
            return coarsest.new_zeros(coarsest.shape[0], len(size), *size)
        field = resize_field(start.to(coarsest), size=list(size), values='aligned')
        return field / kappa(field).clamp(min=1e-6)

    def _step(self, level: int, block: int, displacement: Tensor, images: tuple[Tensor, Tensor]) -> Tensor:
        module = self._block(level, block)
        wanted = self.checkpoint_steps or level < self.checkpoint_levels
        if wanted and torch.is_grad_enabled():
            return checkpoint(module, self.force, displacement, *images, use_reentrant=False, preserve_rng_state=False)
        return module(self.force, displacement, *images)

    @torch.no_grad()
    def _recorded(
        self, level: int, block: int, repeat: int, start: Tensor, end: Tensor, images: tuple[Tensor, Tensor]
    ) -> DescentRecord:
        fixed, moving = images
        energies = [self.force.energy(warp_with_gradient(moving, d * kappa(d))[0], fixed) for d in (start, end)]
        increments = self._block(level, block).increments(self.force, start, fixed, moving)
        return DescentRecord(level, block, repeat, end.detach() * kappa(end), increments, *energies)

    def _fields(self, results: list[Tensor], integrator: Integrator, steps: list[DescentRecord]) -> Fields:
        voxels = [field * kappa(field) for field in results]
        return Fields(
            [integrator(field) for field in voxels],
            voxels if self.velocity_unit == 'voxel' else results,
            extras={'steps': steps} if self.record else {},
        )


def _to_grid(displacement: Tensor, size: Sequence[int]) -> Tensor:
    """The same displacement on another grid: size-normalised voxels grow with the size."""
    old = displacement.shape[2:]
    if tuple(old) == tuple(size):
        return displacement
    factors = constant([m / n for n, m in zip(old, size)], displacement)
    return resize(displacement, size=list(size)) * factors.view(1, -1, *[1] * len(size))
