"""A field of free parameters: the flow head of registration without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmreg.models.base import FeatureSpec, FlowHead, Guidance, Integrator, LevelFeatures, require
from mmreg.registry import FLOW_HEADS
from mmreg.spatial import compose, invert_multilevel, jacobian_determinant, resize_field, warp
from mmreg.spatial.compiled.stepping import serves_step, transposed
from mmreg.spatial.gradient import differences
from mmreg.structures import Fields

UPDATES = ('compose', 'add')
#: Steps of the fixed point per increment that keep the inverse an inverse, and their damping.
CORRECTIONS, DAMPING = 1, 0.7


@FLOW_HEADS.register_module()
class FreeField(FlowHead):
    """The flow of one batch of pairs, held here and moved by an optimiser (``mmreg.registration.optimisation``).

    Nothing is learned and nothing is stored in a checkpoint, and no feature is looked at. A field on another grid than
    the images is brought to theirs after integration, so that it may be coarser.

    Args:
        features: What the backbone returns; anything fits.
        update: How an increment ``w`` (voxels) joins the field ``u``. ``'compose'``: the map ``id + u`` after
            ``id + w``; small smooth increments keep the map invertible. ``'add'``: ``u + w``, for a velocity that an
            integrator turns into a map.
        padding: The field outside its grid while composing, ``'border'`` or ``'zeros'``.
        symmetric: Carry the inverse along, so that losses with ``direction='backward'`` or ``'both'`` act as well;
            only with ``update='compose'``. About twice the time.

    Attributes:
        field: ``(N, ndim, *grid)`` voxels of its own grid; None stands for the identity at the images' size.
        inverse: Displacement of the inverse map on the same grid where ``symmetric``, else None.

    Raises:
        ConfigError: an unknown update or padding.

    Source: greedy compositional updates (Christensen et al., IEEE TIP 1996; Joshi et al., NeuroImage 2004).
    """

    def __init__(
        self, features: FeatureSpec, update: str = 'compose', padding: str = 'border', symmetric: bool = False
    ):
        super().__init__(features)
        require(update in UPDATES, self, f'got update={update!r}, expected one of {UPDATES}.')
        require(padding in ('border', 'zeros'), self, f"got padding={padding!r}, expected 'border' or 'zeros'.")
        require(not symmetric or update == 'compose', self, "got symmetric=True, expected update='compose' with it.")
        self.update, self.padding, self.symmetric = update, padding, symmetric
        self.field: Tensor | None = None
        self.inverse: Tensor | None = None

    def reset(self, field: Tensor | None) -> None:
        """Start from ``field`` ``(N, ndim, *grid)``; None: from the identity."""
        self.field = None if field is None else field.detach().requires_grad_()
        self.inverse = None
        if field is not None and self.symmetric:
            self.inverse = invert_multilevel(field, iterations=0, padding=self.padding)[0].requires_grad_()

    @property
    def leaves(self) -> list[Tensor]:
        """The tensors that a loss is differentiated by: the field and, where there is one, its inverse."""
        return [field for field in (self.field, self.inverse) if field is not None]

    def forward(self, features: Sequence[LevelFeatures], integrator: Integrator, guidance: Guidance) -> Fields:
        """The field at the size of the images: one level, no backward direction."""
        image = guidance['fixed']
        size = list(image.shape[2:])
        if self.field is None:
            zero = torch.zeros(len(image), len(size), *size, device=image.device, dtype=_coordinates(image))
            self.reset(zero)
        assert self.field is not None
        backward = [] if self.inverse is None else [_at_size(self.inverse, size)]
        return Fields([_at_size(integrator(self.field), size)], [self.field], backward)

    def increment_gradient(self, gradient: Tensor, backward: Tensor | None = None) -> Tensor:
        """Gradient by the increment at rest, ``(N, ndim, *grid)``.

        For ``'compose'`` the chain rule gives the transposed Jacobian of the map times the gradient:
        ``d/dw L((id + u) o (id + w)) = (I + Du)^T dL/du`` at ``w = 0``. The inverse changes by ``-w`` at the place it
        maps to, so its gradient ``h`` is brought to the fixed image's space: ``-det(I + Du) h o (id + u)``.

        Args:
            gradient: By the field.
            backward: By its inverse, where a loss looks at it.
        """
        assert self.field is not None
        if self.update == 'add':
            return gradient
        field = self.field.detach()
        if serves_step(field, gradient):
            result = transposed(field, gradient)
        else:
            columns = differences(field, 'central', None)
            result = torch.stack([gradient[:, j] + (c * gradient).sum(1) for j, c in enumerate(columns)], dim=1)
        if backward is not None:
            volume = jacobian_determinant(field).clamp_(min=0).unsqueeze(1)
            result = result - volume * warp(backward, field, padding='zeros')
        return result

    def move(self, increment: Tensor, smooth: Callable[[Tensor], Tensor] | None = None) -> None:
        """Join an increment ``(N, ndim, *grid)``, voxels; ``smooth`` is applied to the field that results."""
        assert self.field is not None
        field = self.field.detach()
        moved = field + increment if self.update == 'add' else compose(field, increment, self.padding)
        moved = moved if smooth is None else smooth(moved)
        self.field = moved.requires_grad_()
        if self.inverse is not None:
            # (id + w)^-1 is id - w to first order; the fixed point takes away what is left, and the smoothing.
            inverse = compose(-increment, self.inverse.detach(), self.padding)
            for _ in range(CORRECTIONS):
                inverse = inverse.sub(compose(moved.detach(), inverse, self.padding), alpha=DAMPING)
            self.inverse = inverse.requires_grad_()


def _at_size(field: Tensor, size: list[int]) -> Tensor:
    return field if list(field.shape[2:]) == size else resize_field(field, size=size, values='aligned')


def _coordinates(like: Tensor) -> torch.dtype:
    return torch.float64 if like.dtype == torch.float64 else torch.float32
