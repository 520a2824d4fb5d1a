"""An articulated spine: bodies that move rigidly, each by its own known motion, in soft tissue that follows smoothly.

Everything is defined in the space of the moving image (CT). Body ``k`` is a set of points ``y`` there; its motion
``y = R_k (x - f_k) + c_k`` says where a point ``x`` of the fixed image (MR) came from, so that the displacement
``u(x) = R_k (x - f_k) + c_k - x`` is exactly rigid inside every fixed label. Between the bodies ``u`` is the mean of
their motions, weighted by the inverse squared distance, fading to a smooth deformation of the soft tissue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmreg.errors import ConfigError
from mmreg.spatial import identity_grid, rotation_matrix, warp

from .seeding import stable_seed
from .synthesis import smooth_noise

#: Parts of a vertebra: centre and half axes in shares of (width, depth, height) of its body, exponent of the norm.
_PARTS = (
    ((0.0, 0.0, 0.0), (1.0, 0.85, 1.0), 4),
    ((0.75, 1.45, 0.0), (0.28, 0.7, 0.45), 2),
    ((-0.75, 1.45, 0.0), (0.28, 0.7, 0.45), 2),
    ((0.0, 2.3, -0.15), (0.3, 0.75, 0.4), 2),
)
#: Mean intensity of air, muscle, fat, disc, canal, cancellous and cortical bone.
_CT = (-1000.0, 50.0, -100.0, 90.0, 20.0, 280.0, 900.0)
_MR = (0.02, 0.38, 0.85, 0.32, 0.22, 0.62, 0.08)


@dataclass(frozen=True)
class SpineVariation:
    """How much phantoms differ and bodies move.

    Attributes:
        rotation_deg: Largest rotation of a body about each axis, degrees.
        shift: Largest shift of a body along each axis against its neighbours' mean, voxels.
        bend_deg: Largest bending of the whole spine over its length, degrees.
        soft: Standard deviation of the soft tissue's own deformation, voxels.
        reach: Distance from the bodies at which their pull has halved, voxels.
        noise_ct: Standard deviation of the CT's noise, HU.
        noise_mr: Standard deviation of the MR's noise; its intensities are in [0, 1].
        bias: Standard deviation of the logarithm of the MR's bias field.
    """

    rotation_deg: float = 7.0
    shift: float = 1.2
    bend_deg: float = 12.0
    soft: float = 0.8
    reach: float = 8.0
    noise_ct: float = 30.0
    noise_mr: float = 0.03
    bias: float = 0.15


@dataclass(frozen=True)
class SpinePair:
    """A phantom pair on one grid.

    Attributes:
        fixed: MR-like ``(1, *size)`` float32.
        moving: CT-like, Hounsfield units.
        fixed_labels: ``(1, *size)`` int16.
        moving_labels: The same of the CT.
        displacement: ``(3, *size)`` voxels, fixed -> moving.
        valid: Where ``displacement`` stays inside the moving grid, ``(1, *size)`` bool.
        rotations: ``(K, 3, 3)``.
        translations: ``(K, 3)``: body k moves by ``x -> R_k x + t_k``, fixed to moving, voxels.
    """

    fixed: Tensor
    moving: Tensor
    fixed_labels: Tensor
    moving_labels: Tensor
    displacement: Tensor
    valid: Tensor
    rotations: Tensor
    translations: Tensor


@dataclass(frozen=True)
class _Spine:
    """Bodies at rest: ``centres`` (K, 3), ``radii`` (K, 3), and where fixed centres lie, ``rotations`` (K, 3, 3)."""

    centres: np.ndarray
    radii: np.ndarray
    fixed_centres: np.ndarray
    rotations: np.ndarray


def simulate_spine(
    size: Sequence[int], bodies: int | None, first_label: int, seed: int, number: int, variation: SpineVariation
) -> SpinePair:
    """Phantom ``number``: a pure function of all arguments.

    Args:
        size: Voxels per axis; the spine runs along the last one, processes point to the end of the second.
        bodies: Number of vertebrae; None: one per 16 voxels.
        first_label: Label of the first body; the others count up.
        seed: Another family for another seed.
        number: Of the phantom.
        variation: How much phantoms differ.

    Raises:
        ConfigError: not three axes of at least 8 voxels, or a negative number of bodies.
    """
    size = tuple(int(n) for n in size)
    if len(size) != 3 or min(size) < 8 or (bodies or 0) < 0:
        raise ConfigError(f'a spine phantom got size={size}, bodies={bodies}; expected three axes of 8 or more voxels.')
    rng = np.random.default_rng(stable_seed(seed, number))
    count = max(1, size[2] // 16) if bodies is None else bodies
    spine = _draw_spine(rng, size, count, variation)
    grid = identity_grid(size)
    resting = _depths(grid, spine)
    soft = torch.stack([smooth_noise(rng, size, [max(size) / 3] * 3) for _ in size]) * variation.soft
    displacement, fixed_depths = _displacement(grid, spine, soft, variation.reach)
    anatomy = _anatomy(rng, grid, spine, resting)
    moved = warp(anatomy[None], displacement[None], padding='border')[0]
    target = grid + displacement
    last = torch.tensor(size).view(3, 1, 1, 1) - 1
    offsets = spine.centres - np.einsum('kab,kb->ka', spine.rotations, spine.fixed_centres)
    return SpinePair(
        fixed=_render_mr(rng, moved, variation),
        moving=_render(rng, anatomy, _CT, variation.noise_ct),
        fixed_labels=_labels(fixed_depths, first_label),
        moving_labels=_labels(resting, first_label),
        displacement=displacement,
        valid=((target >= 0) & (target <= last)).all(0, keepdim=True),
        rotations=torch.from_numpy(spine.rotations),
        translations=torch.from_numpy(offsets),
    )


def _draw_spine(rng: np.random.Generator, size: Sequence[int], count: int, variation: SpineVariation) -> _Spine:
    pitch = size[2] / max(count, 1)
    radius = min(size[0], size[1]) * rng.uniform(0.19, 0.23)
    along = (np.arange(count) + 0.5 + rng.uniform(-0.15, 0.15)) * pitch
    curve = 0.03 * size[1] * np.sin(np.pi * along / size[2] + rng.uniform(-0.5, 0.5))
    centres = np.stack([np.full(count, size[0] / 2 - 0.5), 0.36 * size[1] + curve, along], axis=1)
    heights = np.minimum(0.34 * pitch, 1.1 * radius) * rng.uniform(0.92, 1.05, count)
    radii = np.stack(
        [radius * rng.uniform(0.92, 1.08, count), radius * rng.uniform(0.92, 1.08, count), heights], axis=1
    )
    own = rng.uniform(-1, 1, (count, 3)) * variation.rotation_deg
    # Bodies of a bent spine turn and shift together; what is left to each is small against the discs.
    place = (along - size[2] / 2) / size[2]
    bend = rng.uniform(-1, 1, 2) * variation.bend_deg
    own[:, :2] += place[:, None] * bend
    sag = np.radians(bend) * size[2] / 2 * place[:, None] ** 2
    shifts = rng.uniform(-1, 1, (count, 3)) * variation.shift + rng.uniform(-1, 1, 3) * variation.shift
    shifts[:, 0] += sag[:, 1]
    shifts[:, 1] -= sag[:, 0]
    rotations = rotation_matrix(torch.from_numpy(np.radians(own))).numpy() if count else np.zeros((0, 3, 3))
    return _Spine(centres, radii, centres - shifts, rotations)


def _local(points: Tensor, spine: _Spine, k: int, moved: bool) -> Tensor:
    """Points ``(3, *S)`` relative to the centre of body ``k`` of the moving image, or of the fixed one, turned back."""
    centre = torch.as_tensor((spine.fixed_centres if moved else spine.centres)[k]).to(points)
    local = points - centre.view(3, 1, 1, 1)
    return torch.tensordot(torch.as_tensor(spine.rotations[k]).to(points), local, 1) if moved else local


def _depth(local: Tensor, radii: np.ndarray) -> Tensor:
    """About the distance to a body's surface, voxels: negative inside, zero on it."""
    best = torch.full(local.shape[1:], torch.inf)
    for centre, axes, power in _PARTS:
        half = np.asarray(axes) * radii
        scaled = [(local[a] - centre[a] * radii[a]).div_(half[a]).square_() for a in range(3)]
        if power == 4:
            norm = (scaled[0].square_() + scaled[1].square_() + scaled[2].square_()).sqrt_().sqrt_()
        else:
            norm = (scaled[0] + scaled[1] + scaled[2]).sqrt_()
        best = torch.minimum(best, norm.sub_(1).mul_(float(half.min())))
    return best


def _depths(grid: Tensor, spine: _Spine) -> Tensor:
    """Depths of all bodies at rest, ``(K, *size)``."""
    found = [_depth(_local(grid, spine, k, False), spine.radii[k]) for k in range(len(spine.centres))]
    return torch.stack(found) if found else grid.new_zeros(0, *grid.shape[1:])


def _displacement(grid: Tensor, spine: _Spine, soft: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """Displacement of the fixed grid and the depths of the moved bodies in it."""
    pulls = torch.zeros_like(grid)
    total = torch.full(grid.shape[1:], reach**-2.0)
    pulls += soft * total
    depths, motions = [], []
    for k, centre in enumerate(spine.centres):
        local = _local(grid, spine, k, True)
        depths.append(_depth(local, spine.radii[k]))
        motions.append(local + torch.as_tensor(centre).to(grid).view(3, 1, 1, 1) - grid)
        weight = depths[-1].clamp_min(1e-3).pow(-2)
        pulls += weight * motions[-1]
        total += weight
    displacement = pulls / total
    if not depths:
        return displacement, grid.new_zeros(0, *grid.shape[1:])
    stacked = torch.stack(depths)
    nearest, which = stacked.min(0)
    for k, motion in enumerate(motions):  # exactly rigid inside
        displacement = torch.where((nearest <= 0) & (which == k), motion, displacement)
    return displacement, stacked


def _labels(depths: Tensor, first_label: int) -> Tensor:
    """``(1, *size)`` int16: the body that a voxel lies deepest in."""
    if not len(depths):
        return torch.zeros(1, *depths.shape[1:], dtype=torch.int16)
    nearest, which = depths.min(0, keepdim=True)
    return torch.where(nearest <= 0, which + first_label, 0).to(torch.int16)


def _anatomy(rng: np.random.Generator, grid: Tensor, spine: _Spine, depths: Tensor) -> Tensor:
    """Shares of the tissues ``(7, *size)`` in the moving space, in the order of the intensity tables."""
    size = grid.shape[1:]
    middle = torch.tensor([size[0] / 2 - 0.5, size[1] / 2 - 0.5]).view(2, 1, 1, 1)
    half = torch.tensor([0.49 * size[0], 0.49 * size[1]]).view(2, 1, 1, 1)
    skin = (((grid[:2] - middle) / half).square().sum(0).sqrt() - 1) * 0.49 * min(size[:2])
    body = _soft_step(-skin)
    fat = torch.sigmoid(3 * smooth_noise(rng, size, [max(4.0, min(size) / 8)] * 3))
    bone = torch.zeros(size)
    shell = torch.zeros(size)
    if len(depths):
        nearest = depths.min(0).values
        bone = _soft_step(-nearest)
        shell = bone * (1 - _soft_step(-nearest - 1.5))
    disc, canal = _disc_and_canal(grid, spine)
    free = body * (1 - bone)
    disc = disc * free
    canal = canal * (free - disc)
    rest = free - disc - canal
    return torch.stack([(1 - body) * (1 - bone), rest * (1 - fat), rest * fat, disc, canal, bone - shell, shell])


def _disc_and_canal(grid: Tensor, spine: _Spine) -> tuple[Tensor, Tensor]:
    """Shares of the column between the bodies and of the tube behind them, before bone is taken out."""
    if not len(spine.centres):
        return torch.zeros(grid.shape[1:]), torch.zeros(grid.shape[1:])
    radius = float(spine.radii[:, :2].mean())
    along = np.arange(grid.shape[3])
    path = torch.from_numpy(np.interp(along, spine.centres[:, 2], spine.centres[:, 1]).astype(np.float32))
    across = grid[0] - float(spine.centres[0, 0])
    column = (across.square() + (grid[1] - path).square()).sqrt() - 0.8 * radius
    tube = (across.square() + (grid[1] - path - 1.35 * radius).square()).sqrt() - 0.4 * radius
    low, high = spine.centres[0, 2], spine.centres[-1, 2]
    column = torch.where((grid[2] < low) | (grid[2] > high), torch.full_like(column, 9.0), column)
    return _soft_step(-column), _soft_step(-tube)


def _soft_step(depth: Tensor) -> Tensor:
    """Share of a voxel inside a surface that is ``depth`` voxels away."""
    return (depth + 0.5).clamp(0, 1)


def _render(rng: np.random.Generator, anatomy: Tensor, values: Sequence[float], noise: float) -> Tensor:
    image = torch.tensordot(torch.tensor(values), anatomy, 1)
    return (image + torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32)) * noise)[None]


def _render_mr(rng: np.random.Generator, anatomy: Tensor, variation: SpineVariation) -> Tensor:
    size = anatomy.shape[1:]
    bias = torch.exp(variation.bias * smooth_noise(rng, size, [max(size) / 2] * 3))
    values = [v * float(np.exp(0.05 * rng.standard_normal())) for v in _MR]
    clean = torch.tensordot(torch.tensor(values), anatomy, 1) * bias
    return (clean + torch.from_numpy(rng.standard_normal(size, dtype=np.float32)) * variation.noise_mr).clamp_min(0)[
        None
    ]
