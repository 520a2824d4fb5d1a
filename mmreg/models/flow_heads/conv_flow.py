"""One convolution from features to a flow: the head of VoxelMorph, LKU-Net, TransMorph and their relatives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.models.base import FeatureSpec, Fields, FlowHead, Guidance, Integrator, LevelFeatures, per_axis, require
from mmreg.models.blocks.flow_layer import FlowConv
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import resize_field
from mmreg.spatial.sampler import SAMPLERS, as_sampled

RESAMPLINGS = ('linear', 'centres')
VALUES = ('factor', 'aligned', 'keep')


@FLOW_HEADS.register_module()
class ConvFlowHead(FlowHead):
    """A single flow from the finest features, integrated on a grid of its own: any backbone will do.

    1. ``flow`` = :class:`~mmreg.models.blocks.flow_layer.FlowConv` of the finest features (the two maps of a siamese
       backbone are concatenated);
    2. it is resampled to the grid that is ``int_downsize`` times coarser than the image: the velocity;
    3. the integrator turns it into a displacement there;
    4. which is enlarged to the image's grid.

    Backbones that end at half resolution need nothing special: VoxelMorph's (``int_downsize=2``) is integrated where it
    is, LKU-Net's (``int_downsize=1``) is enlarged first.

    Args:
        features: What the backbone returns.
        kernel, bias, init_std, activation, scale, unit, order: See :class:`~mmreg.models.blocks.flow_layer.FlowConv`.
        int_downsize: Image voxels per voxel of the grid on which the flow is integrated, one number or one per axis.
        bidirectional: Also return the moving -> fixed displacement, the integrator's inverse of the same velocity.
        resampling: How steps 2 and 4 read the other grid: ``'linear'`` (aligned corners) or ``'centres'`` (aligned
            outer edges, as LKU-Net's half-resolution code).
        values: How a component is converted between grids: ``'factor'`` multiplies by the ratio of the sizes, as
            published code does; ``'aligned'`` by ``(m - 1) / (n - 1)``, exact for aligned corners; ``'keep'`` by
            nothing (TransMorph-diff's slip). None: 'factor' for ``unit='voxel'``; 'aligned' for
            ``unit='normalised'``, where published code leaves the values alone.
        sampler: How published code applied the field, see :func:`mmreg.spatial.sampler.as_sampled`: displacements are
            returned so that they do the same. ``'mixed_corners'`` for weights of TransMorph's OASIS code.

    Raises:
        ConfigError: an option that does not exist.

    Source: Balakrishnan et al., TMI 2019; Dalca et al., MedIA 2019; goldens baselines/vxm_*, lku_*.
    """

    def __init__(
        self,
        features: FeatureSpec,
        kernel: int = 3,
        bias: bool = True,
        init_std: float | None = 1e-5,
        activation: str | None = None,
        scale: float = 1.0,
        unit: str = 'voxel',
        order: str = 'ijk',
        int_downsize: int | Sequence[int] = 1,
        bidirectional: bool = False,
        resampling: str = 'linear',
        values: str | None = None,
        sampler: str = 'aligned',
    ):
        super().__init__(features)
        require(resampling in RESAMPLINGS, self, f'got resampling={resampling!r}, expected one of {RESAMPLINGS}.')
        require(values in (None, *VALUES), self, f'got values={values!r}, expected one of {VALUES}.')
        require(sampler in SAMPLERS, self, f'got sampler={sampler!r}, expected one of {SAMPLERS}.')
        self.sampler = sampler
        self.int_downsize = per_axis(int_downsize, features.ndim, 'int_downsize')
        require(min(self.int_downsize) >= 1, self, f'got int_downsize={int_downsize}, expected 1 or more.')
        self.bidirectional = bidirectional
        self.resampling = resampling
        self.values = values or ('aligned' if unit == 'normalised' else 'factor')
        channels = features.channels[0] * (2 if features.siamese else 1)
        self.flow = FlowConv(features.ndim, channels, kernel, bias, init_std, activation, scale, unit, order)

    @property
    def size_divisor(self) -> tuple[int, ...]:
        """The integration grid must divide the image's."""
        return self.int_downsize

    @property
    def min_size(self) -> tuple[int, ...]:
        """Two voxels of the integration grid."""
        return tuple(2 * factor for factor in self.int_downsize)

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """One velocity on the integration grid, one displacement on the image's grid (and its inverse)."""
        finest = features[0]
        finest = finest if isinstance(finest, Tensor) else torch.cat(finest, dim=1)
        return self.fields(self.flow(finest), integrator)

    def fields(self, flow: Tensor, integrator: Integrator) -> Fields:
        """Steps 2 to 4: fields of ``flow`` ``(N, ndim, *spatial)``, voxels of the features' grid.

        ``integrated`` is the displacement on the grid of the velocity.
        """
        size, coarse = self._sizes(flow.shape[2:])
        velocity = self._resample(flow, coarse)
        integrated = integrator(velocity)
        fields = Fields([self._finish(integrated, size)], [velocity], integrated=[integrated])
        if self.bidirectional:
            fields.inverse_displacements = [self._finish(integrator.inverse(velocity), size)]
        return fields

    def _finish(self, displacement: Tensor, size: Sequence[int]) -> Tensor:
        return as_sampled(self._resample(displacement, size), self.sampler)

    def _sizes(self, size: Sequence[int]) -> tuple[list[int], list[int]]:
        """Sizes of the image's grid and of the integration grid, from that of the features."""
        full = [round(n * s) for n, s in zip(size, self.features.strides[0])]
        return full, [n // factor for n, factor in zip(full, self.int_downsize)]

    def _resample(self, field: Tensor, size: Sequence[int]) -> Tensor:
        values = 1.0 if self.values == 'keep' else self.values
        return resize_field(field, size=list(size), values=values, mode=self.resampling)
