"""The similarity of two images as a function of the affine map between them, at one level.

It is the similarity inside the common field of view times the share of the fixed points there. Of mutual information
this is what all fixed points together tell: those outside tell nothing. Without the factor a map gains by moving
background out of view.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.spatial.compiled import scattered
from mmreg.spatial.constants import constant
from mmreg.spatial.grid import half_extent

from .images import AffineLevel
from .parameters import exponential, translation_matrix
from .points import SampledPoints, block_points, scattered_points
from .settings import AffineSettings
from .similarity import PointSimilarity, make_similarity

#: Points (all candidates together) that are mapped at once.
_AT_ONCE = 2**18
#: Share of the points that a moving mask has to leave; with less, similarity counts for less.
_LEAST_LEFT = 0.1


@dataclass(frozen=True, eq=False)
class AffineObjective:
    """Points of the fixed image, the moving image, and what compares them.

    Attributes:
        points: of the fixed image.
        moving: image at this level.
        similarity: see :mod:`mmreg.registration.affine.similarity`.
        index: of the level, 0 is the finest.
        spacing: working spacing in mm.
    """

    points: SampledPoints
    moving: AffineLevel
    similarity: PointSimilarity
    index: int
    spacing: float

    def score(self, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Similarity (times overlap), and the overlap: the share of points inside the moving image.

        Args:
            matrices: ``(B, ndim+1, ndim+1)``, fixed world -> moving world.

        Returns:
            two arrays ``(B,)`` float64.
        """
        matrices = np.asarray(matrices, dtype=np.float64)
        size = max(1, _AT_ONCE // self.points.count)
        found = []
        with torch.no_grad():
            for part in np.split(matrices, range(size, len(matrices), size)):
                found.append(self._at(torch.from_numpy(self._to_voxels(part))))
        similarity, overlap = (torch.cat(column).double().cpu().numpy() for column in zip(*found))
        return similarity, overlap

    def value_and_gradient(self, start: np.ndarray, basis: Tensor, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Similarity of ``start . exp(parameters . basis)`` and its derivative by the parameters.

        Args:
            start: ``(ndim+1, ndim+1)``.
            basis: see :func:`mmreg.registration.affine.parameters.generators`.
            parameters: ``(K,)``.
        """
        theta = torch.from_numpy(np.array(parameters, dtype=np.float64)).requires_grad_()
        matrix = torch.from_numpy(self._to_voxels(start)) @ exponential(theta, basis)
        similarity = self._at(matrix[None])[0].sum()
        (gradient,) = torch.autograd.grad(similarity, theta)
        return float(similarity.detach()), gradient.numpy()

    def within(self, matrix: np.ndarray, least: float) -> AffineObjective:
        """The same with those points only that lie well inside the moving image after ``matrix``.

        Steps of up to a voxel of the level neither gain nor lose points, so that the border of the image has no pull.

        Args:
            matrix: fixed world -> moving world.
            least: share of the points below which all are kept.
        """
        with torch.no_grad():
            mapped = torch.from_numpy(self._to_voxels(matrix))[:-1].to(self.points.world) @ self.points.world
            edges = zip(self.moving.size, self.moving.spacing)
            reach = [(n - 1) / 2 - min(self.spacing / step, 0.1 * n) if n > 1 else 0.5 for n, step in edges]
            inside = (mapped.abs() <= constant(reach, mapped)[:, None]).all(0).to(mapped.dtype)
            kept = self.points.weights * inside
            if kept.sum() < least * self.points.weights.sum():
                return self
        return replace(self, points=replace(self.points, weights=kept))

    def moved(self, start: np.ndarray, basis: Tensor, parameters: np.ndarray) -> np.ndarray:
        """The matrix ``(B, ndim+1, ndim+1)`` of those parameters, fixed world -> moving world."""
        step = exponential(torch.from_numpy(np.asarray(parameters, dtype=np.float64)), basis).numpy()
        centre = self.points.centre
        return start @ translation_matrix(centre) @ step @ translation_matrix(-centre)

    def _to_voxels(self, matrices: np.ndarray) -> np.ndarray:
        """Matrices fixed world -> moving world as maps from points about the centre to voxels from the middle."""
        middle = (np.asarray(self.moving.size) - 1) / 2
        to_voxel = translation_matrix(-middle) @ np.linalg.inv(self.moving.affine)
        return to_voxel @ matrices @ translation_matrix(self.points.centre)

    def _at(self, matrices: Tensor) -> tuple[Tensor, Tensor]:
        """Similarity times overlap, and overlap, ``(B,)``, of maps ``(B, ndim+1, ndim+1)`` of :meth:`_to_voxels`."""
        matrices = matrices[:, :-1].to(device=self.points.world.device, dtype=torch.float32)
        values, inside, masked = self._sampled(matrices @ self.points.world)
        inside = inside * self.points.weights
        overlap = inside.sum(1) / self.points.weights.sum()
        if masked is None:
            return self.similarity(values, inside) * overlap, overlap
        # What a mask hides is no loss, as long as enough is left to compare.
        weights = inside * masked
        left = weights.sum(1) / (_LEAST_LEFT * self.points.weights.sum())
        return self.similarity(values, weights) * overlap * left.clamp(max=1), overlap

    def _sampled(self, position: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Intensities ``(B, C, P)``, being inside ``(B, P)``, and the mask, at voxels from the middle ``(B, ndim, P)``.

        Being inside fades from one to zero within the voxel outside the border.
        """
        sizes = self.moving.size
        reach = constant([(n - 1) / 2 for n in sizes], position)[:, None]
        inside = (1 - (position.abs() - reach).clamp(0, 1)).unbind(1)
        weights = reduce(torch.mul, inside)
        if scattered.serves_points(self.moving.image, position):
            found = scattered.at_points(self.moving.image, position)
            hidden = self.moving.weight
            masked = None if hidden is None else scattered.at_points(hidden, position)[:, 0]
            return found, weights, masked
        # The sampler wants the last axis first.
        grid = (position / constant([half_extent(n) for n in sizes], position)[:, None]).flip(1).movedim(1, -1)
        image = self.moving.image
        channels = image.shape[1]
        if self.moving.weight is not None:
            image = torch.cat([image, self.moving.weight], dim=1)
        grid = grid.reshape(1, *grid.shape[:2], *[1] * (len(sizes) - 2), len(sizes))
        found = F.grid_sample(image, grid, mode='bilinear', padding_mode='border', align_corners=True)
        found = found.view(image.shape[1], len(position), -1).transpose(0, 1)
        return found[:, :channels], weights, found[:, channels] if self.moving.weight is not None else None


def make_objective(
    fixed: AffineLevel, moving: AffineLevel, settings: AffineSettings, index: int, spacing: float, count: int, seed: int
) -> AffineObjective:
    """Choose points of the fixed level and make the similarity for them."""
    if settings.similarity == 'lncc':
        points = block_points(fixed, count, seed, settings.window)
    else:
        points = scattered_points(fixed, count, seed)
    # Few points in many bins look dependent by chance: the expected excess is about bins^2 / (2 points).
    bins = min(settings.bins, max(8, round(points.count ** (1 / 3))))
    similarity = make_similarity(settings.similarity, points.values, points.block, bins)
    return AffineObjective(points, moving, similarity, index, spacing)
