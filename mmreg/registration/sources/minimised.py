"""The similarity that an optimisation minimised, with and without the deformation that it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmreg.models import Registrar
from mmreg.models.level_data import LevelData
from mmreg.models.terms import Term
from mmreg.registration.optimisation.levels import Grid, make_stages, on_grid
from mmreg.registration.optimisation.settings import Settings
from mmreg.spatial import resize_field, warp
from mmreg.spatial.view import in_view
from mmreg.structures import Fields


@dataclass(frozen=True)
class Minimised:
    """Weighted sum of the image losses of a model for one pair, on the finest grid that was optimised; lower is better.

    Attributes:
        terms: What was summed, such as ``'LNCC'``.
        before: Without the deformation, after the affine.
        after: With it, where the same voxels count.
    """

    terms: str
    before: float
    after: float


@torch.no_grad()
def minimised(
    model: Registrar, inputs: Mapping[str, Any], settings: Mapping[str, Any] | Settings, displacement: Tensor
) -> list[Minimised | None]:
    """Of every pair of a batch; None where the model has no image loss.

    Args:
        model: Whose losses were minimised.
        inputs: ``fixed``, ``moving``, masks and ``spacing``, as the optimisation was given them.
        settings: Its levels.
        displacement: ``(N, ndim, *S)`` voxels of the working grid.
    """
    terms: list[Any] = [] if model.objective is None else list(model.objective.terms.values())
    terms = [term for term in terms if term.kind == 'image' and term.config.weight]
    if not terms:
        return [None] * len(displacement)
    settings = settings if isinstance(settings, Settings) else Settings.parse(settings)
    full = Grid(tuple(inputs['fixed'].shape[2:]), tuple(inputs['spacing']))
    grid = make_stages(settings, full)[-1].images
    names = ' + '.join(dict.fromkeys(type(term.losses[0]).__name__ for term in terms))
    found: list[Minimised | None] = []
    for n in range(len(displacement)):
        data = {**on_grid(_own(inputs, n), full, grid), 'spacing': grid.spacing}
        field = resize_field(displacement[n : n + 1], size=list(grid.size), values='aligned')
        data['fixed_mask'] = _compared(data, field)
        found.append(Minimised(names, *(_value(terms, model, data, u) for u in (torch.zeros_like(field), field))))
    return found


def _own(inputs: Mapping[str, Any], n: int) -> dict[str, Any]:
    keys = ('fixed', 'moving', 'fixed_mask', 'moving_mask')
    return {key: inputs[key][n : n + 1] for key in keys if key in inputs}


def _compared(data: Mapping[str, Any], field: Tensor) -> Tensor:
    """``(1, 1, *S)``: what both images show before and after; all where that is nowhere."""
    everywhere = torch.ones_like(data['fixed'][:, :1])
    moving = data.get('moving_mask', everywhere).float()
    inside = (data.get('fixed_mask', everywhere) >= 0.5) & (moving >= 0.5) & (warp(moving, field) >= 0.5)
    return inside.to(everywhere) if bool(inside.any()) else everywhere


def _value(terms: list[Any], model: Registrar, data: dict[str, Any], field: Tensor) -> float:
    assert model.objective is not None
    shared = LevelData(Fields([field]), data, model.objective.pyramid, None, 1)
    return sum(float(term.config.weight) * _loss(term, shared, field) for term in terms)


def _loss(term: Term, data: LevelData, field: Tensor) -> float:
    """The moving image onto the fixed one, whatever the direction of the term."""
    warped, fixed = data.warped('moving', field, term, 0), data.image('fixed', 0)
    if term.config.outside == 'hidden':
        inside = in_view(field).to(warped)
        warped, fixed = warped * inside, fixed * inside
    loss: Any = term.losses[0]
    return float(loss(warped, fixed, mask=data.mask('fixed', 0), **data.known(loss, 0)))
