"""Half-way deformations that are symmetric and inverse consistent by construction: the flow head of SITReg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmreg.models.base import FeatureSpec, FlowHead, Guidance, Integrator, LevelFeatures, require
from mmreg.models.blocks.layers import ConvBlock, conv_layer
from mmreg.models.blocks.stages import per_level
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import compose, warp
from mmreg.spatial.bspline import bspline_refine, invertible_bound
from mmreg.spatial.constants import constant
from mmreg.spatial.crossing import coarse_centres
from mmreg.spatial.precision import full_precision
from mmreg.structures import Fields

_GROUP_NORM = {'type': 'GN', 'num_groups': 4}
_RELU = {'type': 'ReLU'}


class HalfWay(NamedTuple):
    """Maps from the middle to both images and back, displacements ``(N, ndim, *spatial)``, voxels of the full grid."""

    to_moving: Tensor
    to_fixed: Tensor
    from_moving: Tensor
    from_fixed: Tensor

    @property
    def forward(self) -> Tensor:
        """fixed -> moving."""
        return _after(self.to_moving, self.from_fixed)

    @property
    def backward(self) -> Tensor:
        """moving -> fixed."""
        return _after(self.to_fixed, self.from_moving)


class ControlPoints(nn.Module):
    """``[difference, sum]`` of two feature maps to control points: blocks, then a bounded 1-convolution.

    Args:
        bound: Largest control point per component, coarse voxels.
    """

    def __init__(
        self, ndim: int, channels: int, width: int, num_convs: int, bound: Sequence[float], options: dict[str, Any]
    ):
        super().__init__()
        self.blocks = nn.Sequential()
        for k in range(num_convs):
            self.blocks.append(ConvBlock(ndim, width if k else 2 * channels, width, **options))
        self.flow = conv_layer(ndim, width, ndim, 1)
        self._bound = tuple(bound)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """``(2N, ndim, *spatial)``: those of (first, second), then those of (second, first)."""
        total, difference = first + second, first - second
        both = torch.cat([torch.cat([difference, total], dim=1), torch.cat([-difference, total], dim=1)])
        (raw,) = full_precision(self.flow(self.blocks(both)))
        return raw.tanh() * constant(self._bound, raw).view(1, -1, *[1] * (raw.dim() - 2))


@FLOW_HEADS.register_module()
class SITRegHead(FlowHead):
    """Both images are deformed towards a middle, level by level; their maps and inverses are updated together.

    With the half-way maps ``L`` (middle -> moving) and ``R`` (middle -> fixed), per level, coarse to fine:

    1. both feature maps are read at the middle, ``a = moving o L`` and ``b = fixed o R``;
    2. one network gives the control points of ``A = net(a - b, a + b)`` and ``Z = net(b - a, a + b)``, in bounds that
       keep them invertible; a cubic spline makes them fields of the full grid;
    3. the integrator makes them maps, its inverse the maps ``A'`` and ``Z'``;
    4. ``L <- L o A o Z'`` and ``R <- R o Z o A'``, inverses in the other order.

    Forward is ``L o R'``, backward ``R o L'``: exchanging the images exchanges the two exactly, and each undoes the
    other up to interpolation.

    Args:
        features: What the backbone returns: one feature map per image.
        channels: Width of each level's network, finest first; None leaves a level out.
        num_convs: Convolutions per level, one number or one per level.
        norm_cfg, act_cfg: Of the blocks.
        bound: Share of the largest control points with which a step is invertible, 0 to 1.
        keep_levels: Also return what every level had reached, as ``extras['stages']`` and
            ``extras['inverse_stages']``, finest first.

    Raises:
        ConfigError: joint features, widths for another number of levels, or strides that are no whole numbers.

    Source: Honkamaa and Marttinen, MELBA 2024; golden baselines/sitreg.
    """

    def __init__(
        self,
        features: FeatureSpec,
        channels: Sequence[int | None] | int = (12, 64, 128, 256, 256, 256),
        num_convs: int | Sequence[int] = 2,
        norm_cfg: dict[str, Any] | None = _GROUP_NORM,
        act_cfg: dict[str, Any] | None = _RELU,
        bound: float = 0.99,
        keep_levels: bool = False,
    ):
        super().__init__(features)
        require(features.siamese, self, 'needs one feature map per image (a siamese backbone), found joint features.')
        widths = per_level(channels, features.levels, 'flow_head.channels')
        counts = per_level(num_convs, features.levels, 'flow_head.num_convs')
        require(any(w is not None for w in widths), self, 'got channels of None only, expected a width for a level.')
        require(0 < bound <= 1, self, f'got bound={bound}, expected a number above 0, up to 1.')
        whole = all(float(s).is_integer() for stride in features.strides for s in stride)
        require(whole, self, f'needs strides that are whole numbers, found {features.strides}.')
        self.keep_levels = keep_levels
        self.levels = [level for level, width in enumerate(widths) if width is not None]
        options = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self.networks = nn.ModuleList(
            ControlPoints(
                *(features.ndim, features.channels[level], widths[level], counts[level]),
                [bound * b for b in invertible_bound(tuple(int(s) for s in features.strides[level]))],
                options,
            )
            for level in self.levels
        )

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """Displacements of the full grid in both directions."""
        size = tuple(guidance['fixed'].shape[2:])
        maps: HalfWay | None = None
        stages: list[tuple[Tensor, Tensor]] = []
        for index in reversed(range(len(self.levels))):
            maps = self._level(index, features[self.levels[index]], maps, size, integrator)
            if self.keep_levels and index:
                stages.insert(0, (maps.forward, maps.backward))
        assert maps is not None
        fields = Fields([maps.forward], inverse_displacements=[maps.backward])
        if self.keep_levels:
            stages.insert(0, (fields.displacement, fields.inverse_displacements[0]))
            fields.extras = {'stages': [s[0] for s in stages], 'inverse_stages': [s[1] for s in stages]}
        return fields

    def _level(
        self, index: int, pair: LevelFeatures, maps: HalfWay | None, size: tuple[int, ...], integrator: Integrator
    ) -> HalfWay:
        factors = [float(s) for s in self.features.strides[self.levels[index]]]

        def fields(fixed: Tensor, moving: Tensor, *ends: Tensor) -> Tensor:
            if ends:
                moving, fixed = (_at_middle(f, end, factors) for f, end in zip((moving, fixed), ends))
            control = self.networks[index](moving, fixed)
            control = control * constant(factors, control).view(1, -1, *[1] * len(factors))
            return bspline_refine(control, size, factors)

        fixed, moving = pair
        ends = () if maps is None else (maps.to_moving, maps.to_fixed)
        if self.levels[index] < self.checkpoint_levels and torch.is_grad_enabled():
            velocity = checkpoint(fields, fixed, moving, *ends, use_reentrant=False)
        else:
            velocity = fields(fixed, moving, *ends)
        return _updated(maps, integrator(velocity).chunk(2), integrator.inverse(velocity).chunk(2))


def _at_middle(features: Tensor, displacement: Tensor, factors: Sequence[float]) -> Tensor:
    """Feature map ``(N, C, *coarse)`` of an image, read at the middle; ``displacement`` in voxels of the full grid."""
    coarse = coarse_centres(displacement, features.shape[2:], factors)
    coarse = coarse / constant(factors, coarse).view(1, -1, *[1] * len(factors))
    return warp(features, coarse, padding='border')


def _updated(maps: HalfWay | None, steps: Sequence[Tensor], inverses: Sequence[Tensor]) -> HalfWay:
    """Half-way maps after a level's steps ``(A, Z)`` and their inverses."""
    (a, z), (a_inv, z_inv) = steps, inverses
    there, back = _after(a, z_inv), _after(z, a_inv)
    if maps is None:
        return HalfWay(there, back, back, there)
    return HalfWay(
        to_moving=_after(maps.to_moving, there),
        to_fixed=_after(maps.to_fixed, back),
        from_moving=_after(z, _after(a_inv, maps.from_moving)),
        from_fixed=_after(a, _after(z_inv, maps.from_fixed)),
    )


def _after(outer: Tensor, inner: Tensor) -> Tensor:
    return compose(outer, inner, padding='border')
