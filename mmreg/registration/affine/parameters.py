"""Affine maps as exponentials of generators, scaled so that one unit of any parameter moves points by about 1 mm.

A map is ``start . exp(sum_k p_k G_k)`` in coordinates about the centre of the fixed points. The generators of
rotations are antisymmetric matrices, those of a common scale the unit matrix, those of an affine map all matrices. The
exponential of a real matrix has a positive determinant, so that no sequence of steps ever mirrors an image.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def generators(transform: str, ndim: int, radius: float, fixed_axes: np.ndarray | None = None) -> Tensor:
    """Basis of the tangent space, ``(K, ndim+1, ndim+1)`` float64.

    Args:
        transform: 'translation', 'rigid', 'similarity' or 'affine'.
        ndim: number of axes.
        radius: root mean square distance of the points from the centre in mm; linear generators are divided by it.
        fixed_axes: ``(ndim, M)`` unit directions in the fixed world along which nothing is known (an axis of a single
            voxel); motion along them and rotations that involve them are left out.
    """
    free = _free_directions(ndim, fixed_axes)
    basis = [_translation(direction) for direction in free]
    pairs = [(a, b) for i, a in enumerate(free) for b in free[i + 1 :]]
    if transform != 'translation':
        basis += [_linear(np.outer(b, a) - np.outer(a, b)) / radius for a, b in pairs]
    if transform == 'similarity':
        basis.append(_linear(np.sum([np.outer(a, a) for a in free], axis=0)) / radius)
    if transform == 'affine':
        basis += [_linear(np.outer(a, a)) / radius for a in free]
        basis += [_linear(np.outer(b, a) + np.outer(a, b)) / radius for a, b in pairs]
    return torch.from_numpy(np.stack(basis))


def _free_directions(ndim: int, fixed_axes: np.ndarray | None) -> list[np.ndarray]:
    if fixed_axes is None or fixed_axes.shape[1] == 0:
        return list(np.eye(ndim))
    return list(np.linalg.svd(fixed_axes, full_matrices=True)[0][:, fixed_axes.shape[1] :].T)


def _translation(direction: np.ndarray) -> np.ndarray:
    matrix = np.zeros((len(direction) + 1, len(direction) + 1))
    matrix[:-1, -1] = direction
    return matrix


def _linear(block: np.ndarray) -> np.ndarray:
    matrix = np.zeros((len(block) + 1, len(block) + 1))
    matrix[:-1, :-1] = block
    return matrix


def exponential(parameters: Tensor, basis: Tensor) -> Tensor:
    """``exp(sum_k p_k G_k)``, ``(ndim+1, ndim+1)``, differentiable towards the parameters ``(K,)``."""
    return torch.linalg.matrix_exp(torch.einsum('k,kab->ab', parameters, basis))


def translation_matrix(vector: np.ndarray) -> np.ndarray:
    """Homogeneous matrix of a shift."""
    matrix = np.eye(len(vector) + 1)
    matrix[:-1, -1] = vector
    return matrix


def about(linear: np.ndarray, fixed_centre: np.ndarray, moving_centre: np.ndarray) -> np.ndarray:
    """Map with linear part ``linear`` that takes ``fixed_centre`` to ``moving_centre``."""
    matrix = np.eye(len(linear) + 1)
    matrix[:-1, :-1] = linear
    matrix[:-1, -1] = moving_centre - linear @ fixed_centre
    return matrix
