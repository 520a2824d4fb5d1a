"""The grid of a result: that of an image in any form, or the transform's own."""

from __future__ import annotations

import os

from mmreg.errors import DataError
from mmreg.io import Geometry, ImageFile, Transform, read_geometry
from mmreg.io.transform_parts import own_grid
from mmreg.registration.types import ImageLike

from .moving import load_moving


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
    check_dimension(transform, grid.ndim, name)
    return grid


def as_grid(source: ImageLike | Geometry) -> Geometry:
    """The grid of an image in any form; of a file only the header is read."""
    if isinstance(source, Geometry):
        return source
    if not isinstance(source, str | os.PathLike):
        return load_moving(source, 'reference', 'image').volume.geometry
    file = ImageFile.of(source)
    return read_geometry(file.path, series=file.series, frames=True, position=file.position)


def check_dimension(transform: Transform, ndim: int, name: str) -> None:
    """Refuse an image called ``name`` of another dimension than the transform."""
    if transform.ndim != ndim:
        raise DataError(f'{name}: found {ndim} dimensions, expected {transform.ndim} as the transform has')
