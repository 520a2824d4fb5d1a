"""Images and label maps that a transform is applied to: told apart, read with channels and time points, and named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from mmreg.errors import ConfigError, DataError
from mmreg.io import ImageFile, Volume, as_labels
from mmreg.io.checks import check_not_infinite
from mmreg.io.formats.build import COLOUR, TIME_STEP, TIME_UNIT
from mmreg.io.volumes import one_frame, read_sitk, with_facts
from mmreg.registration.inputs import as_volume
from mmreg.registration.inputs.images import is_nibabel
from mmreg.registration.types import ImageLike

#: Key of the distance of two time points in the unit of SimpleITK's fourth axis.
STEP = 'step'
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
        facts: What else the file says of time and colours, see :mod:`mmreg.io.formats.build`.
    """

    volume: Volume
    name: str
    dtype: np.dtype
    is_labels: bool
    frames: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_colour(self) -> bool:
        """Whether the channels are red, green, blue (and how opaque)."""
        return self.dtype == np.uint8 and not self.frames and self.volume.channels in (3, 4)


def load_moving(source: ImageLike, name: str, kind: str = 'auto', position: str | None = None) -> MovingImage:
    """Read an image or a label map.

    Args:
        source: Path, Volume, SimpleITK image, or (array, geometry).
        name: What to call it where it has no path.
        kind: 'image', 'labels', or 'auto' to look at the voxels.
        position: 'sform' or 'qform' of a NIfTI header.

    Raises:
        ConfigError: unknown kind.
        DataError: unreadable, or labels that are not whole numbers.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind '{kind}' was given, expected one of {', '.join(KINDS)}")
    frames = False
    facts: dict[str, str] = {}
    if isinstance(source, str | os.PathLike):
        name = str(source)
        volume, frames, facts = _read(ImageFile.of(source), position)
    else:
        volume = as_volume(source, name)
        frames = is_nibabel(source) and volume.array.ndim > 3
    check_not_infinite(volume.array, name)
    is_labels = kind == 'labels' or (kind == 'auto' and looks_like_labels(volume.array, volume.ndim))
    dtype = volume.array.dtype
    array = (
        as_labels(volume.array, name, allow_empty=True) if is_labels else volume.array.astype(np.float32, copy=False)
    )
    return MovingImage(Volume(array, volume.geometry), name, dtype, is_labels, frames, facts)


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


def as_image(volume: Volume, moving: MovingImage) -> sitk.Image:
    """The SimpleITK image to write: time points are a fourth axis again, with their distance; colours are colours."""
    image = volume.to_sitk()
    if moving.frames:
        space = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
        image = sitk.JoinSeries([sitk.VectorIndexSelectionCast(image, n) for n in range(volume.channels)])
        step = float(moving.facts.get(STEP, 1.0))
        image.SetSpacing((*image.GetSpacing()[:3], step if step > 0 else 1.0))
        for key, value in space.items():
            image.SetMetaData(key, value)
    for key in (TIME_STEP, TIME_UNIT, COLOUR):
        if key in moving.facts:
            image.SetMetaData(key, moving.facts[key])
    return image


def _whole(array: np.ndarray) -> bool:
    """Whether all numbers are whole; a few are looked at first."""
    few = array.ravel()[:: max(1, array.size // 1000)]
    return bool((few == np.rint(few)).all() and (array == np.rint(array)).all())


def _read(file: ImageFile, position: str | None) -> tuple[Volume, bool, dict[str, str]]:
    """The volume in the type of its file, whether a fourth axis became channels, and what else the file says."""
    image = read_sitk(file.path, file.series, file.position or position)
    image = one_frame(image, str(file), file.frame)
    facts = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith('mmreg_')}
    frames = image.GetDimension() == 4 and image.GetSize()[3] > 1
    if image.GetDimension() == 4 and image.GetNumberOfComponentsPerPixel() == 1:
        facts[STEP] = str(image.GetSpacing()[3])
        parts = [image[:, :, :, n] for n in range(image.GetSize()[3])]
        image = with_facts(sitk.Compose(parts) if frames else parts[0], image)
    if image.GetDimension() not in (2, 3) or 'complex' in image.GetPixelIDTypeAsString():
        raise DataError(
            f'{file}: found a {image.GetDimension()}-D image of {image.GetPixelIDTypeAsString()}, expected real '
            'numbers in 2-D, 3-D, or 3-D with time points'
        )
    try:
        volume = Volume.from_sitk(image)
    except DataError as error:
        raise DataError(f'{file}: {error}') from error
    return volume, frames, facts
