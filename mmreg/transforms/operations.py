"""Using transforms: applied to images, labels and landmarks, inverted, composed, and how they change volumes.

Every function takes whatever :func:`mmreg.transforms.files.load_transform` reads, and a sequence of them as a
chain: the first one meets the fixed point first, the order of ``antsApplyTransforms``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.io import (
    Geometry,
    ImageFile,
    Landmarks,
    Transform,
    Volume,
    check_points,
    read_geometry,
    read_landmarks,
    resample_to,
)
from mmreg.io.point_inverse import inverse_points
from mmreg.io.resample import outside_value
from mmreg.io.transform_parts import own_grid, parts_of, simplified
from mmreg.registration.results.inverse import InverseResidual
from mmreg.registration.types import ImageLike, LandmarksLike

from .files import TransformLike, inverted, load_chain
from .inverse import invert_parts
from .moving import MovingImage, load_moving

#: Image modes and label modes; the first one is the default.
IMAGE_MODES, LABEL_MODES = ('linear', 'spline', 'nearest'), ('nearest', 'label')
DIRECTIONS = ('fixed_to_moving', 'moving_to_fixed')
#: Determinants at or below zero have no logarithm; they are raised to this first.
LOG_FLOOR = 1e-3


def apply_transform(
    transform: TransformLike | Sequence[TransformLike],
    image: ImageLike | MovingImage,
    reference: ImageLike | Geometry | None = None,
    *,
    kind: str = 'auto',
    mode: str | None = None,
    inverse: bool = False,
    fill: float | None = None,
) -> Volume:
    """Resample an image or label map once, through one transform or a chain.

    Args:
        transform: fixed world -> moving world, one or a sequence.
        image: in the moving space; with ``inverse`` in the fixed space. Channels and time points are kept.
        reference: image (only its grid is used) or grid of the result; by default that of the displacement.
        kind: 'image', 'labels', or 'auto' (see :func:`mmreg.transforms.moving.looks_like_labels`).
        mode: 'linear' (default of images), 'spline' (cubic), 'nearest' (default of labels), or 'label' (labels: the
            one with the largest linear weight). Labels are never interpolated as numbers.
        inverse: use the inverse of the whole chain, moving world -> fixed world.
        fill: value outside the image; by default what suits it, see :func:`mmreg.io.resample.outside_value`. Voxels
            that are NaN are no value: what is interpolated leaves them out, and they stay NaN.

    Returns:
        The volume on the grid of ``reference``: float32 for images, the type of the labels for labels.

    Raises:
        DataError: something cannot be read, or the reference is missing.
        ConfigError: unknown kind, or a mode that does not suit the kind.
    """
    chain = load_chain(transform)
    chain = inverted(chain) if inverse else chain
    moving = image if isinstance(image, MovingImage) else load_moving(image, 'image', kind)
    grid = reference_grid(chain, reference)
    _check_dimension(chain, moving.volume.ndim, moving.name)
    outside = fill if fill is not None else 0.0 if moving.is_labels else outside_value(moving.volume.array)
    return resample_to(moving.volume, grid, checked_mode(mode, moving), transform=chain, fill=outside)


def checked_mode(mode: str | None, moving: MovingImage) -> str:
    """The interpolation for an input; one that would invent labels is refused."""
    allowed = LABEL_MODES if moving.is_labels else IMAGE_MODES
    if mode is None:
        return allowed[0]
    if mode not in allowed:
        what = 'a label map' if moving.is_labels else 'an image'
        raise ConfigError(f"{moving.name}: mode '{mode}' was given for {what}, expected one of {', '.join(allowed)}")
    return mode


def transform_landmarks(
    transform: TransformLike | Sequence[TransformLike],
    landmarks: LandmarksLike,
    direction: str,
    *,
    grid: ImageLike | Geometry | None = None,
    frame: str | None = None,
) -> tuple[Landmarks, np.ndarray]:
    """Find where landmarks of one image lie in the other.

    Args:
        transform: fixed world -> moving world, one or a sequence.
        landmarks: file, :class:`mmreg.io.Landmarks`, or (P, ndim) RAS mm.
        direction: 'fixed_to_moving' (points of the fixed image, moved by the transform itself) or 'moving_to_fixed'
            (points of the moving image; the transform is inverted at each of them).
        grid: image or grid that voxel landmarks are indices of: fixed for 'fixed_to_moving' (by default the grid of the
            displacement), moving for 'moving_to_fixed'.
        frame: 'voxel', 'ras' or 'lps' of a CSV's numbers, where its header does not tell.

    Returns:
        Landmarks in RAS mm of the other image, and per point how far the transform maps the one in the fixed image from
        the one in the moving image, mm (zero for 'fixed_to_moving').

    Raises:
        ConfigError: unknown direction.
        DataError: unreadable landmarks, or voxel landmarks without a grid.
    """
    if direction not in DIRECTIONS:
        raise ConfigError(f"direction '{direction}' was given, expected {' or '.join(DIRECTIONS)}")
    chain = load_chain(transform)
    forward = direction == 'fixed_to_moving'
    geometry = own_grid(chain) if grid is None and forward else None if grid is None else as_grid(grid)
    points = _in_world(landmarks, chain.ndim, geometry, frame, 'fixed' if forward else 'moving')
    if forward:
        moved, error = chain.transform_points(points.points), np.zeros(len(points.points))
    else:
        moved, error = inverse_points(chain, points.points)
    return Landmarks(check_points(moved), 'ras', points.names), error


class InvertedTransform(NamedTuple):
    """Moving world -> fixed world, and how far from the identity both maps together are (mm; zero for affines)."""

    transform: Transform
    residual: InverseResidual


def invert_transform(
    transform: TransformLike | Sequence[TransformLike], reference: ImageLike | Geometry | None = None
) -> InvertedTransform:
    """Invert a transform or chain: affines exactly, displacements by iteration on their own grid.

    Args:
        transform: fixed world -> moving world.
        reference: grid for parts that have none of their own (B-splines).

    Raises:
        DataError: unreadable, or such a part without a reference.
    """
    chain = load_chain(transform)
    grid = None if reference is None else as_grid(reference)
    return InvertedTransform(*invert_parts(chain, grid))


def compose_transforms(transforms: Sequence[TransformLike]) -> Transform:
    """Chain transforms without sampling any of them: the first one meets the fixed point first.

    Neighbouring affines become one matrix.

    Raises:
        DataError: one cannot be read, or their dimensions differ.
    """
    return simplified(parts_of(load_chain(list(transforms))))


@dataclass(frozen=True)
class JacobianMap:
    """Volume change of a transform.

    Attributes:
        volume: determinant (or its logarithm) per voxel of the reference grid, float32.
        minimum: Smallest determinant.
        maximum: Largest.
        mean: Mean.
        folds_percent: Voxels with a determinant of zero or below, percent.
        sdlogj: Standard deviation of the logarithm of the determinant (clipped to 1e-9 .. 1e9).
    """

    volume: Volume
    minimum: float
    maximum: float
    mean: float
    folds_percent: float
    sdlogj: float


def jacobian_map(
    transform: TransformLike | Sequence[TransformLike],
    reference: ImageLike | Geometry | None = None,
    *,
    log: bool = False,
    mask: np.ndarray | None = None,
) -> JacobianMap:
    """Determinant of the Jacobian of the whole map, affine included: d moving mm / d fixed mm.

    Central differences over the voxels of the reference grid, one-sided at its border; 1 for the identity, above 1
    where tissue of the fixed image is larger in the moving image. Orientation and spacing cancel out.

    Args:
        transform: fixed world -> moving world, one or a sequence.
        reference: image or grid; by default that of the displacement.
        log: the map holds the natural logarithm, of at least :data:`LOG_FLOOR` (where space folds there is none).
        mask: ``(*S)`` on the reference grid; the numbers count only voxels where it is not zero.

    Raises:
        DataError: unreadable, no reference where one is needed, or a mask on another grid or without voxels.
    """
    import torch

    from mmreg.evaluation.functional import jacobian

    chain = load_chain(transform)
    grid = reference_grid(chain, reference)
    if min(grid.shape) < 2:
        raise DataError(f'reference: found a grid of shape {grid.shape}, expected at least two voxels along each axis')
    determinant = jacobian.determinant_map(torch.from_numpy(chain.displacement_on(grid, np.float64)), crop=0)
    counted = determinant if mask is None else determinant[torch.from_numpy(_checked_mask(mask, grid))]
    shown = determinant.clamp(min=LOG_FLOOR).log() if log else determinant
    return JacobianMap(
        Volume(shown.numpy().astype(np.float32), grid),
        float(counted.min()),
        float(counted.max()),
        float(counted.mean()),
        jacobian.fold_percent(counted),
        jacobian.sd_log_jacobian(counted),
    )


def reference_grid(transform: Transform, reference: ImageLike | Geometry | None) -> Geometry:
    """Grid of ``reference``, or that of the displacement that meets the fixed point first.

    Raises:
        DataError: neither exists, or the dimension is another.
    """
    grid = own_grid(transform) if reference is None else as_grid(reference)
    if grid is None:
        raise DataError(
            'reference: found none and the transform has no grid of its own in the space of the result, expected an '
            'image of that space (--reference FIXED)'
        )
    name = str(reference) if isinstance(reference, str) else 'reference'
    _check_dimension(transform, grid.ndim, name)
    return grid


def as_grid(source: ImageLike | Geometry) -> Geometry:
    """The grid of an image in any form; of a file only the header is read."""
    if isinstance(source, Geometry):
        return source
    if not isinstance(source, str | os.PathLike):
        return load_moving(source, 'reference', 'image').volume.geometry
    file = ImageFile.of(source)
    return read_geometry(file.path, series=file.series, frames=True, position=file.position)


def _check_dimension(transform: Transform, ndim: int, name: str) -> None:
    if transform.ndim != ndim:
        raise DataError(f'{name}: found {ndim} dimensions, expected {transform.ndim} as the transform has')


def _in_world(source: LandmarksLike, ndim: int, geometry: Geometry | None, frame: str | None, role: str) -> Landmarks:
    """Landmarks in RAS mm."""
    name = str(source) if isinstance(source, str | Path) else 'landmarks'
    if isinstance(source, str | Path):
        landmarks = read_landmarks(source, frame)
    else:
        landmarks = source if isinstance(source, Landmarks) else Landmarks(check_points(source), frame or 'ras')
    if landmarks.points.shape[1] != ndim:
        raise DataError(f'{name}: found landmarks with {landmarks.points.shape[1]} coordinates, expected {ndim}')
    if landmarks.frame == 'ras':
        return landmarks
    if geometry is None:
        raise DataError(f'{name}: found landmarks in voxels, expected the {role} image they are indices of as well')
    return Landmarks(landmarks.in_world(geometry), 'ras', landmarks.names)


def _checked_mask(mask: np.ndarray, grid: Geometry) -> np.ndarray:
    inside = np.asarray(mask) != 0
    if inside.shape != grid.shape or not inside.any():
        raise DataError(
            f'mask: found shape {inside.shape} with {int(inside.sum())} voxels inside, expected some on the reference '
            f'grid of shape {grid.shape}'
        )
    return inside
