"""Simulated subjects: a template bent by a known random diffeomorphism, with another scanner's intensities.

Subject *k* shows ``template(x + forward_k(x))``. Its ``inverse_k`` is the flow of the same velocity backwards, so that
for a pair the true displacement is known: ``x + u(x) = phi_moving^-1(phi_fixed(x))`` with ``phi = id + forward``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmreg.spatial import compose, identity_grid, resize_field, scaling_and_squaring, warp

from .seeding import stable_seed
from .templates import Template

_ROLE_SHAPE, _ROLE_INTENSITY = 1, 2


@dataclass(frozen=True)
class Variation:
    """How much subjects differ.

    Attributes:
        knots_mm: Distance of the control points of each scale of the velocity, mm.
        amplitude_mm: Standard deviation of the control points of each scale, mm.
        bias: Standard deviation of the logarithm of the bias field.
        gamma: Standard deviation of the logarithm of the exponent of intensities.
        noise: Standard deviation of the noise inside the body; intensities are in [0, 1].
    """

    knots_mm: tuple[float, ...] = (48.0, 24.0)
    amplitude_mm: tuple[float, ...] = (5.0, 4.0)
    bias: float = 0.12
    gamma: float = 0.12
    noise: float = 0.02


@dataclass(frozen=True)
class Subject:
    """A simulated subject on the template's grid.

    Attributes:
        image: ``(1, *spatial)`` float32 in [0, 1].
        labels: ``(1, *spatial)`` int16, 0 is background.
        forward: ``(ndim, *spatial)`` voxels, subject -> template (pull-back).
        inverse: ``(ndim, *spatial)`` voxels, template -> subject.
    """

    image: Tensor
    labels: Tensor
    forward: Tensor
    inverse: Tensor


def simulate_subject(template: Template, seed: int, number: int, variation: Variation) -> Subject:
    """Subject ``number``: a pure function of the template, ``seed``, ``number`` and ``variation``."""
    shape_rng = np.random.default_rng(stable_seed(seed, number, _ROLE_SHAPE))
    forward, inverse = random_diffeomorphism(shape_rng, template.size, template.spacing, variation)
    warped = warp(torch.cat([template.image, template.tissues])[None], forward[None])[0]
    image, tissues = warped[:1], warped[1:]
    background = (1 - tissues.sum(0, keepdim=True)).clamp_min(0)
    labels = torch.cat([background, tissues]).argmax(0, keepdim=True).to(torch.int16)
    intensity_rng = np.random.default_rng(stable_seed(seed, number, _ROLE_INTENSITY))
    return Subject(vary_intensity(intensity_rng, image, template.spacing, variation), labels, forward, inverse)


def random_diffeomorphism(
    rng: np.random.Generator, size: Sequence[int], spacing: Sequence[float], variation: Variation
) -> tuple[Tensor, Tensor]:
    """``(forward, inverse)``, each ``(ndim, *size)`` voxels: the flows of one random velocity at times 1 and -1.

    The velocity is smooth on the scale of the knots, so it is integrated on a grid of half the resolution.
    """
    half = tuple(max(4, (n + 1) // 2) for n in size)
    half_spacing = [s * (n - 1) / (m - 1) for s, n, m in zip(spacing, size, half)]
    velocity = torch.zeros(len(half), *half)
    for knots, amplitude in zip(variation.knots_mm, variation.amplitude_mm):
        for axis, step in enumerate(half_spacing):
            velocity[axis] += smooth_noise(rng, half, [knots / s for s in half_spacing]) * (amplitude / step)
    both = scaling_and_squaring(torch.stack([velocity, -velocity]), steps=6, padding='border')
    forward, inverse = resize_field(both, size=size, values='aligned')
    return forward, inverse


def smooth_noise(rng: np.random.Generator, size: Sequence[int], knots: Sequence[float]) -> Tensor:
    """Cubic B-spline with standard normal control points ``knots`` voxels apart, ``size`` float32."""
    bases = [_spline_basis(n, step) for n, step in zip(size, knots)]
    values = rng.standard_normal([basis.shape[1] for basis in bases])
    for axis, basis in enumerate(bases):
        values = np.moveaxis(np.tensordot(basis, values, axes=(1, axis)), 0, axis)
    return torch.from_numpy(values.astype(np.float32))


def _spline_basis(size: int, step: float) -> np.ndarray:
    """``(size, control points)`` values of uniform cubic B-splines at voxel centres."""
    from scipy.interpolate import BSpline

    intervals = max(1, int(np.ceil((size - 1) / step)))
    knots = np.arange(-3, intervals + 4) * step
    points = np.minimum(np.arange(size), intervals * step)
    return BSpline.design_matrix(points, knots, 3).toarray()


def vary_intensity(rng: np.random.Generator, image: Tensor, spacing: Sequence[float], variation: Variation) -> Tensor:
    """``(1, *spatial)`` in [0, 1] with another contrast, a bias field and noise; background stays 0."""
    size = image.shape[1:]
    body = image > 0.02
    exponent = float(np.exp(variation.gamma * rng.standard_normal()))
    bias = torch.exp(variation.bias * smooth_noise(rng, size, [80.0 / s for s in spacing])[None])
    noise = torch.from_numpy(rng.standard_normal(size).astype(np.float32))[None] * variation.noise
    varied = image.clamp(0, 1) ** exponent * bias + noise
    return (varied * body).clamp(0, 1)


def true_displacement(fixed: Subject, moving: Subject) -> tuple[Tensor, Tensor]:
    """The displacement a registration of ``moving`` to ``fixed`` should find, and where it can be found.

    Returns:
        ``(ndim, *spatial)`` voxels, and ``(1, *spatial)`` bool: inside the fixed subject's body, where neither step
        leaves the grid.
    """
    displacement = compose(moving.inverse[None], fixed.forward[None], padding='border')
    size = fixed.image.shape[1:]
    inside = fixed.labels > 0
    for step in (fixed.forward, displacement[0]):
        inside &= _within(step, size)
    return displacement[0], inside


def _within(displacement: Tensor, size: Sequence[int]) -> Tensor:
    """``(1, *spatial)``: whether ``x + displacement(x)`` stays on the grid."""
    position = identity_grid(size) + displacement
    last = torch.tensor([n - 1.0 for n in size]).view(-1, *[1] * len(size))
    return ((position >= 0) & (position <= last)).all(0, keepdim=True)
