"""GIFTI surfaces, by nibabel: their points are RAS mm, after the file's own transform where it has one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import DataError
from mmreg.io.atomic import atomic_path

from .content import Content

_POINTSET = 'NIFTI_INTENT_POINTSET'


def read_content(path: Path) -> Content:
    """Points of a surface.

    Raises:
        DataError: not readable, or without a point set.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image: Any = nibabel.GiftiImage.from_filename(str(path))
        sets = image.get_arrays_from_intent(_POINTSET)
    except (ImageFileError, OSError, KeyError, AttributeError, TypeError, SyntaxError, AssertionError) as error:
        raise DataError(f'{path}: found what nibabel cannot read ({error}), expected a surface in GIFTI') from error
    except Exception as error:  # expat and zlib have errors of their own
        raise DataError(f'{path}: found a damaged file ({error}), expected a surface in GIFTI') from error
    if len(sets) != 1:
        raise DataError(f'{path}: found {len(sets)} point sets, expected a surface with one')
    (points,) = sets
    if points.data.ndim != 2 or points.data.shape[1] != 3:
        raise DataError(f'{path}: found points of shape {points.data.shape}, expected three numbers each')
    matrix = _own_transform(points.coordsys)
    world = points.data.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]

    def write(target: Path, moved: np.ndarray) -> None:
        points.data = moved.astype(np.float32)
        if points.coordsys is not None and not np.array_equal(matrix, np.eye(4)):
            points.coordsys.xform = np.eye(4)  # the points are in the space it led to by now
            points.coordsys.dataspace = points.coordsys.xformspace
        with atomic_path(target) as temporary:
            temporary.write_bytes(image.to_bytes())

    return Content(world, write, 'ras')


def _own_transform(system: Any) -> np.ndarray:
    """Numbers of the file -> the space that it names; none where that is the one they are in."""
    if system is None or system.xform is None or system.dataspace == system.xformspace:
        return np.eye(4)
    return np.asarray(system.xform, dtype=np.float64)
