"""A field of free parameters: the flow head of registration without a network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.models.base import FeatureSpec, FlowHead, Guidance, Integrator, LevelFeatures, require
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import compose, resize_field
from mmreg.spatial.gradient import differences
from mmreg.structures import Fields

UPDATES = ('compose', 'add')


@FLOW_HEADS.register_module()
class FreeField(FlowHead):
    """The flow of one batch of pairs, held here and moved by an optimiser (``mmreg.engine.optimisation``).

    Nothing is learned and nothing is stored in a checkpoint: features only tell the size of the grid. A field on
    another grid than the images is brought to theirs after integration, so that it may be coarser.

    Args:
        features: What the backbone returns; anything fits.
        update: How an increment ``w`` (voxels) joins the field ``u``. ``'compose'``: the map ``id + u`` after
            ``id + w``; small smooth increments keep the map invertible. ``'add'``: ``u + w``, for a velocity that an
            integrator turns into a map.
        padding: The field outside its grid while composing, ``'border'`` or ``'zeros'``.

    Attributes:
        field: ``(N, ndim, *grid)`` voxels of its own grid; None stands for the identity at the images' size.

    Raises:
        ConfigError: an unknown update or padding.

    Source: greedy compositional updates (Christensen et al., IEEE TIP 1996; Joshi et al., NeuroImage 2004).
    """

    def __init__(self, features: FeatureSpec, update: str = 'compose', padding: str = 'border'):
        super().__init__(features)
        require(update in UPDATES, self, f'got update={update!r}, expected one of {UPDATES}.')
        require(padding in ('border', 'zeros'), self, f"got padding={padding!r}, expected 'border' or 'zeros'.")
        self.update, self.padding = update, padding
        self.field: Tensor | None = None

    def reset(self, field: Tensor | None) -> None:
        """Start from ``field`` ``(N, ndim, *grid)``; None: from the identity."""
        self.field = None if field is None else field.detach().requires_grad_()

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """The field at the size of the finest features: one level, no backward direction."""
        first = features[0] if isinstance(features[0], Tensor) else features[0][0]
        size = list(first.shape[2:])
        if self.field is None:
            zero = torch.zeros(len(first), len(size), *size, device=first.device, dtype=_coordinates(first))
            self.field = zero.requires_grad_()
        displacement = integrator(self.field)
        if list(displacement.shape[2:]) != size:
            displacement = resize_field(displacement, size=size, values='aligned')
        return Fields([displacement], [self.field])

    def slope(self, gradient: Tensor) -> Tensor:
        """Gradient by the increment at rest, from the gradient by the field; both ``(N, ndim, *grid)``.

        For ``'compose'`` the chain rule gives the transposed Jacobian of the map times the gradient:
        ``d/dw L((id + u) o (id + w)) = (I + Du)^T dL/du`` at ``w = 0``.
        """
        assert self.field is not None
        if self.update == 'add':
            return gradient
        columns = differences(self.field.detach(), 'central', None)
        result = [gradient[:, j] + (column * gradient).sum(1) for j, column in enumerate(columns)]
        return torch.stack(result, dim=1)

    def move(self, increment: Tensor) -> None:
        """Join an increment ``(N, ndim, *grid)``, voxels."""
        assert self.field is not None
        field = self.field.detach()
        moved = field + increment if self.update == 'add' else compose(field, increment, self.padding)
        self.reset(moved)


def _coordinates(like: Tensor) -> torch.dtype:
    return torch.float64 if like.dtype == torch.float64 else torch.float32
