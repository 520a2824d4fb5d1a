"""The convolution that turns features into a flow, whatever unit and component order its weights count in."""

from __future__ import annotations

from torch import Tensor, nn

from mmreg.models.base import require
from mmreg.spatial.constants import constant
from mmreg.spatial.convert import displacement_to_voxel
from mmreg.spatial.precision import full_precision

from .layers import conv_layer

ACTIVATIONS = {None: nn.Identity, 'softsign': nn.Softsign, 'tanh': nn.Tanh}
UNITS = ('voxel', 'normalised', 'size_normalised')
ORDERS = ('ijk', 'xyz')


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
        (flow,) = full_precision(self.act(self.conv(features)))
        if self.scale != 1:
            flow = flow * self.scale
        if self.unit == 'normalised':
            return displacement_to_voxel(flow, order=self.order)
        if self.unit == 'size_normalised':
            sizes = flow.shape[2:]
            shrink = constant([(n - 1) / n for n in (sizes[::-1] if self.order == 'xyz' else sizes)], flow)
            flow = flow * shrink.view(1, -1, *[1] * len(sizes))
        return flow.flip(1) if self.order == 'xyz' else flow

    def extra_repr(self) -> str:
        return f'scale={self.scale}, unit={self.unit!r}, order={self.order!r}'
