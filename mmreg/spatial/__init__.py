"""Pure tensor functions on images and fields, 2-D and 3-D, differentiable; torch only.

One convention (docs/conventions.md): displacements are ``(N, ndim, *spatial)`` in voxels of their own grid, component
``i`` along array axis ``i``, pull-back ``warped(x) = moving(x + displacement(x))``, corners aligned, zero outside.
"""

from .affine import (
    affine_displacement,
    affine_matrix,
    homogeneous,
    rotation_from_vector,
    rotation_matrix,
    voxel_matrix,
    voxel_matrix_from_normalised,
    world_matrix,
)
from .box import box_sum
from .compose import compose
from .convert import (
    apply_affine,
    displacement_from_world,
    displacement_to_grid,
    displacement_to_normalised,
    displacement_to_voxel,
    displacement_to_world,
    normalised_to_voxel,
    voxel_to_normalised,
    voxel_to_world,
    world_to_voxel,
)
from .correlation import global_correlation, local_correlation, softmax_matching
from .filters import gaussian_filter, gaussian_kernel, separable_filter
from .gradient import spatial_gradient
from .grid import identity_grid, sampling_grid
from .histogram import mutual_information, normalised_information
from .integrate import runge_kutta, scaling_and_squaring
from .invert import Residual, invert
from .invert_divided import invert_divided, there_and_back
from .invert_multilevel import invert_multilevel
from .jacobian import jacobian_determinant, jacobian_matrix
from .labels import warp_labels
from .local_ncc import local_ncc
from .masked import masked_mean
from .mass import centre_of_mass
from .pyramid import average_down, image_pyramid, smoothing_taps
from .resample import output_size, resize, resize_field
from .rigid import best_rigid_motion, fit_labels, nearest_rotation
from .rigidity import displacement_gradient, orthonormality, properness
from .sampler import as_sampled
from .warp import sample, warp, warp_across

__all__ = [
    'Residual',
    'affine_displacement',
    'affine_matrix',
    'apply_affine',
    'as_sampled',
    'average_down',
    'best_rigid_motion',
    'box_sum',
    'centre_of_mass',
    'compose',
    'displacement_from_world',
    'displacement_gradient',
    'displacement_to_grid',
    'displacement_to_normalised',
    'displacement_to_voxel',
    'displacement_to_world',
    'fit_labels',
    'gaussian_filter',
    'gaussian_kernel',
    'global_correlation',
    'homogeneous',
    'identity_grid',
    'image_pyramid',
    'invert',
    'invert_divided',
    'invert_multilevel',
    'jacobian_determinant',
    'jacobian_matrix',
    'local_correlation',
    'local_ncc',
    'masked_mean',
    'mutual_information',
    'nearest_rotation',
    'normalised_information',
    'normalised_to_voxel',
    'orthonormality',
    'output_size',
    'properness',
    'resize',
    'resize_field',
    'rotation_from_vector',
    'rotation_matrix',
    'runge_kutta',
    'sample',
    'sampling_grid',
    'scaling_and_squaring',
    'separable_filter',
    'smoothing_taps',
    'softmax_matching',
    'spatial_gradient',
    'there_and_back',
    'voxel_matrix',
    'voxel_matrix_from_normalised',
    'voxel_to_normalised',
    'voxel_to_world',
    'warp',
    'warp_across',
    'warp_labels',
    'world_matrix',
    'world_to_voxel',
]
