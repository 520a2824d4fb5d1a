"""Where the voxels of a grid lie in the world.

Inside mmreg the world is RAS+ millimetres (x to the patient's Right, y to Anterior, z to Superior), as in NIfTI. ITK
and DICOM use LPS+; the two differ by the sign of x and y, and :meth:`Geometry.to_sitk` / :meth:`Geometry.from_sitk`
are the only places where the sign of a grid changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError

# Directions may deviate from orthonormal by the rounding of float32 headers, not by more.
ORTHONORMAL_TOLERANCE = 1e-3
#: Key under which an image of SimpleITK carries the code of its world.
SPACE = 'mmreg_space'
_CODES = ('LR', 'PA', 'IS')


class SitkGeometry(NamedTuple):
    """The four properties that SimpleITK keeps per image: size, and LPS spacing, origin and row-major direction."""

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]


def lps_flip(ndim: int) -> np.ndarray:
    """Return the homogeneous matrix between RAS and LPS: ``diag(-1, -1, 1, 1)``, in 2-D ``diag(-1, -1, 1)``."""
    return np.diag([-1.0, -1.0] + [1.0] * (ndim - 1))


@dataclass(frozen=True, eq=False)
class Geometry:
    """An immutable voxel grid in the world: shape and voxel-to-world affine.

    Args:
        shape: number of voxels along the array axes (i, j[, k]).
        affine: (ndim+1, ndim+1) matrix, voxel index -> RAS+ world in mm; voxel centres have integer indices.

        space: what world the affine leads to, by NIfTI's codes (1 scanner, 2 aligned with another image, 3 Talairach,
            4 MNI), where a file said so; results on the grid keep it, and grids are compared without it.

    Raises:
        DataError: the affine is not finite, not invertible, or its directions are not orthogonal.

    Example:
        >>> grid = Geometry.from_parts((10, 12, 14), spacing=(1, 2, 3))
        >>> grid.spacing, grid.codes
        ((1.0, 2.0, 3.0), 'RAS')
        >>> grid.voxel_to_world([[1, 1, 1]]).tolist()
        [[1.0, 2.0, 3.0]]
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    space: int | None = None

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        affine = np.array(self.affine, dtype=np.float64)
        ndim = len(shape)
        if ndim not in (2, 3) or min(shape) < 1:
            raise DataError(f'a grid of shape {shape} was given, expected two or three positive sizes')
        if affine.shape != (ndim + 1, ndim + 1):
            raise DataError(f'the affine has shape {affine.shape}, expected {(ndim + 1, ndim + 1)} for a {ndim}-D grid')
        check_affine(affine)
        affine.setflags(write=False)
        object.__setattr__(self, 'shape', shape)
        object.__setattr__(self, 'affine', affine)

    @classmethod
    def from_parts(
        cls,
        shape: Sequence[int],
        spacing: Sequence[float] | None = None,
        origin: Sequence[float] | None = None,
        direction: np.ndarray | None = None,
    ) -> Geometry:
        """Build a grid from spacing (mm), origin (RAS mm of voxel 0) and direction (columns are axes, RAS)."""
        ndim = len(shape)
        affine = np.eye(ndim + 1)
        columns = np.eye(ndim) if direction is None else np.asarray(direction, dtype=np.float64)
        affine[:ndim, :ndim] = columns * np.asarray(np.ones(ndim) if spacing is None else spacing, dtype=np.float64)
        affine[:ndim, ndim] = np.zeros(ndim) if origin is None else origin
        return cls(tuple(shape), affine)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Geometry) and self.shape == other.shape and np.array_equal(self.affine, other.affine)

    def __hash__(self) -> int:
        return hash((self.shape, self.affine.tobytes()))

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.shape)

    @property
    def matrix(self) -> np.ndarray:
        """(ndim, ndim) linear part: a voxel step along axis *i* is column *i*, in RAS mm."""
        return self.affine[: self.ndim, : self.ndim]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbouring voxel centres along each array axis, mm."""
        return tuple(float(s) for s in np.linalg.norm(self.matrix, axis=0))

    @property
    def origin(self) -> tuple[float, ...]:
        """RAS mm position of the centre of voxel 0."""
        return tuple(float(s) for s in self.affine[: self.ndim, self.ndim])

    @property
    def direction(self) -> np.ndarray:
        """(ndim, ndim) unit columns: the RAS direction of each array axis."""
        return self.matrix / np.asarray(self.spacing)

    @property
    def centre(self) -> np.ndarray:
        """(ndim,) RAS mm position of the middle of the grid."""
        return self.voxel_to_world((np.asarray(self.shape) - 1) / 2)

    @property
    def codes(self) -> str:
        """Nearest anatomical direction of each array axis, e.g. ``'RAS'`` or ``'LPS'``."""
        world, signs = self._axes()
        return ''.join(_CODES[w][int(s > 0)] for w, s in zip(world, signs))

    def _axes(self) -> tuple[np.ndarray, np.ndarray]:
        """For each array axis: the world axis it follows most closely (each used once), and its sign."""
        direction = self.direction
        from scipy.optimize import linear_sum_assignment  # slow to import, and seldom needed

        world, axis = linear_sum_assignment(-np.abs(direction))
        order = world[np.argsort(axis)]
        return order, np.sign(direction[order, np.arange(self.ndim)])

    def voxel_to_world(self, points: Any) -> np.ndarray:
        """Map (..., ndim) voxel indices to RAS mm."""
        return np.asarray(points, dtype=np.float64) @ self.matrix.T + self.affine[: self.ndim, self.ndim]

    def world_to_voxel(self, points: Any) -> np.ndarray:
        """Map (..., ndim) RAS mm positions to continuous voxel indices."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(points, dtype=np.float64) @ inverse[: self.ndim, : self.ndim].T + inverse[: self.ndim, -1]

    def same_grid(self, other: Geometry, tol: float = 1e-2) -> bool:
        """Tell whether both grids have the same shape and no corner is further apart than ``tol`` voxels."""
        if self.shape != other.shape:
            return False
        corners = np.array(list(product(*[(0, n - 1) for n in self.shape])))
        distance = np.linalg.norm(self.voxel_to_world(corners) - other.voxel_to_world(corners), axis=1)
        return bool(distance.max() <= tol * min(self.spacing))

    def padded(self, before: Sequence[int], after: Sequence[int]) -> Geometry:
        """Grid with ``before``/``after`` voxels more (or, negative, fewer) at both ends of each axis.

        Example:
            >>> Geometry.from_parts((4, 4)).padded((1, 0), (2, 0)).origin
            (-1.0, 0.0)
        """
        shape = tuple(int(n + b + a) for n, b, a in zip(self.shape, before, after))
        affine = self.affine.copy()
        affine[: self.ndim, self.ndim] = self.voxel_to_world(-np.asarray(before, dtype=np.float64))
        return Geometry(shape, affine, self.space)

    def resampled(self, spacing: float | Sequence[float]) -> Geometry:
        """Grid of another spacing (mm) over the same field of view, with the same middle.

        Sizes are rounded to whole voxels, so the outer faces move by less than half a new voxel.
        """
        new = np.broadcast_to(np.asarray(spacing, dtype=np.float64), (self.ndim,))
        if not (np.isfinite(new).all() and (new > 0).all()):
            raise DataError(f'a spacing of {tuple(new.tolist())} mm was given, expected positive numbers')
        shape = np.maximum(1, np.rint(np.asarray(self.shape) * np.asarray(self.spacing) / new)).astype(int)
        affine = self.affine.copy()
        affine[: self.ndim, : self.ndim] = self.direction * new
        affine[: self.ndim, self.ndim] = self.centre - affine[: self.ndim, : self.ndim] @ ((shape - 1) / 2)
        return Geometry(tuple(shape.tolist()), affine, self.space)

    def divided(self, factors: Sequence[int]) -> Geometry:
        """The grid from the same first to the same last voxel with steps that many times smaller per axis."""
        matrix = self.affine.copy()
        matrix[:-1, :-1] /= np.asarray(factors, dtype=float)
        return Geometry(tuple((n - 1) * f + 1 for n, f in zip(self.shape, factors)), matrix, self.space)

    def reorientation(self, codes: str) -> tuple[tuple[int, ...], tuple[bool, ...]]:
        """Return (axes, flips): new axis *n* is old axis ``axes[n]``, reversed where ``flips[n]``.

        Raises:
            DataError: ``codes`` does not name each axis once.
        """
        wanted = [next((w for w, pair in enumerate(_CODES[: self.ndim]) if c in pair), -1) for c in codes.upper()]
        if sorted(wanted) != list(range(self.ndim)):
            raise DataError(f"orientation '{codes}' was given, expected one letter per axis such as 'RAS' or 'LPS'")
        world, signs = self._axes()
        axes = tuple(int(np.flatnonzero(world == w)[0]) for w in wanted)
        wanted_signs = [1 if c == _CODES[w][1] else -1 for c, w in zip(codes.upper(), wanted)]
        return axes, tuple(bool(signs[a] != s) for a, s in zip(axes, wanted_signs))

    def reoriented(self, codes: str) -> Geometry:
        """Same voxels in the world, with array axes permuted and flipped to follow ``codes``.

        Example:
            >>> Geometry.from_parts((4, 5, 6)).reoriented('LPS').origin
            (3.0, 4.0, 0.0)
        """
        axes, flips = self.reorientation(codes)
        affine = np.eye(self.ndim + 1)
        start = np.zeros(self.ndim)
        for new, (old, flip) in enumerate(zip(axes, flips)):
            affine[: self.ndim, new] = self.matrix[:, old] * (-1 if flip else 1)
            start[old] = self.shape[old] - 1 if flip else 0
        affine[: self.ndim, self.ndim] = self.voxel_to_world(start)
        return Geometry(tuple(self.shape[a] for a in axes), affine, self.space)

    def to_sitk(self) -> SitkGeometry:
        """Express the grid as SimpleITK's size, spacing, origin and direction (LPS)."""
        affine = lps_flip(self.ndim) @ self.affine
        direction = affine[: self.ndim, : self.ndim] / np.asarray(self.spacing)
        # + 0.0 turns the -0.0 of a flipped zero into 0.0, which files would otherwise keep.
        origin = affine[: self.ndim, self.ndim] + 0.0
        return SitkGeometry(self.shape, self.spacing, tuple(origin.tolist()), tuple((direction + 0.0).ravel().tolist()))

    @classmethod
    def from_sitk(cls, image: Any) -> Geometry:
        """Read the grid of a SimpleITK image or of a reader that has read its header."""
        size = tuple(image.GetSize())
        ndim = len(size)
        affine = np.eye(ndim + 1)
        affine[:ndim, :ndim] = np.reshape(image.GetDirection(), (ndim, ndim)) * np.asarray(image.GetSpacing())
        affine[:ndim, ndim] = image.GetOrigin()
        return cls(size, lps_flip(ndim) @ affine + 0.0, _space_of(image))


def _space_of(image: Any) -> int | None:
    """The code of the world that a reader of mmreg left in an image."""
    if isinstance(image, sitk.Image) and image.HasMetaDataKey(SPACE):
        return int(image.GetMetaData(SPACE))
    return None


def check_affine(affine: np.ndarray, name: str = 'the affine') -> None:
    """Refuse a voxel-to-world matrix that is not finite, not invertible or has axes that are not orthogonal.

    Example:
        >>> check_affine(np.eye(4))
    """
    linear = affine[:-1, :-1]
    if not np.isfinite(affine).all():
        raise DataError(f'{name} holds numbers that are not finite, expected a voxel-to-world matrix in mm')
    lengths = np.linalg.norm(linear, axis=0)
    if lengths.min() <= 1e-9:
        raise DataError(f'{name} has a spacing of {tuple(lengths.tolist())} mm, expected positive numbers')
    gram = (linear / lengths).T @ (linear / lengths)
    error = float(np.abs(gram - np.eye(len(gram))).max())
    if error > ORTHONORMAL_TOLERANCE:
        raise DataError(
            f'{name} has axes that are not orthogonal (sheared or not invertible, cosine {error:.3g}), expected '
            'perpendicular axes'
        )
