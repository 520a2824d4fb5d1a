"""The ground truth of one pair, read when it is needed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from mmreg.errors import DataError
from mmreg.io import Geometry, read_geometry, read_image, read_labels, read_landmarks, read_mask

from .config import ScoredPair


class ChallengeCase:
    """A pair with its field and its ground truth.

    Args:
        root: Ground-truth folder.
        pair: Which pair.
        displacement: ``(ndim, *S)`` float64 voxels.
        masked: Whether the regularity is measured inside the fixed image's mask.
        volume: ``'fixed'`` or ``'moving'``: the image in whose foreground the published scorer of this edition measures
            the non-diffeomorphic volume.
    """

    def __init__(self, root: Path, pair: ScoredPair, displacement: np.ndarray, masked: bool, volume: str = 'moving'):
        self.root, self.pair, self.displacement, self.masked = root, pair, displacement, masked
        self.volume = volume

    def file(self, role: str, dest: str) -> Path:
        """The file of ``dest`` (``labels``, ``masks``, ``keypoints`` ...) that belongs to the fixed or moving image.

        Key points of two modalities other than 0 and 1 are in a folder of their own, such as ``keypoints02Tr``.
        """
        image = getattr(self.pair, role)
        fixed, moving = self.pair.modalities
        if dest == 'keypoints' and fixed != moving and (fixed, moving) != ('0000', '0001'):
            first, second = sorted((int(fixed), int(moving)))
            dest = f'{dest}{first}{second}'
        return self.root / (image.replace('images', dest, 1) if dest != 'images' else image)

    def labels(self, role: str, dest: str = 'labels') -> np.ndarray:
        """Label map ``(*S)`` of the fixed or moving image."""
        return self._same_grid(read_labels(self.file(role, dest), check=False).array, self.file(role, dest))

    @cached_property
    def fixed_labels(self) -> np.ndarray:
        """Label map of the fixed image."""
        return self.labels('fixed')

    @cached_property
    def moving_labels(self) -> np.ndarray:
        """Label map of the moving image."""
        return self.labels('moving')

    @cached_property
    def mask(self) -> np.ndarray | None:
        """Mask of the fixed image; None where the evaluation is not masked."""
        if not self.masked:
            return None
        return self._same_grid(read_mask(self.file('fixed', 'masks'), check=False).array, self.file('fixed', 'masks'))

    def foreground(self, role: str) -> np.ndarray:
        """Where the fixed or moving image is above 0."""
        return self._same_grid(read_image(self.file(role, 'images'), check=False).array, self.file(role, 'images')) > 0

    def geometry(self, role: str) -> Geometry:
        """Grid of the fixed or moving image, from its header."""
        return read_geometry(self.file(role, 'images'))

    def points(self, role: str, dest: str) -> np.ndarray | None:
        """Landmarks ``(P, ndim)`` in voxels from a CSV; None where they come as a label volume instead."""
        volume = self.file(role, dest)
        table = volume.with_name(volume.name.split('.')[0] + '.csv')
        if table.is_file() or not volume.is_file():
            return read_landmarks(table).in_voxels(self.geometry(role))
        return None

    def _same_grid(self, array: np.ndarray, path: Path) -> np.ndarray:
        if array.shape != self.displacement.shape[1:]:
            raise DataError(
                f'{path}: found the shape {array.shape}, expected {self.displacement.shape[1:]} (the field).'
            )
        return array
