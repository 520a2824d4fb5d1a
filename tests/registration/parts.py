"""A plugin with a flow head whose displacement is known: it needs no training and is never the identity."""

import math

import torch

from mmreg.models.base import FlowHead
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import identity_grid
from mmreg.structures import Fields


@FLOW_HEADS.register_module(name='TestWaveHead', force=True)
class WaveHead(FlowHead):
    """``shift`` voxels everywhere plus a wave of ``amplitude`` voxels; NaN where ``broken``."""

    def __init__(self, features, shift=(0.0, 0.0, 0.0), amplitude=0.0, period=16.0, broken=False):
        super().__init__(features)
        self.shift, self.amplitude, self.period, self.broken = shift, amplitude, period, broken

    def forward(self, features, integrator, guidance):
        fixed = guidance['fixed']
        ndim = fixed.dim() - 2
        grid = identity_grid(fixed.shape[2:])
        wave = self.amplitude * torch.sin(2 * math.pi * grid.flip(0) / self.period)
        field = wave + torch.tensor(self.shift[:ndim]).view(-1, *[1] * ndim)
        if self.broken:
            field = field * math.nan
        return Fields([field[None].to(fixed)])
