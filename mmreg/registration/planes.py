"""Single slices that come as volumes with an axis of one voxel: registered in their planes, wherever those lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmreg.errors import DataError
from mmreg.io import Geometry, Volume

if TYPE_CHECKING:
    from .inputs import Pair

#: Cosine of the angle between two planes from which on they count as parallel.
_PARALLEL = 0.999
#: An affine may leave the plane by so much, mm per mm.
_TILT = 0.02


def is_slice(geometry: Geometry) -> bool:
    """Whether a grid of three axes has one voxel along one of them."""
    return geometry.ndim == 3 and sorted(geometry.shape)[0] == 1 < sorted(geometry.shape)[1]


def are_slices(pair: Pair) -> bool:
    """Whether both images of a pair are single slices."""
    return is_slice(pair.fixed.geometry) and is_slice(pair.moving.geometry)


@dataclass(frozen=True, eq=False)
class SlicePlane:
    """The plane of a slice with coordinates of its own.

    Attributes:
        axis: Axis of one voxel.
        frame: ``(4, 4)``: mm in the plane (two numbers), mm along its normal, 1 -> world mm.
    """

    axis: int
    frame: np.ndarray

    def flat(self, volume: Volume) -> Volume:
        """A slice, or another volume on its grid, as an image with two axes whose world is the plane."""
        geometry = volume.geometry
        local = np.linalg.inv(self.frame) @ geometry.affine
        affine = np.eye(3)
        affine[:2] = np.delete(local, self.axis, axis=1)[:2]
        array = np.take(volume.array, 0, axis=self.axis)
        shape = tuple(n for k, n in enumerate(geometry.shape) if k != self.axis)
        return Volume(array, Geometry(shape, affine))


@dataclass(frozen=True, eq=False)
class SlicePlanes:
    """The planes of two slices; parallel ones share their coordinates, so that headers say how the images lie."""

    fixed: SlicePlane
    moving: SlicePlane
    parallel: bool

    @classmethod
    def of(cls, pair: Pair) -> SlicePlanes:
        """Those of a pair of single slices."""
        return cls.of_grids(pair.fixed.geometry, pair.moving.geometry)

    @classmethod
    def of_grids(cls, fixed: Geometry, moving: Geometry) -> SlicePlanes:
        """Those of two grids of one slice each."""
        first, second = _basis(fixed), _basis(moving)
        parallel = abs(float(first[:, 2] @ second[:, 2])) >= _PARALLEL
        if parallel:
            second = first
        origin = fixed.centre
        place = first[:, 2] * float(first[:, 2] @ (moving.centre - origin)) + origin if parallel else moving.centre
        return cls(_plane(fixed, first, origin), _plane(moving, second, place), parallel)

    def lifted(self, matrix: np.ndarray) -> np.ndarray:
        """A map between the planes ``(3, 3)`` as one between the worlds ``(4, 4)``: normals stay normals."""
        whole = np.eye(4)
        whole[:2, :2], whole[:2, 3] = matrix[:2, :2], matrix[:2, 2]
        return self.moving.frame @ whole @ np.linalg.inv(self.fixed.frame)

    def check(self, matrix: np.ndarray) -> None:
        """Refuse a map of the worlds ``(4, 4)`` that turns the fixed plane out of the moving one.

        Raises:
            DataError: it does.
        """
        inside = np.linalg.inv(self.moving.frame) @ matrix @ self.fixed.frame
        if np.abs(inside[2, :2]).max() > _TILT:
            raise DataError(
                'affine: found a map that turns the fixed slice out of the plane of the moving one, expected one '
                'within the plane'
            )

    def by_headers(self) -> np.ndarray | None:
        """What brings the fixed plane onto the moving one and moves nothing in it; None: they are one already."""
        if not self.parallel:
            return None
        matrix = self.lifted(np.eye(3))
        return None if np.allclose(matrix, np.eye(4), atol=1e-6) else matrix


def _axis_of(geometry: Geometry) -> int:
    return geometry.shape.index(1)


def _basis(geometry: Geometry) -> np.ndarray:
    """``(3, 3)``: two directions in the plane and its normal, orthonormal columns."""
    first, second = np.delete(geometry.direction, _axis_of(geometry), axis=1).T
    normal = np.cross(first, second)
    normal /= np.linalg.norm(normal)
    first = first / np.linalg.norm(first)
    return np.stack([first, np.cross(normal, first), normal], axis=1)


def _plane(geometry: Geometry, basis: np.ndarray, origin: np.ndarray) -> SlicePlane:
    frame = np.eye(4)
    frame[:3, :3], frame[:3, 3] = basis, origin
    return SlicePlane(_axis_of(geometry), frame)


def by_headers(fixed: Geometry, moving: Geometry) -> np.ndarray | None:
    """Where headers alone say that the fixed grid lies in the moving image, ``(4, 4)`` RAS mm; None: where it is.

    Two slices that were taken at different heights of one direction lie on each other.
    """
    return SlicePlanes.of_grids(fixed, moving).by_headers() if is_slice(fixed) and is_slice(moving) else None
