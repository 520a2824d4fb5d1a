"""Two velocities that bring both images to a middle: the flow head of SYMNet (Mok and Chung, CVPR 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmreg.models.base import FeatureSpec, Fields, Guidance, Integrator, LevelFeatures, require
from mmreg.models.blocks.flow_layer import FlowConv
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import compose

from .conv_flow import ConvFlowHead


@FLOW_HEADS.register_module()
class SymmetricHead(ConvFlowHead):
    """Both images move half way: ``a = S(v)`` the moving, ``b = S(w)`` the fixed one, each velocity from its own
    convolution of the finest features.

    Through the middle: the whole forward map is ``a`` after ``b``'s inverse, ``u = b' + a o (id + b')`` with
    ``b' = S(-w)``, the backward map ``b`` after ``a'``. Both are returned, and of one level each
    ``inverse_velocities`` (``w``), ``halves`` (``a``) and ``inverse_halves`` (``b``), which losses reach by
    ``on='inverse_velocity'``, ``direction='middle'`` and ``on='half'``.

    Args:
        features: What the backbone returns.
        kernel, bias, init_std, activation, scale: See :class:`~mmreg.models.blocks.flow_layer.FlowConv`; as
            published, ``scale`` is the largest velocity in voxels.
        first: Which image the backbone puts first, ``'moving'`` or ``'fixed'``: the first velocity is that image's.
            Must agree with the backbone's ``first``.
        padding: What lies outside a half that is composed: ``'zeros'`` (published) or ``'border'``.
        kwargs: See :class:`ConvFlowHead`; both directions are always there.

    Raises:
        ConfigError: an option that does not exist.

    Source: Mok and Chung, CVPR 2020; golden baselines/symnet.
    """

    def __init__(
        self,
        features: FeatureSpec,
        kernel: int = 5,
        bias: bool = False,
        init_std: float | None = None,
        activation: str | None = 'softsign',
        scale: float = 100.0,
        padding: str = 'zeros',
        first: str = 'moving',
        **kwargs: Any,
    ):
        require('bidirectional' not in kwargs, self, 'always has both directions, found bidirectional.')
        require(padding in ('zeros', 'border'), self, f"got padding={padding!r}, expected 'zeros' or 'border'.")
        require(first in ('moving', 'fixed'), self, f"got first={first!r}, expected 'moving' or 'fixed'.")
        super().__init__(features, kernel, bias, init_std, activation, scale, bidirectional=True, **kwargs)
        self.padding: Any = padding
        self.first = first
        own = {key: kwargs[key] for key in ('unit', 'order') if key in kwargs}
        channels = features.channels[0] * (2 if features.siamese else 1)
        self.backward_flow = FlowConv(features.ndim, channels, kernel, bias, init_std, activation, scale, **own)

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """Both whole displacements, both velocities, and both halves."""
        finest = features[0]
        finest = finest if isinstance(finest, Tensor) else torch.cat(finest, dim=1)
        size, coarse = self._sizes(finest.shape[2:])
        convolutions = (self.flow, self.backward_flow) if self.first == 'moving' else (self.backward_flow, self.flow)
        velocity, backward = (self._resample(flow(finest), coarse) for flow in convolutions)
        halves = integrator(velocity), integrator(backward)
        whole = (
            compose(halves[0], integrator.inverse(backward), self.padding),
            compose(halves[1], integrator.inverse(velocity), self.padding),
        )
        forward, inverse, half, inverse_half = (self._resample(u, size) for u in (*whole, *halves))
        return Fields(
            [forward],
            [velocity],
            [inverse],
            inverse_velocities=[backward],
            halves=[half],
            inverse_halves=[inverse_half],
        )
