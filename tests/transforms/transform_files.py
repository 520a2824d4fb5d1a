"""Files that the tests of the transform tools share, and the command."""

import struct

import numpy as np

from mmreg.cli import main
from mmreg.io import Volume, affine_transform, write_displacement_image, write_transform, write_volume
from tests.io.helpers import oblique, rotation, smooth_displacement, smooth_image


def world_affine(ndim=3, degrees=8.0):
    affine = np.eye(ndim + 1)
    affine[:ndim, :ndim] = rotation(ndim, degrees) * 1.05
    affine[:ndim, ndim] = (3.0, -4.0, 2.0)[:ndim]
    return affine


def grids(ndim=3):
    """A fixed and a moving grid of other size, spacing and orientation."""
    fixed = oblique((26, 30, 18)[:ndim], (1.5, 0.8, 2.5), 20.0)
    return fixed, oblique((34, 32, 30)[:ndim], (1.2, 1.1, 2.0), -10.0, (5.0, -8.0, 12.0), (0,))


def write_case(folder, ndim=3, size=2.0):
    """fixed.nii.gz, moving.nrrd, labels.nii.gz (moving), warp.nii.gz, affine.mat; returns (displacement, affine)."""
    fixed, moving = grids(ndim)
    image = smooth_image(moving, 3)
    write_volume(folder / 'fixed.nii.gz', smooth_image(fixed))
    write_volume(folder / 'moving.nrrd', image)
    labels = np.array([0, 3, 17, 2, 2035, 41])[(image.array * 5.99).astype(int)]
    write_volume(folder / 'labels.nii.gz', Volume(labels.astype(np.int32), moving))
    displacement, affine = smooth_displacement(fixed, size), world_affine(ndim)
    write_displacement_image(folder / 'warp.nii.gz', displacement, fixed)
    write_transform(folder / 'affine.mat', affine_transform(affine))
    return displacement, affine


def write_ants_mat(path, matrix, translation, centre, kind='AffineTransform_double_3_3'):
    """The binary .mat of ANTs by hand: two named float64 columns in MATLAB's version 4 format."""
    with open(path, 'wb') as file:
        for name, values in ((kind, [*np.ravel(matrix), *translation]), ('fixed', centre)):
            text = name.encode() + b'\0'
            file.write(struct.pack('<5i', 0, len(values), 1, 0, len(text)) + text)
            file.write(np.asarray(values, '<f8').tobytes())


def run(*arguments):
    """The command; returns its exit code."""
    return main([str(argument) for argument in arguments])


def inside(shape, border=3):
    """Index of the voxels away from the border."""
    return tuple(slice(border, n - border) for n in shape)
