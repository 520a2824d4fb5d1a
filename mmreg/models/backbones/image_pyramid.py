"""The images themselves at several resolutions: the backbone of methods that learn no features."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mmreg.models.base import Backbone, FeatureSpec, LevelFeatures, per_axis, require
from mmreg.registry import BACKBONES
from mmreg.spatial import image_pyramid, resize

METHODS = ('resize', 'average', 'block', 'block_partial', 'gaussian')


@BACKBONES.register_module()
class ImagePyramid(Backbone):
    """Both images at ``levels`` resolutions, without weights.

    Args:
        levels: Number of levels, full resolution included.
        method: How a level is made. ``'resize'`` (GraDIRN): the full image read with aligned corners at
            ``floor(n / factor ** level)`` voxels, unsmoothed. ``'average'`` (LapIRN): means of 3 voxels per axis at
            every ``factor``-th voxel, level by level; what lies outside does not count. ``'block'``: means of
            blocks of ``factor`` voxels, level by level; ``'block_partial'`` (GradICON): the rest of an axis makes a
            smaller block. ``'gaussian'``: smoothed and resized, level by level.
        resized_levels: So many levels after the first are made by ``'resize'`` before ``method`` begins (C2FViT's
            scripts halve the images once).
        factors: Reduction per level, one number or one per axis (``(2, 2, 1)`` for few thick slices).
        any_size: Take images of any size; otherwise the registrar pads to multiples of the coarsest stride. For
            heads that follow the sizes of the levels themselves.
        image_channels: Channels of each image.
        ndim: Number of spatial axes.

    Raises:
        ConfigError: a method that does not exist, or no level.

    Source: Qiu et al., MICCAI 2022; golden gradirn/ops ``pyramid_image_*``.
    """

    def __init__(
        self,
        levels: int = 3,
        method: str = 'resize',
        factors: int | Sequence[int] = 2,
        any_size: bool = False,
        resized_levels: int = 0,
        image_channels: int = 1,
        ndim: int = 3,
    ):
        super().__init__()
        require(method in METHODS, self, f'got method={method!r}, expected one of {METHODS}.')
        require(levels >= 1, self, f'got levels={levels}, expected 1 or more.')
        require(
            0 <= resized_levels < levels,
            self,
            f'got resized_levels={resized_levels}, expected 0 to {levels - 1}, one less than the levels.',
        )
        self.method, self.resized_levels = method, resized_levels
        self._kernel = 'gaussian' if method == 'resize' else method
        self.factors = per_axis(factors, ndim, 'factors')
        strides = tuple(tuple(f**level for f in self.factors) for level in range(levels))
        self.spec = FeatureSpec(
            ndim=ndim,
            channels=(image_channels,) * levels,
            strides=strides,
            siamese=True,
            size_divisor=(1,) * ndim if any_size else strides[-1],
            min_size=tuple(2 * s for s in strides[-1]),
            image_channels=image_channels,
        )

    def forward(self, fixed: Tensor, moving: Tensor) -> list[LevelFeatures]:
        """Pairs ``(fixed, moving)`` of ``(N, C, *spatial_l)``, finest first."""
        return list(zip(self._pyramid(fixed), self._pyramid(moving)))

    def _pyramid(self, image: Tensor) -> list[Tensor]:
        last = self.spec.levels - 1 if self.method == 'resize' else self.resized_levels
        read = [image, *(resize(image, scale=[1 / s for s in stride]) for stride in self.spec.strides[1 : last + 1])]
        return read[:-1] + image_pyramid(read[-1], self.spec.levels - last, kernel=self._kernel, factors=self.factors)
