"""LapIRN without its last convolution, as a backbone for other flow heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mmreg.models.base import Backbone, LevelFeatures, require
from mmreg.models.blocks.lapirn import LaplacianPyramid
from mmreg.registry import BACKBONES, INTEGRATORS

from .image_pyramid import ImagePyramid


@BACKBONES.register_module()
class LapIRN(Backbone):
    """The features of LapIRN's levels, joint maps; the coarser levels' flows stay inside and warp the moving image.

    Above the coarsest level, the last ``ndim`` channels are the enlarged velocity of the level below in voxels: a head
    that is linear in the features can pass it on and add a residual, as LapIRN itself does. LapIRN itself is
    :class:`ImagePyramid` with :class:`~mmreg.models.flow_heads.lapirn.LapIRNHead`; this is for other heads.

    Args:
        levels: Number of levels, full resolution included; 2 or more.
        method, factors: See :class:`ImagePyramid`.
        integrator: Config of the integrator between the levels; None: the flows are displacements.
        image_channels: Channels of each image.
        ndim: Number of spatial axes.
        options: See :class:`~mmreg.models.blocks.lapirn.LaplacianPyramid`.

    Raises:
        ConfigError: a conditional network (heads give no number), one level, an integrator of control points, or an
            option that does not exist.

    Source: Mok and Chung, MICCAI 2020; the features that TextSCF's filters act on (arXiv 2311.15607).
    """

    def __init__(
        self,
        levels: int = 3,
        method: str = 'average',
        factors: int | Sequence[int] = 2,
        integrator: dict[str, Any] | None = None,
        image_channels: int = 1,
        ndim: int = 3,
        **options: Any,
    ):
        super().__init__()
        require(levels >= 2, self, f'got levels={levels}, expected 2 or more.')
        require(not options.get('conditional'), self, 'got conditional=True, expected it of LapIRNHead only.')
        self.images = ImagePyramid(levels, method, factors, image_channels=image_channels, ndim=ndim)
        self.pyramid = LaplacianPyramid(self.images.spec, **{**options, 'finest_flow': False})
        self.integrator = INTEGRATORS.build(integrator or {'type': 'IdentityIntegrator'})
        dense = not getattr(self.integrator, 'control_points', False)
        require(dense, self, 'has a flow per voxel between its levels, found an integrator of control points.')
        widths = self.pyramid.channels
        self.spec = replace(
            self.images.spec,
            channels=(*(width + ndim for width in widths[:-1]), widths[-1]),
            siamese=False,
            size_divisor=self.pyramid.size_divisor,
            min_size=self.pyramid.min_size,
        )

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Joint features ``(N, channels_l, *spatial_l)``, finest first."""
        images = self.images(fixed, moving)
        runs = self.pyramid(images, self.integrator, checkpoint_levels=self.checkpoint_levels)
        return [
            run.features if run.start is None else torch.cat([run.features, run.start.to(run.features)], dim=1)
            for run in runs
        ]
