"""Phantoms whose affine registration has a known answer: bodies drawn at any grid through any map."""

import numpy as np
from scipy.spatial.transform import Rotation

from mmreg.io import Geometry, Volume


def rigid(angles, shift, scale=None):
    """Homogeneous matrix: scale, rotation by Euler angles in degrees (one in 2-D), shift in mm."""
    angles = np.atleast_1d(angles)
    ndim = 2 if len(angles) == 1 else 3
    turn = Rotation.from_euler('z' if ndim == 2 else 'xyz', np.squeeze(angles), degrees=True).as_matrix()
    matrix = np.eye(ndim + 1)
    matrix[:ndim, :ndim] = turn[:ndim, :ndim] @ np.diag(np.ones(ndim) if scale is None else scale)
    matrix[:ndim, ndim] = shift
    return matrix


def field_of_view(ndim, spacing=2.5, edge=100.0, codes=None, direction=None, centre=None):
    """A grid of about ``edge`` mm along each axis."""
    spacing = np.broadcast_to(spacing, (ndim,)).astype(float)
    shape = np.maximum(1, np.rint(edge / spacing)).astype(int)
    grid = Geometry.from_parts(shape, spacing, direction=direction)
    affine = grid.affine.copy()
    affine[:ndim, ndim] += (np.zeros(ndim) if centre is None else np.asarray(centre)) - grid.centre
    grid = Geometry(tuple(shape.tolist()), affine)
    return grid if codes is None else grid.reoriented(codes)


def bodies(world):
    """Intensities at fixed-world points ``(..., ndim)``: an ellipsoid with unlike structures, edges about 1 mm wide."""
    ndim = world.shape[-1]
    value = 0.45 * inside(world, (0, 0, 0), (36, 28, 31))
    structures = [
        ((14, 8, 6), (12, 6, 8), 0.5),
        ((-12, 10, -9), (8, 11, 9), -0.3),
        ((4, -14, 12), (13, 5, 6), 0.3),
        ((-16, -8, 3), (6, 8, 12), 0.4),
        ((18, -6, -12), (8, 7, 5), 0.25),
        ((0, 6, 18), (7, 9, 5), -0.35),
        ((6, 2, -18), (5, 12, 6), 0.35),
    ]
    for centre, radii, height in structures:
        value = value + height * inside(world, centre[:ndim], radii[:ndim])
    return value


def inside(world, centre, radii):
    """1 inside an ellipsoid, 0 outside."""
    ndim = world.shape[-1]
    centre, radii = (np.asarray(x, dtype=float)[:ndim] for x in (centre, radii))
    distance = (np.linalg.norm((world - centre) / radii, axis=-1) - 1) * radii.mean()
    return 1 / (1 + np.exp(np.clip(4 * distance, -50, 50)))


def draw(grid, matrix=None, contrast=None, noise=0.01, seed=3):
    """The phantom on a grid; a voxel of the moving world shows the fixed world's place that ``matrix`` brings there."""
    world = grid.voxel_to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing='ij'), axis=-1))
    if matrix is not None:
        inverse = np.linalg.inv(matrix)
        world = world @ inverse[:-1, :-1].T + inverse[:-1, -1]
    value = bodies(world)
    if contrast is not None:
        value = contrast(value)
    value = value + np.random.default_rng(seed).normal(0, noise, value.shape)
    return Volume(value.astype(np.float32), grid)


def error_mm(found, true):
    """Mean distance of the phantom's points after two maps, mm."""
    ndim = len(true) - 1
    axes = np.linspace(-30, 30, 5)
    points = np.stack(np.meshgrid(*[axes] * ndim, indexing='ij'), axis=-1).reshape(-1, ndim)
    change = np.asarray(found) - true
    return float(np.linalg.norm(points @ change[:-1, :-1].T + change[:-1, -1], axis=1).mean())
