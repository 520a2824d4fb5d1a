"""A registrar that applies its network several times, each time to the moving image warped by what was found so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.registry import REGISTRARS
from mmreg.spatial import compose, warp
from mmreg.structures import Fields

from .registrar import Registrar


@REGISTRARS.register_module()
class CascadeRegistrar(Registrar):
    """The pipeline applied ``stages`` times with shared weights: ``u <- u_k + u o (id + u_k)``.

    Stage k sees the fixed image and the *original* moving image warped by the composed displacement so far, so that it
    is interpolated once. Losses see the composed displacement and, as velocities, those of the last stage; a
    regulariser of the whole field says ``on='displacement'``. ``extras['stages']`` holds the displacement of every
    stage, on the padded grid.

    Args:
        stages: Number of passes; 1 is :class:`Registrar`.
        kwargs: See :class:`Registrar`.

    Raises:
        ConfigError: fewer than one stage.

    Source: the NLST solution of LKU-Net (Learn2Reg 2022, three stages).
    """

    def __init__(self, *args: Any, stages: int = 2, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if stages < 1:
            raise ConfigError(f'model.stages is {stages}, expected 1 or more.')
        self.stages = stages

    def fields(self, inputs: Mapping[str, Any]) -> Fields:
        """The composed displacement of all stages, and of the last stage everything else."""
        moving = inputs['moving']
        forward: Tensor | None = None
        backward: Tensor | None = None
        steps: list[Tensor] = []
        for _ in range(self.stages):
            seen = inputs if forward is None else {**inputs, 'moving': warp(moving, forward)}
            fields = super().fields(seen)
            steps.append(fields.displacement)
            forward = steps[-1] if forward is None else compose(forward, steps[-1])
            if fields.inverse_displacements:  # the inverse of a composition: the inverses, in the other order
                inverse = fields.inverse_displacements[0]
                backward = inverse if backward is None else compose(inverse, backward)
        assert forward is not None
        backwards = [] if backward is None else [backward]
        extras = {**fields.extras, 'stages': steps}
        return replace(fields, displacements=[forward], inverse_displacements=backwards, extras=extras)
