"""Transforms applied to images, label maps and landmarks.

Every function takes whatever :func:`mmreg.transforms.files.load_transform` reads, and a sequence of them as a chain:
the first one meets the fixed point first, the order of ``antsApplyTransforms``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.io import Geometry, Landmarks, Volume, check_points, read_landmarks, resample_to
from mmreg.io.point_inverse import inverse_points
from mmreg.io.resample import outside_value
from mmreg.io.transform_parts import own_grid
from mmreg.registration.types import ImageLike, LandmarksLike

from .files import TransformLike, inverted, load_chain
from .moving import MovingImage, load_moving
from .reference import as_grid, check_dimension, reference_grid

#: Image modes and label modes; the first one is the default.
IMAGE_MODES, LABEL_MODES = ('linear', 'spline', 'nearest'), ('nearest', 'label')
DIRECTIONS = ('fixed_to_moving', 'moving_to_fixed')


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

    Example:
        >>> shift = np.array([[1.0, 0, 1], [0, 1, 0], [0, 0, 1]])  # one millimetre along the first axis
        >>> image = np.arange(12, dtype=np.float32).reshape(4, 3), np.eye(3)
        >>> apply_transform(shift, image, image, kind='image', fill=0).array[:, 0].tolist()
        [3.0, 6.0, 9.0, 0.0]
    """
    chain = load_chain(transform)
    chain = inverted(chain) if inverse else chain
    moving = image if isinstance(image, MovingImage) else load_moving(image, 'image', kind)
    grid = reference_grid(chain, reference)
    check_dimension(chain, moving.volume.ndim, moving.name)
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

    Example:
        >>> shift = np.array([[1.0, 0, 1], [0, 1, 0], [0, 0, 1]])
        >>> transform_landmarks(shift, np.array([[1.0, 2.0]]), 'fixed_to_moving')[0].points.tolist()
        [[2.0, 2.0]]
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
