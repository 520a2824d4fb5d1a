"""Arrays of a pair turned as the patient lies, where their grid is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmreg.errors import DataError
from mmreg.io import Geometry, Volume
from mmreg.io.displacement import reoriented_displacement

from .figure_marks import VIEW_CODES
from .slices import to_array


@dataclass(frozen=True)
class PatientView:
    """How the arrays of one grid are turned for a picture.

    Attributes:
        geometry: Their grid; None where nobody knows it: they stay as they are.
        codes: Where the axes point afterwards; empty without a grid.
    """

    geometry: Geometry | None
    codes: str

    @classmethod
    def of(cls, shape: Sequence[int], affine: Any, view: str = 'neurological') -> PatientView:
        """From the shape of the arrays and their affine (voxel to RAS mm), as samples of data sets have it.

        A slice of a volume has the affine of the volume; it is turned where it is axial. An affine that says no more
        than a voxel size is that of arrays which came without a header: nobody knows how they lie.
        """
        matrix = None if affine is None else np.asarray(to_array(affine), float)
        ndim = len(shape)
        if matrix is not None and ndim == 2 and matrix.shape == (4, 4):
            matrix = _in_plane(matrix)
        if matrix is None or matrix.shape != (ndim + 1, ndim + 1) or _says_nothing(matrix):
            return cls(None, '')
        try:
            return cls(Geometry(tuple(shape), matrix), VIEW_CODES[view][:ndim])
        except DataError:  # an affine that no image can have
            return cls(None, '')

    def image(self, image: Any) -> np.ndarray:
        """First channel of an image ``(C, *S)`` or ``(*S)``, turned."""
        array = to_array(image)
        if self.geometry is None:
            return array
        array = array[0] if array.ndim > self.geometry.ndim else array
        return Volume(array, self.geometry).reoriented(self.codes).array

    def field(self, displacement: Any) -> np.ndarray:
        """A displacement ``(ndim, *S)`` in voxels, turned."""
        array = to_array(displacement).astype(np.float32)
        return array if self.geometry is None else reoriented_displacement(array, self.geometry, self.codes)

    def spacing(self, known: Sequence[float] | None = None) -> Sequence[float] | None:
        """Voxel size in mm per turned axis; ``known`` without a grid."""
        return known if self.geometry is None else self.geometry.reoriented(self.codes).spacing


def _says_nothing(matrix: np.ndarray) -> bool:
    diagonal = np.diagonal(matrix)
    return bool((diagonal > 0).all()) and np.allclose(matrix, np.diag(diagonal), atol=1e-6)


def _in_plane(matrix: np.ndarray) -> np.ndarray | None:
    """The affine of an axial slice from that of its volume; None for slices of other planes."""
    codes = Geometry((2, 2, 2), matrix).codes
    if codes[2] not in 'SI':
        return None
    return matrix[np.ix_((0, 1, 3), (0, 1, 3))]
