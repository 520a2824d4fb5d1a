"""Images and label maps that a transform is applied to: told apart, read with channels and time points, and named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mmreg.errors import ConfigError, DataError
from mmreg.io import Volume, as_labels, check_finite
from mmreg.io.volumes import read_sitk, read_volume
from mmreg.registration.inputs import as_volume
from mmreg.registration.types import ImageLike

KINDS = ('auto', 'image', 'labels')
#: More values than this are intensities, whatever their pattern.
MOST_LABELS = 2000
#: Share of neighbouring voxels (one of them not zero) that have the same value, above which a file holds labels.
EQUAL_NEIGHBOURS = 0.5


@dataclass(frozen=True, eq=False)
class MovingImage:
    """What is resampled.

    Attributes:
        volume: float32 intensities, or integer labels.
        name: Path, or what the argument is called.
        dtype: Type of the voxels in the file or array.
        is_labels: Whether the numbers are names.
        frames: Whether the channels are a fourth axis (time points) in the file.
    """

    volume: Volume
    name: str
    dtype: np.dtype
    is_labels: bool
    frames: bool = False


def load_moving(source: ImageLike, name: str, kind: str = 'auto') -> MovingImage:
    """Read an image or a label map.

    Args:
        source: Path, Volume, SimpleITK image, or (array, geometry).
        name: What to call it where it has no path.
        kind: 'image', 'labels', or 'auto' to look at the voxels.

    Raises:
        ConfigError: unknown kind.
        DataError: unreadable, or labels that are not whole numbers.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind '{kind}' was given, expected one of {', '.join(KINDS)}")
    frames = False
    if isinstance(source, str | Path):
        name = str(source)
        volume, frames = _read(source)
    else:
        volume = as_volume(source, name)
        check_finite(volume.array, name)
    is_labels = kind == 'labels' or (kind == 'auto' and looks_like_labels(volume.array, volume.ndim))
    dtype = volume.array.dtype
    array = (
        as_labels(volume.array, name, allow_empty=True) if is_labels else volume.array.astype(np.float32, copy=False)
    )
    return MovingImage(Volume(array, volume.geometry), name, dtype, is_labels, frames)


def looks_like_labels(array: np.ndarray, ndim: int) -> bool:
    """Whether the voxels are whole numbers from zero up, few, and mostly equal to their neighbours.

    Tissue in an image has noise; a structure in a label map has none.
    """
    if array.ndim > ndim:
        return False
    if not np.issubdtype(array.dtype, np.integer) and array.dtype != bool and not _whole(array):
        return False
    if array.min() < 0 or not array.any() or len(np.unique(array)) > MOST_LABELS:
        return False
    equal = pairs = 0
    for axis in range(ndim):
        first = array[(slice(None),) * axis + (slice(None, -1),)]
        second = array[(slice(None),) * axis + (slice(1, None),)]
        either = (first != 0) | (second != 0)
        pairs += int(np.count_nonzero(either))
        equal += int(np.count_nonzero((first == second) & either))
    return pairs > 0 and equal > EQUAL_NEIGHBOURS * pairs


def as_image(volume: Volume, frames: bool) -> sitk.Image:
    """The SimpleITK image to write; with ``frames`` the channels are a fourth axis again."""
    image = volume.to_sitk()
    if not frames:
        return image
    return sitk.JoinSeries([sitk.VectorIndexSelectionCast(image, n) for n in range(volume.channels)])


def _whole(array: np.ndarray) -> bool:
    """Whether all numbers are whole; a few are looked at first."""
    few = array.ravel()[:: max(1, array.size // 1000)]
    return bool((few == np.rint(few)).all() and (array == np.rint(array)).all())


def _read(path: Any) -> tuple[Volume, bool]:
    """The volume in the type of its file, and whether a fourth axis became channels."""
    path = Path(path)
    if path.is_dir():
        return read_volume(path, check=False), False
    image = read_sitk(path)
    frames = image.GetDimension() == 4 and image.GetSize()[3] > 1
    if image.GetDimension() == 4 and image.GetNumberOfComponentsPerPixel() == 1:
        parts = [image[:, :, :, n] for n in range(image.GetSize()[3])]
        image = sitk.Compose(parts) if frames else parts[0]
    if image.GetDimension() not in (2, 3) or 'complex' in image.GetPixelIDTypeAsString():
        raise DataError(
            f'{path}: found a {image.GetDimension()}-D image of {image.GetPixelIDTypeAsString()}, expected real '
            'numbers in 2-D, 3-D, or 3-D with time points'
        )
    try:
        volume = Volume.from_sitk(image)
    except DataError as error:
        raise DataError(f'{path}: {error}') from error
    check_finite(volume.array, str(path))
    return volume, frames
