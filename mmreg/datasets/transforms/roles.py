"""Which entry of a sample is what.

A transform works on one image (a *subject*: ``image``, ``labels``, ``mask``, ``prompt``,
``landmarks``, ``affine``) and on a pair
(the same with ``fixed_``/``moving_``) alike. Each of these is a group of entries that share one voxel grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmreg.errors import DataError

#: Fields of the fixed grid in voxels, ``(ndim, *spatial)``.
DISPLACEMENT = 'true_displacement'
#: Where :data:`DISPLACEMENT` can be told from the images, ``(1, *spatial)`` bool.
DISPLACEMENT_VALID = 'true_displacement_valid'


@dataclass(frozen=True)
class Group:
    """Keys of the entries that share one grid."""

    image: str
    prefix: str

    @property
    def labels(self) -> str:
        """Key of the label map."""
        return f'{self.prefix}labels'

    @property
    def mask(self) -> str:
        """Key of the mask."""
        return f'{self.prefix}mask'

    @property
    def prompt(self) -> str:
        """Key of the predicted label map."""
        return f'{self.prefix}prompt'

    @property
    def landmarks(self) -> str:
        """Key of the points."""
        return f'{self.prefix}landmarks'

    @property
    def affine(self) -> str:
        """Key of the voxel-to-world matrix."""
        return f'{self.prefix}affine'

    @property
    def path(self) -> str:
        """Key of the file's name."""
        return f'{self.prefix}path'

    @property
    def discrete(self) -> tuple[str, ...]:
        """Entries that are never interpolated, ``(1, *spatial)``."""
        extra = (DISPLACEMENT_VALID,) if self.image == 'fixed' else ()
        return (self.labels, self.mask, self.prompt, *extra)


SUBJECT = Group('image', '')
FIXED = Group('fixed', 'fixed_')
MOVING = Group('moving', 'moving_')
GROUPS = (SUBJECT, FIXED, MOVING)


def groups(sample: dict[str, Any]) -> Iterator[Group]:
    """The groups whose image is in ``sample``."""
    return (group for group in GROUPS if group.image in sample)


def size_of(sample: dict[str, Any], group: Group) -> tuple[int, ...]:
    """Spatial size of a group's grid."""
    return tuple(sample[group.image].shape[1:])


def name_of(sample: dict[str, Any], group: Group) -> str:
    """What to call a group's image in an error: its path where it has one."""
    return str(sample.get(group.path) or group.image)


def shift_origin(affine: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Affine of a grid whose voxel 0 is voxel ``offset`` of the grid of ``affine`` (4x4; 3x3 in 2-D)."""
    moved = np.array(affine, dtype=np.float64)
    ndim = moved.shape[0] - 1
    offset = np.concatenate([np.asarray(offset, dtype=np.float64), np.zeros(ndim - len(offset))])
    moved[:ndim, ndim] += moved[:ndim, :ndim] @ offset
    return moved


def scale_axes(affine: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Affine of a grid whose voxels are ``factors`` times larger per axis, voxel 0 unmoved."""
    scaled = np.array(affine, dtype=np.float64)
    for axis, factor in enumerate(factors):
        scaled[:-1, axis] *= factor
    return scaled


def refuse_displacement(sample: dict[str, Any], transform: object) -> None:
    """Some transforms cannot carry a known displacement along."""
    if DISPLACEMENT in sample:
        raise DataError(
            f'{type(transform).__name__} cannot change a sample that carries {DISPLACEMENT!r}; '
            'put it into `preprocess`, before the pair is made.'
        )
