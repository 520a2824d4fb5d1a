"""Several networks in turn, each seeing the moving image as the maps before it have left it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from mmreg.models.base import FeatureSpec, FlowHead, Guidance, Integrator, LevelFeatures, common_divisor, require
from mmreg.registry import BACKBONES, FLOW_HEADS
from mmreg.spatial import warp
from mmreg.spatial.crossing import chain_displacement
from mmreg.structures import Fields

DIRECTIONS = ('none', 'networks')


class NetworkStep(nn.Module):
    """One network at one resolution of the images.

    Args:
        features: Of the images.
        level: Of the image pyramid, 0 is full resolution.
        backbone, flow_head: Configs of a whole network for images of that level.
    """

    def __init__(self, features: FeatureSpec, level: int, backbone: Mapping[str, Any], flow_head: Mapping[str, Any]):
        super().__init__()
        self.level = level
        own = {'ndim': features.ndim, 'image_channels': features.image_channels, **backbone}
        self.backbone = BACKBONES.build(own)
        self.flow_head = FLOW_HEADS.build({'features': self.backbone.spec, **flow_head})

    def forward(self, fixed: Tensor, moving: Tensor, integrator: Integrator) -> Tensor:
        """Displacement ``(N, ndim, *S)`` of images ``(N, C, *S)``, voxels of their grid."""
        features = self.backbone(fixed, moving)
        return self.flow_head(features, integrator, {'fixed': fixed, 'moving': moving}).displacement

    @property
    def size_divisor(self) -> tuple[int, ...]:
        """Each axis of the level's images must be a multiple of this."""
        return common_divisor(self.backbone.spec.size_divisor, self.flow_head.size_divisor)

    @property
    def min_size(self) -> tuple[int, ...]:
        """Each axis of the level's images must have so many voxels."""
        return tuple(max(pair) for pair in zip(self.backbone.spec.min_size, self.flow_head.min_size))


@FLOW_HEADS.register_module()
class MultiStepHead(FlowHead):
    """Networks applied in turn; the map is ``phi_1 o phi_2 o ... o phi_n``.

    Step k sees the fixed image and the *original* moving image of its level, warped by the map of the steps before
    it. Every step keeps the grid of its level, and a map is read from that grid wherever another grid needs it.

    Args:
        features: Of the images themselves (:class:`ImagePyramid`).
        steps: In turn, a dictionary each: ``level`` of the pyramid, ``backbone`` and ``flow_head``, any pair of parts
            that makes a network of its own.
        backward: ``'networks'``: also return moving -> fixed, by the same networks with the images exchanged, as
            consistency losses train them; ``'none'``.
        padding: What a warped moving image is outside: ``'border'`` (published) or ``'zeros'``.

    Raises:
        ConfigError: learned or joint features, no step, a level that is not there, or parts of a step that do not fit.

    Source: Tian et al., CVPR 2023 (GradICON: two-step and down-sampling networks); Tian et al., MICCAI 2024
    (uniGradICON); golden baselines/unigradicon.
    """

    def __init__(
        self,
        features: FeatureSpec,
        steps: Sequence[Mapping[str, Any]],
        backward: str = 'none',
        padding: str = 'border',
    ):
        super().__init__(features)
        require(
            features.siamese and set(features.channels) == {features.image_channels},
            self,
            'needs the images themselves at every level (ImagePyramid), found learned or joint features.',
        )
        require(len(steps) >= 1, self, 'got no steps, expected one or more.')
        require(backward in DIRECTIONS, self, f'got backward={backward!r}, expected one of {DIRECTIONS}.')
        require(padding in ('border', 'zeros'), self, f"got padding={padding!r}, expected 'border' or 'zeros'.")
        for step in steps:
            level = step.get('level', 0)
            require(0 <= level < features.levels, self, f'got level={level}, expected 0 to {features.levels - 1}.')
        self.backward, self.padding = backward, padding
        self.steps = nn.ModuleList(NetworkStep(features, **{'level': 0, **step}) for step in steps)

    @property
    def networks(self) -> list[NetworkStep]:
        """The steps in turn."""
        return [cast(NetworkStep, step) for step in self.steps]

    @property
    def size_divisor(self) -> tuple[int, ...]:
        """A multiple of what every step needs on its level."""
        total: tuple[int, ...] = (1,) * self.features.ndim
        for step in self.networks:
            needed = step.size_divisor
            scaled = (d * s if d > 1 else 1 for d, s in zip(needed, self.features.strides[step.level]))
            total = common_divisor(total, tuple(int(n) for n in scaled))
        return total

    @property
    def min_size(self) -> tuple[int, ...]:
        """The largest of what the steps need on their levels."""
        per_step = [
            tuple(n * int(s) for n, s in zip(step.min_size, self.features.strides[step.level]))
            for step in self.networks
        ]
        return tuple(max(sizes) for sizes in zip(*per_step))

    def check_integrator(self, integrator: Integrator) -> None:
        """As every step's own head says."""
        for step in self.networks:
            step.flow_head.check_integrator(integrator)

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """One displacement on the image's grid (and its counterpart); ``extras['steps']``: those of the steps."""
        for step in self.networks:
            step.backbone.checkpoint_levels = step.flow_head.checkpoint_levels = self.checkpoint_levels
        size = guidance['fixed'].shape[2:]
        chain = self._chain([(fixed, moving) for fixed, moving in features], integrator)
        fields = Fields([chain_displacement(chain, size)], extras={'steps': chain})
        if self.backward == 'networks':
            back = self._chain([(moving, fixed) for fixed, moving in features], integrator)
            fields.inverse_displacements = [chain_displacement(back, size)]
            fields.extras['inverse_steps'] = back
        return fields

    def _chain(self, images: Sequence[tuple[Tensor, Tensor]], integrator: Integrator) -> list[Tensor]:
        """Displacement of every step, in voxels of its own grid."""
        chain: list[Tensor] = []
        for step in self.networks:
            fixed, moving = images[step.level]
            if chain:
                moving = warp(moving, chain_displacement(chain, fixed.shape[2:]), padding=self.padding)
            chain.append(step(fixed, moving, integrator))
        return chain
