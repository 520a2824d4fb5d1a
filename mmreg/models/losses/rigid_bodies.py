"""Global rigidity: each labelled body should follow one rigid motion (rigid field, rigid Dice)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial import identity_grid, rotation_matrix, sample
from mmreg.spatial.grid import voxel_size
from mmreg.spatial.rigid import RigidMotion, best_rigid_motion, mass_centre, present_classes, vectors_at
from mmreg.spatial.stored_gradient import inner_graph

from .rigidity import BodyLoss


class SoftBody(NamedTuple):
    """One body of one sample: as labelled ``source`` (*S) and on the fixed grid ``warped`` (*S), both soft."""

    source: Tensor
    warped: Tensor


class _BodiesLoss(BodyLoss):
    """What rigid field and rigid Dice share: finding the bodies of a sample and their motions.

    Bodies with at most ``min_voxels`` voxels before or after warping are left out.
    """

    def __init__(
        self,
        spacing: float | Sequence[float] | None,
        label_frame: str,
        num_samples: int | None,
        min_voxels: int,
        seed: int | None,
    ) -> None:
        super().__init__('voxel' if spacing is None else 'mm', spacing, label_frame)
        if num_samples is not None and num_samples < 1:
            raise ConfigError(f'{type(self).__name__}: num_samples={num_samples}, expected None or at least 1.')
        self.num_samples, self.min_voxels, self.seed = num_samples, min_voxels, seed

    def penalty(self, field: Tensor, labels: Tensor | None, mask: Tensor | None) -> Tensor:
        if labels is None:
            return field.sum() * 0
        generator = None if self.seed is None else torch.Generator().manual_seed(self.seed)
        values = []
        for n in range(len(field)):
            weight = None if mask is None else mask[n if len(mask) > 1 else 0, 0]
            values.append(self.sample_penalty(field[n], list(self.bodies(field[n], labels[n])), weight, generator))
        return torch.stack(values).mean()

    def sample_penalty(
        self, field: Tensor, bodies: list[SoftBody], mask: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """Loss of one sample: ``field`` (ndim, *S)."""
        raise NotImplementedError

    @torch.no_grad()
    def bodies(self, field: Tensor, labels: Tensor) -> Iterator[SoftBody]:
        """Bodies of one sample that are large enough, in the order of their labels (1, *S)."""
        for value in present_classes(labels):
            source = labels == value
            if int(source.sum()) <= self.min_voxels:
                continue
            warped = self.on_grid(source[None], field[None])[0, 0]
            if float(warped.sum()) > self.min_voxels and bool((warped >= 0.5).any()):
                yield SoftBody(source[0].to(field.dtype), warped)

    def step(self, field: Tensor) -> Tensor:
        """Voxel size in the unit of the motion (ndim)."""
        return field.new_tensor(voxel_size(self.spacing, len(field), type(self).__name__))

    def motions(self, field: Tensor, bodies: list[SoftBody], generator: torch.Generator | None) -> RigidMotion:
        """Best motions of the bodies under ``field`` (ndim, *S), coordinates = voxel index times voxel size.

        Points are voxels whose warped label is at least 0.5. As published, the bodies turn about the centres of mass
        of their soft labels rather than the means of the points; fixed labels have no moving counterpart, so there it
        is the means.
        """
        step = self.step(field).double()
        index = [self._draw((body.warped >= 0.5).nonzero(), generator) for body in bodies]
        which = torch.cat([torch.full((len(p),), k, device=p.device) for k, p in enumerate(index)])
        places = torch.cat(index)
        points = places.double() * step
        moved = points + vectors_at(field, places).double() * step
        centres: list[Tensor | None] = [None, None]
        if self.label_frame == 'moving':
            centres = [torch.stack([mass_centre(x) for x in column]) * step for column in zip(*_swap(bodies))]
        return best_rigid_motion(points, moved, which, len(bodies), None, *centres)

    def _draw(self, candidates: Tensor, generator: torch.Generator | None) -> Tensor:
        if self.num_samples is None:
            return candidates
        chosen = torch.randint(len(candidates), (self.num_samples,), generator=generator)
        return candidates[chosen.to(candidates.device)]


@LOSSES.register_module()
class RigidField(_BodiesLoss):
    r"""Distance from rigid: ``mean_n sum_x | u_rigid - (sum_k y_k) u | / sum_{k,x} y_k``, in [0, inf), voxels or mm.

    ``u_rigid = sum_k y_k (R_k x + t_k - x)`` with ``y_k`` the warped label of body ``k`` and ``(R_k, t_k)`` its best
    rigid motion under ``u``. Labels and motions are constants of the gradient, as published (the poster calls it a
    squared error, the code does not square; ``penalty='l2'`` does). 0 if every body moves rigidly.

    Source: spine system ``rigid_field`` (``num_samples=256``). Saved for backward: ``sum_k y_k``, the distance and its
    direction: as much as ``u_rigid`` and two volumes.

    Args:
        penalty: 'distance' or 'l2' (squared distance).
        spacing: voxel size in mm; the result is then in mm and rotations are those of space, not of the grid.
        label_frame: whose labels are handed over, 'moving' or 'fixed'.
        num_samples: points drawn per body with replacement; None takes all of them and is deterministic.
        min_voxels: bodies with as many voxels or fewer are ignored.
        seed: of the draw, anew at each call; None uses torch's global generator.
        through_motion: let the gradient flow through the fit too (memory: two volumes per body).
    """

    def __init__(
        self,
        penalty: str = 'distance',
        spacing: float | Sequence[float] | None = None,
        label_frame: str = 'moving',
        num_samples: int | None = None,
        min_voxels: int = 100,
        seed: int | None = None,
        through_motion: bool = False,
    ) -> None:
        super().__init__(spacing, label_frame, num_samples, min_voxels, seed)
        if penalty not in ('distance', 'l2'):
            raise ConfigError(f'RigidField: penalty={penalty!r} is unknown, expected "distance" or "l2".')
        self.of, self.through_motion = penalty, through_motion

    def sample_penalty(
        self, field: Tensor, bodies: list[SoftBody], mask: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """Distance of ``field`` ``(ndim, *S)`` from rigid, over the bodies of one sample."""
        if not bodies:
            return field.sum() * 0
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.through_motion):
            rigid = self._rigid_displacement(field, bodies, self.motions(field, bodies, generator))
        step = self.step(field).view(-1, *[1] * (field.dim() - 1))
        body = torch.stack([b.warped for b in bodies]).sum(0)
        weight = body if mask is None else body * mask
        away = rigid - body * (field * step)
        square = away.square().sum(0) if self.of == 'l2' else torch.linalg.vector_norm(away, dim=0)
        square = square if mask is None else square * mask
        return square.sum() / weight.sum().clamp_min(torch.finfo(field.dtype).tiny)

    def _rigid_displacement(self, field: Tensor, bodies: list[SoftBody], motion: RigidMotion) -> Tensor:
        """``sum_k y_k (R_k x + t_k - x)`` (ndim, *S) in the unit of the motion."""
        points = identity_grid(field.shape[1:], device=field.device, dtype=field.dtype)
        points = points * self.step(field).view(-1, *[1] * (field.dim() - 1))
        total = torch.zeros_like(field)
        for k, body in enumerate(bodies):
            total = total + body.warped * motion.displacement(k, points)
        return total


@LOSSES.register_module()
class RigidDice(_BodiesLoss):
    r"""Rigid Dice: ``mean_k 1 - (2 sum y_k S_k^rigid + eps) / (sum y_k + sum S_k^rigid + eps)``, in [0, 1].

    ``y_k`` is the label of body ``k`` warped by the field, ``S_k^rigid`` the same label moved by the rigid motion that
    resembles ``y_k`` most: from the best motion under the field (:class:`RigidField`), Adam minimises
    ``sum_x (y_k - S_k(R x + t))^2`` over Euler angles and translation. Gradient through ``y_k`` only. Works under
    ``no_grad`` as a measure.

    Source: spine system ``rigid_dice`` (``num_samples=256``). Saved for backward: per body its label and, cropped
    to a box, its rigidly moved label; labels are warped again in the backward pass.

    Args:
        spacing: voxel size in mm; translations are then in mm and rotations those of space.
        num_samples, min_voxels, seed: as :class:`RigidField`.
        lr: of Adam, in radians and voxels (mm) alike.
        num_iterations: steps of Adam.
        step_size, gamma: every ``step_size`` steps the rate is multiplied by ``gamma``.
        centre: rotate about the array's origin ('origin', as published: badly conditioned) or the body's centre of
            mass ('mass').
        margin: the cost is summed over the box around both labels plus this many voxels.
        eps: added to numerator and denominator.
    """

    def __init__(
        self,
        spacing: float | Sequence[float] | None = None,
        num_samples: int | None = None,
        min_voxels: int = 100,
        seed: int | None = None,
        lr: float = 1e-2,
        num_iterations: int = 50,
        step_size: int = 10,
        gamma: float = 0.5,
        centre: str = 'origin',
        margin: int = 8,
        eps: float = 1e-5,
    ) -> None:
        super().__init__(spacing, 'moving', num_samples, min_voxels, seed)
        if centre not in ('origin', 'mass'):
            raise ConfigError(f'RigidDice: centre={centre!r} is unknown, expected "origin" or "mass".')
        self.lr, self.num_iterations, self.step_size, self.gamma = lr, num_iterations, step_size, gamma
        self.centre, self.margin, self.eps = centre, margin, eps

    def sample_penalty(
        self, field: Tensor, bodies: list[SoftBody], mask: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """Mean over the bodies of one sample, ``field`` ``(ndim, *S)``."""
        if not bodies:
            return field.sum() * 0
        with torch.no_grad():
            motion = self.motions(field, bodies, generator)
        losses = []
        for k, body in enumerate(bodies):
            box = bounding_box((body.warped > 0) | (body.source > 0), self.margin)
            rigid = self.rigid_label(body, self.closest_motion(body, motion.body(k), box), box)
            losses.append(checkpoint(self._dice, field, body.source, rigid, box, mask, use_reentrant=False))
        return torch.stack(losses).mean()

    def _dice(
        self, field: Tensor, source: Tensor, rigid: Tensor, box: tuple[slice, ...], mask: Tensor | None
    ) -> Tensor:
        warped = self.on_grid(source[None, None], field[None])[0, 0]
        if mask is not None:
            warped, rigid = warped * mask, rigid * mask[box]
        both = (warped[box] * rigid).sum()
        return 1 - (2 * both + self.eps) / (warped.sum() + rigid.sum() + self.eps)

    def closest_motion(self, body: SoftBody, start: RigidMotion, box: tuple[slice, ...]) -> RigidMotion:
        """The motion, found from ``start``, by which the moved label resembles the warped one most inside ``box``."""
        step = self.step(body.source[None].expand(body.source.dim(), *body.source.shape))
        points, target = box_points(box, step), body.warped[box].flatten()
        pivot = mass_centre(body.warped).to(step) * step if self.centre == 'mass' else torch.zeros_like(step)
        angles = euler_angles(start.rotation[0]).to(step)
        shift = (start.translation[0] + start.rotation[0] @ pivot.double() - pivot.double()).to(step)

        def motion() -> RigidMotion:
            rotation = rotation_matrix(angles[None])
            return RigidMotion(rotation, (pivot + shift - rotation[0] @ pivot)[None])

        with torch.enable_grad(), inner_graph():
            angles, shift = angles.detach().requires_grad_(), shift.detach().requires_grad_()
            optimiser = torch.optim.Adam([angles, shift], lr=self.lr)
            for iteration in range(self.num_iterations):
                optimiser.param_groups[0]['lr'] = self.lr * self.gamma ** (iteration // self.step_size)
                cost = (target - moved_body(body.source, motion(), points, step)).square().sum()
                angles.grad, shift.grad = torch.autograd.grad(cost, (angles, shift))
                optimiser.step()
        with torch.no_grad():
            return motion()

    def rigid_label(self, body: SoftBody, motion: RigidMotion, box: tuple[slice, ...]) -> Tensor:
        """``S(R x + t)`` inside ``box``, for the motion of one body."""
        step = self.step(body.source[None].expand(body.source.dim(), *body.source.shape))
        return moved_body(body.source, motion, box_points(box, step), step).view([s.stop - s.start for s in box])


def box_points(box: Sequence[slice], step: Tensor) -> Tensor:
    """Voxels of a box (ndim, P) times the voxel size."""
    size = [s.stop - s.start for s in box]
    first = step.new_tensor([s.start for s in box])[:, None]
    return (identity_grid(size, device=step.device, dtype=step.dtype).flatten(1) + first) * step[:, None]


def moved_body(source: Tensor, motion: RigidMotion, points: Tensor, step: Tensor) -> Tensor:
    """``source`` (*S) read at ``R x + t`` for ``points`` (ndim, P), zero outside: (P,)."""
    turned = motion.rotation[0].to(points) @ points + motion.translation[0].to(points)[:, None]
    return sample(source[None, None], (turned / step[:, None]).T[None])[0, 0]


def euler_angles(rotation: Tensor) -> Tensor:
    """Angles about axes 0, 1, 2 of ``R = R_2 R_1 R_0`` (3,), or the angle of a rotation in the plane (1,), radians."""
    if len(rotation) == 2:
        return torch.atan2(rotation[1, 0], rotation[0, 0])[None]
    return torch.stack(
        [
            torch.atan2(rotation[2, 1], rotation[2, 2]),
            -torch.asin(rotation[2, 0].clamp(-1, 1)),
            torch.atan2(rotation[1, 0], rotation[0, 0]),
        ]
    )


def bounding_box(inside: Tensor, margin: int) -> tuple[slice, ...]:
    """Slices of the smallest box around the true voxels of (*S), grown by ``margin`` within the array."""
    box = []
    for axis, n in enumerate(inside.shape):
        others = [a for a in range(inside.dim()) if a != axis]
        found = inside.any(dim=others).nonzero().flatten()
        first, last = (int(found[0]), int(found[-1])) if len(found) else (0, n - 1)
        box.append(slice(max(first - margin, 0), min(last + margin + 1, n)))
    return tuple(box)


def _swap(bodies: list[SoftBody]) -> list[tuple[Tensor, Tensor]]:
    """(warped, source) of each body: the order in which a motion maps."""
    return [(body.warped, body.source) for body in bodies]
