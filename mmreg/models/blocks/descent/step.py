"""One step of the descent: minus the image's force, minus what the network says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmreg.models.base import require
from mmreg.models.blocks.layers import ConvBlock
from mmreg.spatial.constants import constant
from mmreg.spatial.interpolation import warp_with_gradient
from mmreg.spatial.precision import without_autocast

from .forces import ImageForce

_LEAKY = {'type': 'LeakyReLU', 'negative_slope': 0.2, 'inplace': True}
#: Images that the regulariser sees besides the displacement; the moving one warped for 'explicit'.
IMAGE_INPUTS = ('explicit', 'implicit', None)


@dataclass
class Increments:
    """What one step subtracts from the displacement, both ``(N, ndim, *spatial)``."""

    similarity: Tensor
    regularity: Tensor | None


def kappa(field: Tensor) -> Tensor:
    """True voxels per size-normalised voxel, ``(n - 1) / n`` per component, ``(1, ndim, 1, ..)``, to multiply ``field``
    ``(N, ndim, *spatial)``.
    """
    size: Sequence[int] = field.shape[2:]
    return constant([(n - 1) / n for n in size], field).view(1, -1, *[1] * len(size))


class Regulariser(nn.Module):
    """Convolutions that stand for the gradient of a regularisation energy.

    ``layers`` convolutions of 3 voxels per axis with bias, LeakyReLU 0.2 (in place) between them.

    Args:
        ndim: Number of spatial axes.
        image_channels: Channels of each image.
        layers: Number of convolutions, 1 or more.
        channels: Width.
        image_inputs: One of :data:`IMAGE_INPUTS`.
        zero_init: The last layer starts at 0, so that the untrained network is plain gradient descent; False: the
            published start.
    """

    def __init__(
        self,
        ndim: int,
        image_channels: int = 1,
        layers: int = 5,
        channels: int = 32,
        image_inputs: str | None = 'explicit',
        zero_init: bool = True,
    ):
        super().__init__()
        require(
            image_inputs in IMAGE_INPUTS, self, f'got image_inputs={image_inputs!r}, expected one of {IMAGE_INPUTS}.'
        )
        require(layers >= 1 and channels >= 1, self, f'got layers={layers}, channels={channels}, expected 1 or more.')
        self.image_inputs = image_inputs
        widths = [ndim + (2 * image_channels if image_inputs else 0), *[channels] * (layers - 1), ndim]
        self.layers = nn.Sequential(
            *[
                ConvBlock(ndim, first, second, act_cfg=_LEAKY if k < layers - 1 else None)
                for k, (first, second) in enumerate(zip(widths, widths[1:]))
            ]
        )
        self._start(zero_init)

    def _start(self, zero_init: bool) -> None:
        weights = [parameter for parameter in self.layers.parameters() if parameter.dim() > 1]
        for weight in weights[:-1]:
            nn.init.kaiming_uniform_(weight, a=0.2)
        if zero_init:
            for parameter in self.layers[-1].parameters():
                nn.init.zeros_(parameter)
        else:
            nn.init.kaiming_uniform_(weights[-1], a=0.0)

    def forward(self, displacement: Tensor, fixed: Tensor, moving: Tensor, warped: Tensor) -> Tensor:
        """``(N, ndim, *spatial)`` of the same; what is subtracted from the displacement."""
        inputs = [displacement]
        if self.image_inputs:
            inputs += [fixed, warped if self.image_inputs == 'explicit' else moving]
        return self.layers(torch.cat(inputs, dim=1)).to(displacement.dtype)


class DescentBlock(nn.Module):
    """``d <- d - tau scale dE/dd - R(d, images)`` in size-normalised voxels (:func:`kappa`).

    Args:
        regulariser: Learned part, or None for plain gradient descent.
        step_size: Start of ``tau``.
        step_scale: Constant factor of ``tau``.
        learn_step_size: Whether ``tau`` is trained.
    """

    def __init__(
        self, regulariser: Regulariser | None, step_size: float, step_scale: float = 10.0, learn_step_size: bool = True
    ):
        super().__init__()
        self.regulariser = regulariser
        self.step_size = nn.Parameter(torch.tensor(float(step_size)), requires_grad=learn_step_size)
        self.step_scale = step_scale

    def forward(self, force: ImageForce, displacement: Tensor, fixed: Tensor, moving: Tensor) -> Tensor:
        """The next displacement ``(N, ndim, *spatial)``, a pure function of the arguments."""
        parts = self.increments(force, displacement, fixed, moving)
        moved = displacement - parts.similarity
        return moved if parts.regularity is None else moved - parts.regularity

    def increments(self, force: ImageForce, displacement: Tensor, fixed: Tensor, moving: Tensor) -> Increments:
        """The two vectors ``(N, ndim, *spatial)`` that a step subtracts. Only the convolutions take part in
        autocast.
        """
        with without_autocast(displacement):
            unit = kappa(displacement)
            warped, slopes = warp_with_gradient(moving, displacement * unit)
            gradient = (force(warped, fixed).unsqueeze(2) * slopes).sum(1) * unit
            similarity = gradient * (self.step_size * self.step_scale)
        if self.regulariser is None:
            return Increments(similarity, None)
        return Increments(similarity, self.regulariser(displacement, fixed, moving, warped))
