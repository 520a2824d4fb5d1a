"""What a user hands over as an image, a label map or landmarks, in any form, as volumes with a name and a digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io import (
    Geometry,
    ImageFile,
    Landmarks,
    Volume,
    as_labels,
    as_mask,
    check_points,
    read_image_header,
    read_landmarks,
)
from mmreg.io.checks import check_not_constant, check_not_infinite
from mmreg.io.cine import chosen_frame
from mmreg.io.dicom import is_dicom_file
from mmreg.io.files import warn
from mmreg.io.formats.meta import ENDINGS as META_ENDINGS
from mmreg.io.formats.read import ImageHeader
from mmreg.registration.types import ImageLike, LandmarksLike

from .unknown import split_unknown


@dataclass(frozen=True, eq=False)
class Image:
    """A volume and where it came from.

    Attributes:
        volume: float32 intensities or integer labels with their geometry.
        name: The path, or what the argument is called.
        dtype: Type of the voxels in the file or array.
        source: The file or folder, and which of its series was chosen; None where it came from memory.
        unknown: ``(*S)`` bool, voxels that have no value (NaN in the file); None: all have one.
    """

    volume: Volume
    name: str
    dtype: np.dtype
    source: ImageFile | None = None
    unknown: np.ndarray | None = None

    @property
    def geometry(self) -> Geometry:
        """The image's own grid."""
        return self.volume.geometry


def load_image(source: ImageLike, name: str, channels: int | None = 1) -> Image:
    """An intensity image as float32.

    Args:
        source: See :data:`ImageLike`.
        name: What to call it where it has no path. Of a 4-D file, ``'fixed'`` and ``'moving'`` choose the frame, see
            :func:`mmreg.io.cine.chosen_frame`.
        channels: How many the model takes; None: any number.

    Raises:
        DataError: one sentence with the path or name.
    """
    if isinstance(source, str | os.PathLike):
        image = _read_image(chosen_frame(ImageFile.of(source), name), channels)
    else:
        _refuse_frames(source, name)
        volume = as_volume(source, name)
        array = np.ascontiguousarray(volume.array, dtype=np.float32)
        check_not_infinite(array, name)
        check_not_constant(array, name)
        image = Image(Volume(array, volume.geometry), name, volume.array.dtype)
    image = _with_numbers(image)
    if channels is not None and image.volume.channels != channels:
        raise DataError(f'{image.name}: found {image.volume.channels} channels, expected {channels} as the model takes')
    return image


def _with_numbers(image: Image) -> Image:
    """The image with its lowest number where it has no value, which is said."""
    array, unknown = split_unknown(image.volume.array, image.volume.ndim, image.name)
    if unknown is None:
        return image
    warn(
        f'{image.name}: {100 * unknown.mean():.0f} % of the voxels are NaN; they are taken for what the image does not '
        'show.'
    )
    return replace(image, volume=Volume(array, image.geometry), unknown=unknown)


def load_labels(source: ImageLike, name: str, of: Image) -> Image:
    """A label map on the grid of the image it belongs to.

    Raises:
        DataError: unreadable, empty, no whole numbers, or on another grid.
    """
    if isinstance(source, str | os.PathLike):
        image = Image(ImageFile.of(source).read('labels'), str(source), np.dtype(np.int16))
    else:
        volume = as_volume(source, name)
        image = Image(Volume(as_labels(volume.array, name), volume.geometry), name, volume.array.dtype)
    return _on_grid_of(image, of)


def load_mask(source: ImageLike, name: str, of: Image) -> Image:
    """Zeros and ones (uint8) on the grid of the image they belong to; whatever is not zero counts as inside.

    Raises:
        DataError: unreadable, empty, or on another grid.
    """
    if isinstance(source, str | os.PathLike):
        image = Image(ImageFile.of(source).read('mask'), str(source), np.dtype(np.uint8))
    else:
        volume = as_volume(source, name)
        image = Image(Volume(as_mask(volume.array, name), volume.geometry), name, volume.array.dtype)
    return _on_grid_of(image, of)


def _on_grid_of(image: Image, of: Image) -> Image:
    if not image.geometry.same_grid(of.geometry):
        raise DataError(
            f'{image.name}: found {_grid(image.geometry)}, expected the grid of {of.name}, {_grid(of.geometry)}'
        )
    return image


def load_landmarks(source: LandmarksLike, name: str, geometry: Geometry, frame: str | None = None) -> Landmarks:
    """Landmarks of an image, in their own frame; ``geometry`` is the image's grid.

    Raises:
        DataError: unreadable, not finite, or of another dimension.
    """
    if isinstance(source, str | Path):
        landmarks, name = read_landmarks(source, frame), str(source)
    elif isinstance(source, Landmarks):
        landmarks = source
    else:
        landmarks = Landmarks(check_points(source, name=name), frame or 'ras')
    if landmarks.points.shape[1] != geometry.ndim:
        raise DataError(
            f'{name}: found landmarks with {landmarks.points.shape[1]} coordinates, expected {geometry.ndim}'
        )
    return landmarks


def check_label_sets(fixed: Image, moving: Image, rule: str = 'equal', labels: Sequence[int] | None = None) -> None:
    """Refuse two label maps that do not name the same structures.

    Args:
        fixed: Label map of the fixed image.
        moving: Label map of the moving image.
        rule: ``'equal'``: the same values; ``'overlap'``: at least one in common.
        labels: Look at these values only.

    Raises:
        DataError: naming what only one of them has.
    """
    sets = [set(np.unique(image.volume.array).tolist()) - {0} for image in (fixed, moving)]
    if labels is not None:
        sets = [found & set(labels) for found in sets]
    first, second = sets
    if not first & second:
        raise DataError(
            f'{moving.name}: found the labels {_short(second)} and in {fixed.name} {_short(first)}, '
            'expected label maps that share labels'
        )
    if rule == 'equal' and first != second:
        only = [
            f'{_short(a - b)} only in {x.name}'
            for a, b, x in ((second, first, moving), (first, second, fixed))
            if a - b
        ]
        raise DataError(
            f'{moving.name} and {fixed.name}: found different label sets ({"; ".join(only)}), expected the same labels '
            "(or label_sets='overlap', --label-sets overlap, where structures may be missing)"
        )


def digest(source: Any) -> str:
    """SHA-256 of a file, of all files of a folder, or of an array with its grid."""
    total = hashlib.sha256()
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        for file in sorted(path.rglob('*')) if path.is_dir() else [path]:
            if file.is_file():
                with open(file, 'rb') as stream:
                    while block := stream.read(1 << 20):
                        total.update(block)
        return total.hexdigest()
    if isinstance(source, Landmarks | np.ndarray):
        total.update(np.ascontiguousarray(getattr(source, 'points', source)).tobytes())
        return total.hexdigest()
    volume = as_volume(source, 'image')
    total.update(np.ascontiguousarray(volume.array).tobytes())
    total.update(volume.geometry.affine.tobytes())
    return total.hexdigest()


def as_volume(source: Any, name: str) -> Volume:
    """A volume from any form of an image but a path; ``name`` is what an error calls it."""
    if isinstance(source, Volume):
        return source
    if isinstance(source, sitk.Image):
        try:
            return Volume.from_sitk(source)
        except DataError as error:
            raise DataError(f'{name}: {error}') from error
    if is_nibabel(source):
        return _of_nibabel(source, name)
    if isinstance(source, tuple) and len(source) == 2:
        array, geometry = np.asarray(source[0]), source[1]
        if not isinstance(geometry, Geometry):
            matrix = np.asarray(geometry, dtype=np.float64)
            geometry = Geometry(array.shape[: len(matrix) - 1], matrix)
        return Volume(array, geometry)
    raise DataError(
        f'{name}: found a {type(source).__name__}, expected a path, a Volume, a SimpleITK or nibabel image, or (array, '
        'geometry)'
    )


def is_nibabel(source: Any) -> bool:
    """Whether an object is an image of nibabel, told without importing it."""
    return all(hasattr(source, name) for name in ('dataobj', 'affine', 'header'))


def _of_nibabel(source: Any, name: str) -> Volume:
    """The voxels as their file scales them; further axes become channels."""
    array = np.asanyarray(source.dataobj)
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim > 4 or source.affine is None:
        raise DataError(f'{name}: found an image of shape {array.shape} with the affine {source.affine}, expected 3-D')
    ndim = min(3, array.ndim)
    keep = [*range(ndim), 3]
    codes = [int(source.header[key]) for key in ('sform_code', 'qform_code') if key in source.header]
    space = next((code for code in codes if code > 0), None)
    try:
        return Volume(array, Geometry(array.shape[:ndim], np.asarray(source.affine)[np.ix_(keep, keep)], space))
    except DataError as error:
        raise DataError(f'{name}: {error}') from error


def _refuse_frames(source: Any, name: str) -> None:
    """A time series is not one image with channels."""
    shape = tuple(source.shape) if is_nibabel(source) else ()
    if len(shape) == 4 and shape[3] > 1:
        raise DataError(
            f'{name}: found {shape[3]} volumes (shape {shape}), expected one; choose it by image.slicer[..., N], or '
            'give a Volume where they are channels of one image'
        )


def _read_image(file: ImageFile, channels: int | None) -> Image:
    """A file with one volume; several are channels only where the model takes so many, or where the file says so."""
    path, name, dtype = Path(file), str(file), np.dtype(np.float32)
    wanted = file.channels
    if not path.is_dir() and not is_dicom_file(path):
        header = read_image_header(path)
        dtype = header.dtype if header.dtype.kind in 'iu' else dtype
        _refuse_complex(file, header, channels)
        wanted = wanted or (channels is not None and channels == header.frames)
        if header.frames > 1 and file.frame is not None:
            name = f'{file} (frame {file.frame})'
        elif header.frames > 1 and not wanted:
            raise DataError(
                f'{file}: found a 4-D image of {header.frames} frames (size {header.size}), expected one image or one '
                f'volume of a time series: --frame N, from 1 to {header.frames}, chooses it, an Info.cfg with ED and '
                'ES beside it does so, and --channels takes all as channels of one image'
            )
    return Image(file.read(channels=channels != 1, stack=wanted, unknown=True), name, dtype, file)


def _refuse_complex(file: ImageFile, header: ImageHeader, channels: int | None) -> None:
    """A MetaImage of complex numbers says no more than that its voxels hold two."""
    two = header.components == 2 and header.dtype.kind == 'f' and Path(file).suffix.lower() in META_ENDINGS
    if two and not file.channels and channels != 2:
        raise DataError(
            f'{file}: found two real numbers per voxel, which may be one complex number, expected one; --channels '
            'takes them as channels of one image'
        )


def _grid(geometry: Geometry) -> str:
    spacing = ' x '.join(f'{s:.4g}' for s in geometry.spacing)
    return f'a grid of {" x ".join(map(str, geometry.shape))} voxels of {spacing} mm from {_rounded(geometry.origin)}'


def _rounded(values: Sequence[float]) -> str:
    return '(' + ', '.join(f'{v:.4g}' for v in values) + ')'


def _short(values: set[int], most: int = 8) -> str:
    shown = [str(v) for v in sorted(values)]
    return '[' + ', '.join(shown[:most] + ['...'] * (len(shown) > most)) + ']'
