"""The pyramid's encoder on self-similarity instead of intensities: what it sees does not depend on the contrast."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mmreg.models.base import LevelFeatures, require
from mmreg.registry import BACKBONES, LOSSES
from mmreg.spatial.precision import without_autocast

from .conv_pyramid import ConvPyramid

_SSC = {'type': 'MINDSSC', 'radius': 1, 'dilation': 1}


@BACKBONES.register_module()
class DescriptorPyramid(ConvPyramid):
    """A :class:`ConvPyramid` that is shown the channels of a descriptor of each image.

    The descriptor has no weights and no gradient. One of self-similarity is the same for an image and its negative, so
    that few steps of training are needed where contrasts are drawn by chance.

    Args:
        descriptor: A registered loss with ``descriptor(image) -> (N, K, *spatial)`` and ``pairs``, such as ``MINDSSC``.
        ndim: Number of spatial axes.
        kwargs: Of :class:`ConvPyramid`, without ``image_channels``: images have one channel.

    Raises:
        ConfigError: a loss without descriptor, or as :class:`ConvPyramid`.

    Source: descriptor, Heinrich et al., MICCAI 2013; encoder, Jian et al., WBIR 2024.
    """

    def __init__(self, descriptor: dict[str, Any] | None = None, ndim: int = 3, **kwargs: Any):
        loss = LOSSES.build(dict(descriptor or _SSC))
        pairs = getattr(loss, 'pairs', {})
        super().__init__(image_channels=max(1, len(pairs.get(ndim, ()))), ndim=ndim, **kwargs)
        require(
            hasattr(loss, 'descriptor') and ndim in pairs,
            self,
            f'got descriptor={descriptor!r}, expected a loss with a descriptor of {ndim}-D images.',
        )
        self.describe = loss.descriptor
        self.spec = replace(self.spec, image_channels=1)

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Pairs ``(fixed, moving)``, or joint features, ``(N, channels_l, *spatial_l)``, finest first."""
        with torch.no_grad(), without_autocast(fixed):
            described = [self.describe(image.float()) for image in (fixed, moving)]
        return super().forward(*described)
