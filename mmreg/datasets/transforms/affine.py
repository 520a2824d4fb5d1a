"""Random affine maps of each image by itself: what a registration of already aligned images does not see."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from mmreg.errors import ConfigError
from mmreg.registry import TRANSFORMS

from .intensity import generator
from .roles import Group, groups, refuse_displacement, size_of
from .world import rotation_of


@TRANSFORMS.register_module()
class RandomAffine:
    """Moves every image of a pair, with its labels, mask and points, by an affine map of its own; zeros outside.

    All numbers are standard deviations. The map is ``rotation * shear * scale + noise`` about the centre of the grid;
    noise and translation count half extents of the grid, axis by axis.

    Args:
        prob: Probability per image.
        noise: Of every entry of the matrix and of the translation (GradICON: 0.05).
        translation: Further translation, in half extents.
        rotation: Degrees per axis (SITReg on NLST: 5).
        log_scale: Of the logarithm of the scale per axis.
        log_shear: Of the entries of the shear.

    Raises:
        ConfigError: a probability outside 0 to 1 or a negative deviation.

    Source: augmentation of GradICON (Tian et al., CVPR 2023) and of SITReg's NLST configuration.
    """

    def __init__(
        self,
        prob: float = 1.0,
        noise: float = 0.0,
        translation: float = 0.0,
        rotation: float = 0.0,
        log_scale: float = 0.0,
        log_shear: float = 0.0,
    ):
        if not 0 <= prob <= 1:
            raise ConfigError(f'RandomAffine got prob={prob}, expected 0 to 1.')
        deviations = {
            'noise': noise,
            'translation': translation,
            'rotation': rotation,
            'log_scale': log_scale,
            'log_shear': log_shear,
        }
        for name, value in deviations.items():
            if value < 0:
                raise ConfigError(f'RandomAffine got {name}={value}, expected 0 or more.')
        self.prob, self.deviations = prob, deviations

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        refuse_displacement(sample, self)
        rng = generator(sample)
        for group in list(groups(sample)):
            if rng.random() < self.prob:
                matrix, offset = self.draw(size_of(sample, group), rng)
                move_group(sample, group, matrix, offset)
        return sample

    def draw(self, size: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Matrix and offset, voxels: new voxel ``x`` shows what was at ``matrix @ x + offset``."""
        ndim, of = len(size), self.deviations
        half = np.maximum(np.array(size) - 1, 1) / 2
        angles = np.deg2rad(of['rotation']) * rng.standard_normal(1 if ndim == 2 else 3)
        shear = np.eye(ndim) + np.triu(of['log_shear'] * rng.standard_normal((ndim, ndim)), 1)
        scale = np.diag(np.exp(of['log_scale'] * rng.standard_normal(ndim)))
        noise = of['noise'] * rng.standard_normal((ndim, ndim + 1))
        matrix = rotation_of(angles) @ shear @ scale + half[:, None] * noise[:, :ndim] / half
        shift = half * (noise[:, ndim] + of['translation'] * rng.standard_normal(ndim))
        centre = (np.array(size) - 1) / 2
        return matrix, centre - matrix @ centre + shift


def move_group(sample: dict[str, Any], group: Group, matrix: np.ndarray, offset: np.ndarray) -> None:
    """Resample a group's grid: images linearly, labels and masks by nearest neighbour, points by the inverse map."""
    for key, order in ((group.image, 1), *((key, 0) for key in group.discrete)):
        if sample.get(key) is not None:
            moved = [ndimage.affine_transform(channel, matrix, offset, order=order) for channel in sample[key]]
            sample[key] = np.stack(moved)
    if sample.get(group.landmarks) is not None:
        points = np.linalg.solve(matrix, (sample[group.landmarks] - offset).T).T
        sample[group.landmarks] = points.astype(np.float32)
