"""One interpolation, from the original voxels to the grid where they are wanted."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from mmreg.errors import ConfigError, DataError

from .geometry import Geometry
from .transforms import Transform, displacement_transform
from .volumes import Volume

# ITK's interpolators. 'label' interpolates each label's indicator and keeps the largest, so edges are smoother than
# with 'nearest' and no new value appears.
MODES = {
    'linear': sitk.sitkLinear,
    'nearest': sitk.sitkNearestNeighbor,
    'spline': sitk.sitkBSpline,
    'label': sitk.sitkLabelLinear,
}


def resample_to(
    volume: Volume,
    geometry: Geometry,
    mode: str = 'linear',
    *,
    transform: Transform | None = None,
    fill: float | None = 0.0,
) -> Volume:
    """Sample a volume at the voxel centres of another grid.

    Args:
        volume: original voxels, with or without channels.
        geometry: wanted grid, in any orientation, spacing and size.
        mode: 'linear', 'nearest', 'spline' (cubic B-spline), or 'label' (interpolated indicator functions).
        transform: where to look: world position on the wanted grid -> world position in ``volume``.
        fill: value outside ``volume``; None: that of the nearest voxel.

    Returns:
        Volume on ``geometry``; images come back as float32, integer arrays keep their type.

    Raises:
        ConfigError: unknown mode, or one that would interpolate between label numbers.
    """
    if mode not in MODES:
        raise ConfigError(f"mode '{mode}' was given, expected one of {', '.join(MODES)}")
    if volume.ndim != geometry.ndim:
        raise DataError(f'a {volume.ndim}-D image was given for a {geometry.ndim}-D grid, expected the same dimension')
    integer = not np.issubdtype(volume.array.dtype, np.floating)
    if integer and mode in ('linear', 'spline'):
        # Numbers between labels name other organs: intensities must say so by being floating point.
        raise ConfigError(f"mode '{mode}' was given for {volume.array.dtype} voxels, expected 'nearest' or 'label'")
    if not integer and mode == 'label':
        raise ConfigError(f"mode 'label' was given for {volume.array.dtype} voxels, expected an integer label map")
    size, spacing, origin, direction = geometry.to_sitk()
    itk_transform = sitk.Transform(geometry.ndim, sitk.sitkIdentity) if transform is None else transform.itk
    image = volume.to_sitk()
    result = sitk.Resample(
        image,
        size,
        itk_transform,
        MODES[mode],
        origin,
        spacing,
        direction,
        fill or 0.0,
        image.GetPixelID(),
        fill is None,
    )
    return Volume(Volume.from_sitk(result).array.astype(volume.array.dtype, copy=False), geometry)


def warp_to_fixed(
    moving: Volume,
    displacement: np.ndarray,
    fixed_geometry: Geometry,
    affine: np.ndarray | None = None,
    mode: str = 'linear',
    *,
    fill: float = 0.0,
) -> Volume:
    """Warp a moving volume to the fixed grid, sampled once from its original voxels.

    Args:
        moving: original volume on its own grid.
        displacement: (ndim, *S), voxels of the fixed grid, ``warped(x) = moving(x + displacement(x))``.
        fixed_geometry: grid of shape S.
        affine: (ndim+1, ndim+1), fixed world -> moving world in RAS mm; applied after the displacement.
        mode: see :func:`resample_to`.
        fill: value where the moving image has no voxels.
    """
    transform = displacement_transform(displacement, fixed_geometry, affine)
    return resample_to(moving, fixed_geometry, mode, transform=transform, fill=fill)
