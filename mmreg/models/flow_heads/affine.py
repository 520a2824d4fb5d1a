"""An affine map from images, by transformer stages from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmreg.models.base import FeatureSpec, FlowHead, Guidance, Integrator, LevelFeatures, require
from mmreg.models.blocks.c2fvit import RegressionStage, affine_from_parameters
from mmreg.models.integrators.identity import IdentityIntegrator
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import affine_displacement, warp
from mmreg.spatial.affine import voxel_matrix_from_normalised
from mmreg.spatial.convert import voxel_to_normalised
from mmreg.spatial.mass import centre_of_mass
from mmreg.spatial.precision import full_precision
from mmreg.structures import Fields


@FLOW_HEADS.register_module()
class AffineTransformerHead(FlowHead):
    """C2FViT: every stage sees the pair at one resolution, the moving side warped by the stage before.

    All stages have the same grid of tokens, twice as coarse as the coarsest level; each regresses the whole map, which
    is not composed with that of the stage before. The last one counts. Any backbone of pairs will do: with
    :class:`ImagePyramid` it is C2FViT, learned features are warped like images.

    Args:
        features: What the backbone returns: pairs at ``stages`` levels or more; the coarsest ones are used.
        stages: Number of stages.
        channels, depths, heads, mlp_ratio: Of a token, blocks per stage, heads per block, and see
            :class:`~mmreg.models.blocks.c2fvit.RegressionStage`; one number or one per stage, coarsest first.
        patches: Voxels of a patch per stage, odd; by default twice the distance of two less one.
        token_stride: Voxels of the coarsest level between two tokens.
        centred: Rotate, scale and shear about the moving image's centre of mass; otherwise about that of the grid.

    ``Fields``: one displacement. ``extras['affine']`` ``(N, ndim+1, ndim+1)``: fixed voxels -> moving voxels, which
    predictions also carry in world millimetres; ``extras['parameters']`` ``(N, stages, 12 or 6)``;
    ``extras['warped']``: what every stage's map makes of the moving side on the next level.

    Raises:
        ConfigError: joint features, too few levels, levels that do not halve; when the model is built, an integrator.

    Source: Mok and Chung, CVPR 2022 (C2FViT); golden baselines/c2fvit.
    """

    def __init__(
        self,
        features: FeatureSpec,
        stages: int = 3,
        channels: int | Sequence[int] = 256,
        depths: int | Sequence[int] = 4,
        heads: int | Sequence[int] = 2,
        mlp_ratio: float | Sequence[float] = 2.0,
        centred: bool = True,
        patches: Sequence[int] | None = None,
        token_stride: int = 2,
    ):
        super().__init__(features)
        require(features.siamese, self, 'needs features of each image to warp one of them, found joint features.')
        require(
            1 <= stages <= features.levels,
            self,
            f'got stages={stages}, expected 1 to {features.levels}, the levels of the backbone.',
        )
        self.levels = list(range(features.levels))[::-1][:stages]
        widths, blocks, attended, ratios = (
            self._per_stage(name, value, stages)
            for name, value in (('channels', channels), ('depths', depths), ('heads', heads), ('mlp_ratio', mlp_ratio))
        )
        sizes = [None] * stages if patches is None else self._per_stage('patches', patches, stages)
        require(
            all(c % h == 0 for c, h in zip(widths, attended)),
            self,
            f'got channels={widths} and heads={attended}, expected the heads of a stage to divide its channels.',
        )
        token = [token_stride * s for s in features.strides[-1]]
        self.tokens = tuple(int(t) for t in token)
        self.stages = nn.ModuleList()
        for k, level in enumerate(self.levels):
            strides = {int(t // s) for t, s in zip(token, features.strides[level])}
            exact = all(t % s == 0 and float(s).is_integer() for t, s in zip(token, features.strides[level]))
            require(
                exact and len(strides) == 1,
                self,
                'needs levels that are reduced alike along all axes, by whole numbers, found the strides '
                f'{features.strides}.',
            )
            self.stages.append(
                RegressionStage(
                    features.ndim,
                    2 * features.channels[level],
                    widths[k],
                    strides.pop(),
                    blocks[k],
                    attended[k],
                    ratios[k],
                    before=widths[k - 1] if k else None,
                    patch=sizes[k],
                )
            )
        self.centred = centred
        #: Whether the features are the images, so that their centre of mass is that of the level's image.
        self._images = set(features.channels) == {features.image_channels}

    def _per_stage(self, name: str, value: Any, stages: int) -> list[Any]:
        """One number for all stages, or one per stage."""
        values = [value] * stages if isinstance(value, (int, float)) else list(value)
        require(len(values) == stages, self, f'got {name}={value}, expected one number or one per stage ({stages}).')
        return values

    @property
    def size_divisor(self) -> tuple[int, ...]:
        """A whole number of tokens per axis."""
        return self.tokens

    def check_integrator(self, integrator: Integrator) -> None:
        """An affine map is not integrated."""
        require(
            isinstance(integrator, IdentityIntegrator),
            self,
            f'finds an affine map, which is not integrated: found {type(integrator).__name__}, expected '
            'IdentityIntegrator.',
        )

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """The displacement of the last stage's map on the image's grid."""
        image = guidance['moving']
        numbers: list[Tensor] = []
        warped: list[Tensor] = []
        carried: Tensor | None = None
        for k, (stage, level) in enumerate(zip(self.stages, self.levels)):
            fixed, moving = features[level]
            seen = moving if k == 0 else warped[-1]
            found, carried = stage(torch.cat([seen, fixed], dim=1), carried)
            numbers.append(found)
            following = features[self.levels[min(k + 1, len(self.levels) - 1)]][1]
            warped.append(self.move(following, found, image))
        matrix = self.matrix(numbers[-1], image)
        voxels = voxel_matrix_from_normalised(matrix, image.shape[2:])
        extras = {'affine': voxels, 'parameters': torch.stack(numbers, dim=1), 'warped': warped}
        return Fields([affine_displacement(voxels, image.shape[2:])], extras=extras)

    def matrix(self, parameters: Tensor, image: Tensor) -> Tensor:
        """The map of ``parameters`` ``(N, 12 or 6)`` about the centre of mass of ``image``, on [-1, 1] coordinates in
        x, y, z order.
        """
        (parameters,) = full_precision(parameters)
        centre = parameters.new_zeros((len(parameters), self.features.ndim))
        if self.centred:
            mass = centre_of_mass(image.to(parameters.dtype))
            centre = voxel_to_normalised(mass, image.shape[2:], order='xyz').to(parameters)
        return affine_from_parameters(parameters, centre)

    def move(self, features: Tensor, parameters: Tensor, image: Tensor) -> Tensor:
        """Features ``(N, C, *spatial)`` of the moving image warped by a map on their own grid."""
        matrix = self.matrix(parameters, features if self._images else image)
        size = features.shape[2:]
        return warp(features, affine_displacement(voxel_matrix_from_normalised(matrix, size), size))
