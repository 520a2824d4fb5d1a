"""Images from label maps, in the manner of SynthMorph: random contrast, blur, thick slices, bias, noise, cropping.

Source: Hoffmann et al., SynthMorph: learning contrast-invariant registration without acquired images, IEEE TMI 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.spatial import resize_field, scaling_and_squaring

from .synthesis import smooth_noise


@dataclass(frozen=True)
class Deformation:
    """How much the two images of a pair differ in shape; lengths in voxels of their grid.

    Attributes:
        knots: Distance of the control points of each scale of the velocity.
        amplitude: Standard deviation of the control points of each scale, multiplied by a random ``strength``.
        strength: Range of that factor, one draw a pair.
        rotation: Standard deviation of the rotation about each axis, degrees.
        scale: Standard deviation of the logarithm of the scale of each axis.
        shift: Standard deviation of the translation along each axis.
        zoom: Range of a scale that both images share.
    """

    knots: tuple[float, ...] = (32.0, 16.0, 8.0, 5.0)
    amplitude: tuple[float, ...] = (1.6, 1.5, 0.8, 0.35)
    strength: tuple[float, float] = (0.3, 1.6)
    rotation: float = 4.0
    scale: float = 0.05
    shift: float = 1.2
    zoom: tuple[float, float] = (1.0, 1.5)


@dataclass(frozen=True)
class Appearance:
    """What an image may look like; probabilities and ranges.

    Attributes:
        spread: Largest difference in brightness of the parts of one region, as a share of the full range.
        noise: Largest standard deviation of the noise.
        blur: Largest standard deviation of the blur, voxels.
        thick: How often one axis has thick slices.
        thickness: Range of their thickness, voxels.
        bias: Largest standard deviation of the logarithm of the bias field.
        crop: How often a border of the image is missing.
        clear: How often what lies around the body is exactly zero.
    """

    spread: float = 0.3
    noise: float = 0.08
    blur: float = 1.0
    thick: float = 0.3
    thickness: tuple[float, float] = (1.5, 4.0)
    bias: float = 0.4
    crop: float = 0.2
    clear: float = 0.7


def random_maps(
    rng: np.random.Generator, size: Sequence[int], source: Sequence[int], deformation: Deformation
) -> tuple[list[Tensor], list[Tensor], list[np.ndarray]]:
    """Two random maps from a grid to the grid of an anatomy: ``y = A (x + d(x))``, both from the same centre.

    Args:
        rng: Decides everything.
        size: Spatial size of the images.
        source: Spatial size of the anatomy, whose voxels have the same length.
        deformation: How much the maps differ.

    Returns:
        The displacements ``d`` and their inverses, ``(ndim, *size)`` voxels, and the matrices ``A`` (homogeneous,
        voxel to voxel), two of each.
    """
    ndim = len(size)
    half = tuple(max(4, (n + 1) // 2) for n in size)
    step = [(n - 1) / (m - 1) for n, m in zip(size, half)]
    strength = rng.uniform(*deformation.strength)
    velocity = torch.zeros(2, ndim, *half)
    for knots, amplitude in zip(deformation.knots, deformation.amplitude):
        for image in velocity:
            for axis in range(ndim):
                noise = smooth_noise(rng, half, [knots / s for s in step])
                image[axis] += noise * (amplitude * strength / step[axis])
    both = scaling_and_squaring(torch.cat([velocity, -velocity]), steps=5, padding='border')
    both = resize_field(both, size=tuple(size), values='aligned')
    zoom = rng.uniform(*deformation.zoom)
    affines = [_random_affine(rng, size, source, zoom, deformation) for _ in range(2)]
    return [both[0], both[1]], [both[2], both[3]], affines


def _random_affine(
    rng: np.random.Generator, size: Sequence[int], source: Sequence[int], zoom: float, deformation: Deformation
) -> np.ndarray:
    """``(ndim+1, ndim+1)``: voxels of the images to voxels of the anatomy, centre near centre."""
    ndim = len(size)
    matrix = np.eye(ndim)
    for first in range(ndim):
        for second in range(first + 1, ndim):
            angle = np.deg2rad(deformation.rotation) * rng.standard_normal()
            turn = np.eye(ndim)
            turn[[first, second], [first, second]] = np.cos(angle)
            turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
            matrix = matrix @ turn
    matrix = matrix @ np.diag(np.exp(deformation.scale * rng.standard_normal(ndim))) * zoom
    centre, target = (np.array([(n - 1) / 2 for n in sizes]) for sizes in (size, source))
    whole = np.eye(ndim + 1)
    whole[:-1, :-1] = matrix
    whole[:-1, -1] = target - matrix @ (centre + deformation.shift * rng.standard_normal(ndim))
    return whole


def read_labels(labels: Sequence[Tensor], displacement: Tensor, affine: np.ndarray) -> list[Tensor]:
    """Label maps ``(*source)`` at ``A (x + d(x))``, nearest neighbour, 0 outside: ``(*size)`` each."""
    size, source = displacement.shape[1:], labels[0].shape
    matrix = torch.from_numpy(affine).float()
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in size], indexing='ij')
    moved = [x + d for x, d in zip(axes, displacement)]
    index, inside = torch.zeros(size, dtype=torch.int64), torch.ones(size, dtype=torch.bool)
    for axis, length in enumerate(source):
        place = sum(matrix[axis, k] * moved[k] for k in range(len(moved))) + matrix[axis, -1]
        place = torch.as_tensor(place).round_().long()
        inside &= (place >= 0) & (place < length)
        index = index * length + place.clamp_(0, length - 1)
    return [one.flatten()[index] * inside for one in labels]


def paint(
    rng: np.random.Generator, parts: Tensor, region: Tensor, appearance: Appearance, hidden: Sequence[int] = ()
) -> Tensor:
    """An image ``(1, *size)`` in [0, 1] of ``parts`` ``(*size)``.

    Args:
        rng: Decides everything.
        parts: The part at every voxel, 0 is background.
        region: The region of each part: parts of a region look alike.
        appearance: What the image may look like.
        hidden: Regions that the image does not show.
    """
    torch_rng = torch.Generator().manual_seed(int(rng.integers(2**31)))
    count = int(region.max()) + 1
    base = torch.from_numpy(rng.uniform(0, 1, count).astype(np.float32))[region]
    spread = float(rng.uniform(0, appearance.spread))
    value = (base + spread * (torch.from_numpy(rng.uniform(-0.5, 0.5, len(region)).astype(np.float32)))).clamp(0, 1)
    shown = torch.ones(len(region), dtype=torch.bool)
    for one in (0, *hidden):
        shown &= region != one
    clear = rng.random() < appearance.clear
    value[~shown] = 0.0 if clear else float(rng.uniform(0, 0.3))
    image = degraded(rng, value[parts], shown[parts] if clear else None, appearance, torch_rng)
    for window in cropped(rng, parts.shape, appearance.crop):
        image[window] = 0
    return image[None]


def degraded(
    rng: np.random.Generator,
    image: Tensor,
    body: Tensor | None,
    appearance: Appearance,
    torch_rng: torch.Generator,
) -> Tensor:
    """``image`` ``(*size)`` as a scanner would give it, in [0, 1]: noise, blur, thick slices, bias, another gamma.

    Args:
        rng: Decides everything.
        image: Brightness.
        body: ``(*size)``, what is multiplied with the result: nothing is seen where it is 0.
        appearance: What the image may look like.
        torch_rng: Draws the noise of voxels.
    """
    size = image.shape
    grain = float(rng.uniform(0, appearance.noise))
    image = image + grain * torch.randn(size, generator=torch_rng)
    image = _blurred(image, [float(rng.uniform(0.2, appearance.blur))] * len(size))
    if rng.random() < appearance.thick:
        image = _thick(rng, image, appearance)
    bias = float(rng.uniform(0, appearance.bias)) * smooth_noise(rng, size, [n / rng.uniform(1, 3) for n in size])
    image = image.clamp_min(0) * bias.exp() + float(rng.uniform(0, appearance.noise / 2)) * torch.randn(
        size, generator=torch_rng
    )
    if body is not None:
        image = image * body
    return normalised(image) ** float(np.exp(rng.normal(0, 0.25)))


def normalised(image: Tensor) -> Tensor:
    """``image`` with its minimum at 0 and its 99.9th percentile at 1, clipped there."""
    low = image.min()
    high = image.flatten().kthvalue(max(1, int(0.999 * image.numel()))).values
    return ((image - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)


def _blurred(image: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Separable Gaussian blur of ``(*size)``, sigma per axis in voxels."""
    for axis, sigma in enumerate(sigmas):
        if sigma <= 0:
            continue
        radius = max(1, round(2.5 * sigma))
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        kernel /= kernel.sum()
        shape = image.shape
        rows = image.movedim(axis, -1).reshape(-1, 1, shape[axis])
        rows = F.conv1d(F.pad(rows, (radius, radius), mode='replicate'), kernel.view(1, 1, -1))
        image = rows.view(*[n for k, n in enumerate(shape) if k != axis], shape[axis]).movedim(-1, axis)
    return image.contiguous()


def _thick(rng: np.random.Generator, image: Tensor, appearance: Appearance) -> Tensor:
    """Along one axis averaged over slices of random thickness and enlarged again."""
    axis = int(rng.integers(image.dim()))
    fewer = list(image.shape)
    fewer[axis] = max(4, round(fewer[axis] / rng.uniform(*appearance.thickness)))
    linear = ('bilinear', 'trilinear')[image.dim() - 2]
    slices = F.interpolate(image[None, None], size=fewer, mode='area')
    return F.interpolate(slices, size=tuple(image.shape), mode=linear, align_corners=False)[0, 0]


def cropped(rng: np.random.Generator, size: Sequence[int], probability: float) -> list[tuple[slice, ...]]:
    """Windows beyond a random plane that an image does not show, now and then."""
    windows = []
    for axis, length in enumerate(size):
        if rng.random() < probability / len(size):
            width = int(length * rng.uniform(0.05, 0.25))
            start = 0 if rng.random() < 0.5 else length - width
            windows.append((slice(None),) * axis + (slice(start, start + width),))
    return windows


def corresponding_points(
    rng: np.random.Generator, anatomy: Tensor, inverses: Sequence[Tensor], affines: Sequence[np.ndarray], count: int
) -> list[np.ndarray]:
    """Where ``count`` random points of the anatomy (``> 0``) lie in each image: ``(count, ndim)`` voxels, float32.

    ``x = q + d^-1(q)`` with ``q = A^-1 y``; a point outside an image's grid is NaN in all of them.
    """
    inside = torch.nonzero(anatomy.flatten() > 0)[:, 0].numpy()
    chosen = rng.choice(inside, count)
    points = np.stack(np.unravel_index(chosen, tuple(anatomy.shape)), 1) + rng.uniform(
        -0.5, 0.5, (count, anatomy.dim())
    )
    homogeneous = np.concatenate([points, np.ones((count, 1))], 1)
    found = []
    for inverse, affine in zip(inverses, affines):
        place = (homogeneous @ np.linalg.inv(affine).T)[:, :-1]
        nearest = [np.clip(np.rint(place[:, k]), 0, n - 1).astype(int) for k, n in enumerate(inverse.shape[1:])]
        where = (slice(None), *nearest)
        found.append(place + inverse.numpy()[where].T)
    size = np.array(inverses[0].shape[1:])
    known = np.all([((p >= 0) & (p <= size - 1)).all(1) for p in found], axis=0)
    return [np.where(known[:, None], p, np.nan).astype(np.float32) for p in found]
