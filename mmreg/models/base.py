"""The contracts of the pipeline: what a backbone, a flow head and an integrator must look like.

images -> **backbone** -> features -> **flow head** (with an **integrator**) -> fields. Every published method is a
choice of these parts; a part never knows the names of the others, only what stands here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmreg.errors import ConfigError
from mmreg.structures import Fields

#: Features of one level: a joint tensor, or the pair (fixed, moving) of a siamese backbone.
LevelFeatures = Tensor | tuple[Tensor, Tensor]
#: What a flow head may need besides features: ``fixed``, ``moving`` images, ``labels``, ``text``, ...
Guidance = Mapping[str, Tensor]


def per_axis(value: float | Sequence[float], ndim: int, name: str = 'value') -> tuple[Any, ...]:
    """``value`` as a tuple with one entry per spatial axis.

    Raises:
        ConfigError: a sequence of another length was given.
    """
    if isinstance(value, Sequence):
        if len(value) != ndim:
            raise ConfigError(f'{name}={tuple(value)} has {len(value)} entries, expected one number or {ndim}.')
        return tuple(value)
    return (value,) * ndim


@dataclass(frozen=True)
class FeatureSpec:
    """What a backbone returns, so that any flow head can adapt to it when the model is built.

    Attributes:
        ndim: Number of spatial axes, 2 or 3.
        channels: Channels per level, finest first; of one image where ``siamese``, of the joint tensor otherwise.
        strides: Image voxels per feature voxel, per level and axis; level 0 at full resolution has all ones.
        siamese: Features come as pairs ``(fixed, moving)``.
        size_divisor: Each axis of the input must be a multiple of this.
        min_size: Each axis of the input must have at least this many voxels.
        image_channels: Channels of each input image.
    """

    ndim: int
    channels: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    siamese: bool
    size_divisor: tuple[int, ...]
    min_size: tuple[int, ...]
    image_channels: int = 1

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.channels)

    def factors(self, level: int) -> tuple[float, ...]:
        """Ratio of the grids of ``level + 1`` and ``level``, per axis (2 where the coarser one has half the voxels)."""
        return tuple(coarse / fine for coarse, fine in zip(self.strides[level + 1], self.strides[level]))


class Backbone(nn.Module):
    """Images to features.

    Subclasses set ``spec`` in their constructor and implement :meth:`forward`. They are built with ``ndim=2`` or
    ``ndim=3`` and hold no image size.
    """

    spec: FeatureSpec
    #: How many of the finest levels recompute their activations in the backward pass (less memory, more time).
    checkpoint_levels: int = 0

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Features of two images ``(N, C, *spatial)``: a list over levels, finest first."""
        raise NotImplementedError

    def run(self, level: int, module: nn.Module, *inputs: Tensor) -> Tensor:
        """``module(*inputs)``, computed again in the backward pass where ``level`` is below ``checkpoint_levels``."""
        if level < self.checkpoint_levels and torch.is_grad_enabled():
            return checkpoint(module, *inputs, use_reentrant=False)
        return module(*inputs)


class Integrator(nn.Module):
    """Velocity to displacement, both ``(N, ndim, *spatial)`` in voxels of their grid."""

    #: It is given control points instead of a velocity per voxel.
    control_points: bool = False

    def forward(self, velocity: Tensor) -> Tensor:
        """Displacement ``(N, ndim, *spatial)`` of the flow of ``velocity`` at time 1."""
        raise NotImplementedError

    def inverse(self, velocity: Tensor) -> Tensor:
        """Displacement ``(N, ndim, *spatial)`` of the inverse map: the flow at time -1."""
        return self.forward(-velocity)


class FlowHead(nn.Module):
    """Features to velocities and displacements of all levels.

    Args:
        features: What the backbone returns. A head that cannot work with it raises :class:`ConfigError` here.
    """

    #: How many of the finest levels recompute their activations in the backward pass (less memory, more time).
    checkpoint_levels: int = 0
    #: Which label map the head sees, so that inference hands it over: ``'fixed_prompt'`` (a prediction),
    #: ``'fixed_labels'``, ``'moving_labels'`` (where given), ``'propagate'`` (moving labels, needed); None: none.
    prompt: str | None = None
    #: Attributes that a user chooses anew for every run, such as a degree of smoothness: they belong to no weights.
    chosen_when_run: tuple[str, ...] = ()

    def __init__(self, features: FeatureSpec):
        super().__init__()
        self.features = features

    @property
    def size_divisor(self) -> tuple[int, ...]:
        """Each axis of the input must be a multiple of this for the head's sake."""
        return (1,) * self.features.ndim

    @property
    def min_size(self) -> tuple[int, ...]:
        """Each axis of the input must have at least this many voxels for the head's sake."""
        return (2,) * self.features.ndim

    def check_integrator(self, integrator: Integrator) -> None:
        """Refuse an integrator that cannot work with this head, when the model is built.

        Raises:
            ConfigError: with the reason; by default where it wants control points, since a head returns a dense flow.
        """
        require(
            not integrator.control_points,
            self,
            f'returns a flow per voxel, found the integrator {type(integrator).__name__}, which takes control points: '
            'combine it with FFDHead.',
        )

    def is_oracle(self, inputs: Mapping[str, Any]) -> bool | None:
        """Whether the head sees the labels that the evaluation uses; None where it sees no labels."""
        return None

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """Fields of one batch; ``features`` as :class:`Backbone` returns them."""
        raise NotImplementedError


def require(condition: bool, part: object, message: str) -> None:
    """Refuse an impossible combination of parts when the model is built."""
    if not condition:
        raise ConfigError(f'{type(part).__name__} {message}')


def common_divisor(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    """Least common multiple per axis."""
    return tuple(math.lcm(int(x), int(y)) for x, y in zip(a, b))
