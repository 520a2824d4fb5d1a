"""Grids, images and fields with closed form that the tests of mmreg.io share."""

import numpy as np
from scipy.ndimage import gaussian_filter

from mmreg.io import Geometry, Volume


def rotation(ndim, degrees=20.0):
    """A proper rotation about a slanted axis (3-D) or in the plane (2-D)."""
    angle = np.deg2rad(degrees)
    if ndim == 2:
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    x, y, z = np.array([1.0, 2.0, 3.0]) / np.sqrt(14)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def oblique(shape=(18, 22, 14), spacing=(1.5, 0.8, 2.5), degrees=20.0, centre=(3.0, -5.0, 11.0), flips=()):
    """An anisotropic, oblique grid around a given centre; ``flips`` are axes that run backwards."""
    ndim = len(shape)
    direction = rotation(ndim, degrees)
    for axis in flips:
        direction[:, axis] *= -1
    grid = Geometry.from_parts(shape, spacing[:ndim], direction=direction)
    origin = np.asarray(centre[:ndim]) - grid.centre
    return Geometry.from_parts(shape, spacing[:ndim], origin, direction)


def smooth_image(geometry, seed=0, channels=0):
    """Smooth noise between 0 and 1."""
    rng = np.random.default_rng(seed)
    shape = (*geometry.shape, channels) if channels else geometry.shape
    sigma = (2.0,) * geometry.ndim + ((0.0,) if channels else ())
    array = gaussian_filter(rng.normal(size=shape), sigma)
    array = (array - array.min()) / (array.max() - array.min())
    return Volume(array.astype(np.float32), geometry)


def smooth_displacement(geometry, size=1.5, seed=1):
    """Smooth displacement in voxels, at most ``size`` in each component."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.normal(size=(geometry.ndim, *geometry.shape)), (0, *(3.0,) * geometry.ndim))
    return (size * noise / np.abs(noise).max()).astype(np.float32)


def grid_points(shape):
    """(P, ndim) voxel indices of a grid in C order."""
    return np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing='ij'), -1).reshape(-1, len(shape))
