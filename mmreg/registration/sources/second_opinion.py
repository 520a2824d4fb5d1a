"""Never worse than the affine: what a similarity that was not optimised says of a deformation.

A loss can be driven far down by a field that tears the anatomy apart, if it does not suit the images. Another measure
of likeness, which the field was not fitted to, then gets worse; the field is halved, or dropped. Where images are
hardly alike even so, two halves of their voxels have to agree on the field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mmreg.models import Registrar
from mmreg.models.losses.base import ImageLoss
from mmreg.registration.optimisation.levels import Grid, on_grid
from mmreg.registry import LOSSES
from mmreg.spatial import resize_field, warp

from .reproducible import BELIEVED, agreement, doubtful

#: What is asked, the first whose type no image loss of the model has.
_OPINIONS: tuple[dict[str, Any], ...] = (
    dict(type='MINDSSC', radius=1, dilation=1),
    dict(type='LNCC', window=7, masked_statistics=True),
)
#: The other measure (0 to 1) may get worse by this share of its value and so much more: of near equals noise decides.
#: Of 37 right deformations none left more than 0.96 of it.
_TOLERATED, _SLIGHT = 0.02, 0.003
#: A deformation carries at least this share of what both images show to where the moving image still shows something.
_STAYS = 0.5
#: Parts of the field that are tried where the whole of it is doubted.
_PARTS = (0.5, 0.25)


@dataclass(frozen=True)
class Opinion:
    """What came out of it for one pair.

    Attributes:
        measure: Which was asked.
        before: Its value without the deformation, lower is better.
        after: With the deformation as it was found.
        kept: Part of the deformation that is kept, 0 to 1.
        agreement: How much two halves of the voxels agree on the field, up to 1; None where they were not asked.
        stays: Share of what both images showed that the moving image still shows after the deformation.
    """

    measure: str
    before: float
    after: float
    kept: float
    agreement: float | None = None
    stays: float = 1.0

    @property
    def warning(self) -> str | None:
        """A sentence where not all is kept."""
        if self.kept == 1:
            return None
        done = 'it was left out, so that the affine alone remains' if self.kept == 0 else f'{self.kept:g} of it is kept'
        if self.agreement is not None:
            return (
                'the deformation is more chance than what the images show (two halves of the voxels, asked apart, '
                f'agree on {100 * max(self.agreement, 0):.0f} % of it): {done}. Another preset may suit.'
            )
        if self.stays < _STAYS:
            return (
                f'the deformation left {100 * self.stays:.0f} % of what both images show inside the moving image, '
                f'expected at least {100 * _STAYS:.0f} %: {done}. Another preset, or a better start, may suit.'
            )
        return (
            f'the deformation made the images less alike in a measure that it was not fitted to ({self.measure} '
            f'{self.before:.4g} before, {self.after:.4g} after): {done}. Another preset may suit.'
        )


@torch.no_grad()
def second_opinion(
    model: Registrar,
    inputs: Mapping[str, Any],
    displacement: Tensor,
    settings: Mapping[str, Any] | None = None,
    fitted_to: Mapping[str, Any] | None = None,
) -> list[Opinion | None]:
    """Ask for every pair of a batch; None where there is nothing to ask.

    Args:
        model: Whose losses the displacement was fitted to.
        inputs: ``fixed``, ``moving``, masks and ``spacing``, as :func:`optimise` was given them.
        displacement: ``(N, ndim, *S)`` voxels.
        settings: The ``optimisation`` that found it, with which halves of the voxels are asked; None: they are not.
        fitted_to: What it was fitted to, where that is not ``inputs``: then self-similarity of ``inputs`` is asked.
    """
    terms: list[Any] = [] if model.objective is None else list(model.objective.terms.values())
    losses = [loss for term in terms if term.kind == 'image' for loss in term.losses]
    elsewhere = fitted_to is not None and fitted_to is not inputs
    used = set() if elsewhere else {type(loss).__name__ for loss in losses}
    config = next((config for config in _OPINIONS if config['type'] not in used), None)
    others = {term.kind for term in terms} - {'image', 'field'}
    if not losses or config is None or others:  # labels and landmarks know better
        return [None] * len(displacement)
    loss = LOSSES.build(dict(config))
    found: list[Opinion | None] = [
        _asked(loss, _pair(inputs, n), displacement[n : n + 1]) for n in range(len(displacement))
    ]
    fitted = inputs if fitted_to is None else fitted_to
    doubts = [] if settings is None else doubtful(fitted)
    if not any(doubts):
        return found
    shares = agreement(model, fitted, settings or {})
    return [_agreed(opinion, share) if doubt else opinion for opinion, share, doubt in zip(found, shares, doubts)]


def _agreed(opinion: Opinion | None, share: float) -> Opinion | None:
    if opinion is None or opinion.kept == 0 or share >= BELIEVED:
        return opinion
    return replace(opinion, kept=0.0, agreement=share)


def _pair(inputs: Mapping[str, Any], n: int) -> dict[str, Any]:
    """One pair at half the resolution, where noise does not decide."""
    keys = ('fixed', 'moving', 'fixed_mask', 'moving_mask')
    own = {key: inputs[key][n : n + 1] for key in keys if key in inputs}
    full = Grid(tuple(own['fixed'].shape[2:]), tuple(inputs['spacing']))
    return on_grid(own, full, full.coarser(2 * full.finest))


def _asked(loss: ImageLoss, data: Mapping[str, Any], displacement: Tensor) -> Opinion:
    size = list(data['fixed'].shape[2:])
    whole = resize_field(displacement, size=size, values='aligned')
    at_start, at_end = (_seen(data, part * whole) for part in (0.0, 1.0))
    both = at_start * at_end
    mask = both if bool(both.any()) else at_start

    def value(part: float) -> float:
        return float(loss(warp(data['moving'], part * whole, padding='border'), data['fixed'], mask))

    def share_of(left: Tensor) -> float:
        return float(left.sum() / at_start.sum().clamp_min(1))

    before, after = value(0.0), value(1.0)
    kept, share = 1.0, share_of(both) if bool(at_start.any()) else 1.0
    if after > (1 + _TOLERATED) * before + _SLIGHT or share < _STAYS:
        parts = (
            part
            for part in _PARTS
            if value(part) <= before and share_of(at_start * _seen(data, part * whole)) >= _STAYS
        )
        kept = next(parts, 0.0)
    return Opinion(type(loss).__name__, before, after, kept, stays=share)


def _seen(data: Mapping[str, Any], field: Tensor) -> Tensor:
    mask = data.get('fixed_mask', torch.ones_like(data['fixed'][:, :1])).float()
    moving = data.get('moving_mask', torch.ones_like(data['fixed'][:, :1])).float()
    return ((mask >= 0.5) & (warp(moving, field) >= 0.5)).float()


def restrained(displacement: Tensor, opinions: Sequence[Opinion | None]) -> Tensor:
    """The displacements ``(N, ndim, *S)``, of each the part that is kept."""
    parts = [1.0 if opinion is None else opinion.kept for opinion in opinions]
    if all(part == 1 for part in parts):
        return displacement
    return displacement * displacement.new_tensor(parts).view(-1, *[1] * (displacement.dim() - 1))
