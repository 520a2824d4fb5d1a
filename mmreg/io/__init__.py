"""Files <-> arrays with geometry. Uses numpy, scipy, SimpleITK, nibabel and pydicom only, so it can be used alone.

Arrays are in (i, j, k[, c]) order, the world is RAS+ millimetres, displacements are (ndim, *S) voxels of the fixed
grid.
"""

from .atomic import atomic_path, split_suffix, write_text
from .checks import as_labels, as_mask, check_displacement, check_finite, check_image, check_points
from .dicom import list_dicom_series, read_dicom_series
from .displacement import (
    displacement_from_sitk,
    displacement_to_sitk,
    lps_to_voxels,
    read_displacement_image,
    voxels_to_lps,
    write_displacement_image,
)
from .geometry import Geometry, check_affine
from .image_file import ImageFile
from .landmarks import (
    Landmarks,
    fixed_to_moving,
    moving_to_fixed,
    read_landmarks,
    write_landmarks_voxel,
    write_landmarks_world,
)
from .learn2reg import (
    lumir_name,
    oasis_name,
    read_learn2reg_nifti,
    read_learn2reg_npz,
    write_learn2reg_nifti,
    write_learn2reg_npz,
)
from .pickles import read_npz, restricted_load
from .resample import resample_to, warp_to_fixed
from .transform_reading import read_transform
from .transforms import (
    Transform,
    affine_transform,
    compose,
    displacement_transform,
    write_inverse_itk_transform,
    write_itk_transform,
    write_transform,
)
from .volumes import (
    Volume,
    read_geometry,
    read_image,
    read_image_header,
    read_labels,
    read_mask,
    read_volume,
    write_volume,
)

__all__ = [
    'Geometry',
    'ImageFile',
    'Landmarks',
    'Transform',
    'Volume',
    'affine_transform',
    'as_labels',
    'as_mask',
    'atomic_path',
    'check_affine',
    'check_displacement',
    'check_finite',
    'check_image',
    'check_points',
    'compose',
    'displacement_from_sitk',
    'displacement_to_sitk',
    'displacement_transform',
    'fixed_to_moving',
    'list_dicom_series',
    'lps_to_voxels',
    'lumir_name',
    'moving_to_fixed',
    'oasis_name',
    'read_dicom_series',
    'read_displacement_image',
    'read_geometry',
    'read_image',
    'read_image_header',
    'read_labels',
    'read_landmarks',
    'read_learn2reg_nifti',
    'read_learn2reg_npz',
    'read_mask',
    'read_npz',
    'read_transform',
    'read_volume',
    'resample_to',
    'restricted_load',
    'split_suffix',
    'voxels_to_lps',
    'warp_to_fixed',
    'write_displacement_image',
    'write_inverse_itk_transform',
    'write_itk_transform',
    'write_landmarks_voxel',
    'write_landmarks_world',
    'write_learn2reg_nifti',
    'write_learn2reg_npz',
    'write_text',
    'write_transform',
    'write_volume',
]
