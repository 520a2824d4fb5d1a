"""One convolution from features to a flow: the head of VoxelMorph, LKU-Net, TransMorph and their relatives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmreg.models.base import FeatureSpec, Fields, FlowHead, Guidance, Integrator, LevelFeatures, per_axis, require
from mmreg.models.layers import conv_layer
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import resize_field
from mmreg.spatial.convert import displacement_to_voxel

ACTIVATIONS = {None: nn.Identity, 'softsign': nn.Softsign, 'tanh': nn.Tanh}
UNITS = ('voxel', 'normalised', 'size_normalised')
ORDERS = ('ijk', 'xyz')
RESAMPLINGS = ('linear', 'centres')


class FlowConv(nn.Module):
    """Features to a flow in voxels of their grid, whatever unit and component order the weights were trained in.

    ``flow = voxels(scale * activation(conv(features)))``. Heads with several convolutions of this kind (one per level
    or per direction) are made of these.

    Args:
        ndim: Number of spatial axes.
        channels: Channels of the features.
        kernel: Odd size of the kernel.
        bias: Whether the convolution has a bias.
        init_std: Weights start as N(0, init_std), the bias at 0: next to no motion. None keeps PyTorch's start.
        activation: None, ``'softsign'`` ``z / (1 + |z|)`` or ``'tanh'``.
        scale: What the activation is multiplied by (the largest flow, where it is bounded by 1).
        unit: What the scaled output counts: ``'voxel'``, voxels of the features' grid, or ``'normalised'``, where the
            grid spans -1..1 with aligned corners, or ``'size_normalised'``, ``n / (n - 1)`` times voxels (GraDIRN).
        order: ``'ijk'``: channel i displaces along spatial axis i; ``'xyz'``: along the reversed axes.
    """

    def __init__(
        self,
        ndim: int,
        channels: int,
        kernel: int = 3,
        bias: bool = True,
        init_std: float | None = 1e-5,
        activation: str | None = None,
        scale: float = 1.0,
        unit: str = 'voxel',
        order: str = 'ijk',
    ):
        super().__init__()
        for name, value, allowed in (
            ('activation', activation, tuple(ACTIVATIONS)),
            ('unit', unit, UNITS),
            ('order', order, ORDERS),
        ):
            require(value in allowed, self, f'got {name}={value!r}, expected one of {allowed}.')
        self.conv = conv_layer(ndim, channels, ndim, kernel, bias=bias)
        self.act = ACTIVATIONS[activation]()
        self.scale, self.unit, self.order = scale, unit, order
        if init_std is not None:
            for parameter in self.conv.parameters():
                nn.init.normal_(parameter, std=init_std if parameter.dim() > 1 else 0.0)

    def forward(self, features: Tensor) -> Tensor:
        """``(N, channels, *spatial)`` to ``(N, ndim, *spatial)`` float32 (or float64) voxels."""
        flow = self.act(self.conv(features))
        flow = flow if flow.dtype == torch.float64 else flow.float()
        if self.scale != 1:
            flow = flow * self.scale
        if self.unit == 'normalised':
            return displacement_to_voxel(flow, order=self.order)
        if self.unit == 'size_normalised':
            sizes = flow.shape[2:]
            shrink = flow.new_tensor([(n - 1) / n for n in (sizes[::-1] if self.order == 'xyz' else sizes)])
            flow = flow * shrink.view(1, -1, *[1] * len(sizes))
        return flow.flip(1) if self.order == 'xyz' else flow

    def extra_repr(self) -> str:
        return f'scale={self.scale}, unit={self.unit!r}, order={self.order!r}'


@FLOW_HEADS.register_module()
class ConvFlowHead(FlowHead):
    """A single flow from the finest features, integrated on a grid of its own: any backbone will do.

    1. ``flow`` = :class:`FlowConv` of the finest features (the two maps of a siamese backbone are concatenated);
    2. it is resampled to the grid that is ``int_downsize`` times coarser than the image: the velocity;
    3. the integrator turns it into a displacement there;
    4. which is enlarged to the image's grid.

    Backbones that end at half resolution need nothing special: VoxelMorph's (``int_downsize=2``) is integrated where it
    is, LKU-Net's (``int_downsize=1``) is enlarged first.

    Args:
        features: What the backbone returns.
        kernel, bias, init_std, activation, scale, unit, order: See :class:`FlowConv`.
        int_downsize: Image voxels per voxel of the grid on which the flow is integrated, one number or one per axis.
        bidirectional: Also return the moving -> fixed displacement, the integrator's inverse of the same velocity.
        resampling: How steps 2 and 4 read the other grid: ``'linear'`` (aligned corners) or ``'centres'`` (aligned
            outer edges, as LKU-Net's half-resolution code).
        values: How a component is converted between grids: ``'factor'`` multiplies by the ratio of the sizes, as
            published code does; ``'aligned'`` by ``(m - 1) / (n - 1)``, exact for aligned corners. None: 'factor' for
            ``unit='voxel'``; 'aligned' for ``unit='normalised'``, where published code leaves the values alone.

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
    ):
        super().__init__(features)
        require(resampling in RESAMPLINGS, self, f'got resampling={resampling!r}, expected one of {RESAMPLINGS}.')
        require(values in (None, 'factor', 'aligned'), self, f"got values={values!r}, expected 'factor' or 'aligned'.")
        self.int_downsize = per_axis(int_downsize, features.ndim, 'int_downsize')
        require(min(self.int_downsize) >= 1, self, f'got int_downsize={int_downsize}, expected 1 or more.')
        self.bidirectional = bidirectional
        self.resampling = resampling
        self.values = values or ('aligned' if unit == 'normalised' else 'factor')
        channels = features.channels[0] * (2 if features.siamese else 1)
        self.flow = FlowConv(features.ndim, channels, kernel, bias, init_std, activation, scale, unit, order)

    @property
    def size_divisor(self) -> tuple[int, ...]:
        return self.int_downsize

    @property
    def min_size(self) -> tuple[int, ...]:
        return tuple(2 * factor for factor in self.int_downsize)

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """One velocity on the integration grid, one displacement on the image's grid (and its inverse)."""
        finest = features[0]
        finest = finest if isinstance(finest, Tensor) else torch.cat(finest, dim=1)
        return self.fields(self.flow(finest), integrator)

    def fields(self, flow: Tensor, integrator: Integrator) -> Fields:
        """Steps 2 to 4: fields of ``flow`` ``(N, ndim, *spatial)``, voxels of the features' grid."""
        size = [round(n * s) for n, s in zip(flow.shape[2:], self.features.strides[0])]
        coarse = [n // factor for n, factor in zip(size, self.int_downsize)]
        velocity = self._resample(flow, coarse)
        fields = Fields([self._resample(integrator(velocity), size)], [velocity])
        if self.bidirectional:
            fields.inverse_displacements = [self._resample(integrator.inverse(velocity), size)]
        return fields

    def _resample(self, field: Tensor, size: Sequence[int]) -> Tensor:
        return resize_field(field, size=list(size), values=self.values, mode=self.resampling)
