"""Initialisation of an affine registration: headers, centres of the grids, centres of mass, principal axes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from mmreg.spatial import apply_affine, identity_grid

from .images import AffineLevel
from .parameters import about


@dataclass(frozen=True, eq=False)
class Start:
    """A named matrix, fixed world -> moving world in mm."""

    name: str
    matrix: np.ndarray


@dataclass(frozen=True, eq=False)
class Body:
    """Where the object in an image lies.

    Attributes:
        middle: centre of the grid, world mm.
        mass: centre of the intensities.
        centre: centre of the foreground (Otsu's threshold), which means the same in every contrast.
        axes: ``(ndim, ndim)`` principal axes of the foreground as columns, longest first.
        lengths: standard deviation along them, mm.
    """

    middle: np.ndarray
    mass: np.ndarray
    centre: np.ndarray
    axes: np.ndarray
    lengths: np.ndarray


def find_body(level: AffineLevel) -> Body:
    """Centres and principal axes of an image; a mask weights them."""
    image = level.image[0].mean(0).double().cpu()
    weight = torch.ones_like(image) if level.weight is None else level.weight[0, 0].double().cpu()
    voxels = identity_grid(level.size, dtype=torch.float64).flatten(1).T
    world = apply_affine(torch.from_numpy(level.affine), voxels).numpy()
    values, inside = image.flatten().numpy(), weight.flatten().numpy()
    middle = level.affine[:-1, :-1] @ ((np.asarray(level.size) - 1) / 2) + level.affine[:-1, -1]
    mass, _ = _moments(world, values * inside)
    foreground = inside * (values > otsu(values[inside > 0] if inside.any() else values))
    centre, spread = _moments(world, foreground)
    lengths, axes = np.linalg.eigh(spread)
    return Body(middle, mass, centre, axes[:, ::-1], np.sqrt(np.maximum(lengths[::-1], 1e-12)))


def _moments(world: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if weights.sum() <= 0:
        weights = np.ones_like(weights)
    share = weights / weights.sum()
    centre = share @ world
    return centre, (world - centre).T @ ((world - centre) * share[:, None])


def otsu(values: np.ndarray, bins: int = 128) -> float:
    """Threshold that separates the intensities into two classes of the largest distance (Otsu 1979)."""
    counts, edges = np.histogram(values, bins)
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    sums = np.cumsum(counts * middles)
    above = below[-1] - below
    with np.errstate(divide='ignore', invalid='ignore'):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1:][int(np.nan_to_num(between[:-1]).argmax())])


def centre_pairs(fixed: Body, moving: Body) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """What may be brought together: (name, place in the fixed world, place in the moving world)."""
    return [
        ('centres of the grids', fixed.middle, moving.middle),
        ('centres of mass', fixed.mass, moving.mass),
        ('centres of the foreground', fixed.centre, moving.centre),
    ]


def axis_starts(fixed: Body, moving: Body, mirrored: bool = False) -> list[Start]:
    """Principal axes of the foreground on one another, with all signs that do not mirror (or that do)."""
    starts = []
    for signs in product((1.0, -1.0), repeat=len(fixed.middle)):
        linear = moving.axes @ np.diag(signs) @ fixed.axes.T
        if (np.linalg.det(linear) < 0) == mirrored:
            label = 'principal axes, mirrored' if mirrored else 'principal axes'
            starts.append(Start(label, about(linear, fixed.centre, moving.centre)))
    return starts
