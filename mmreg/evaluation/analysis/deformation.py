"""What a deformation field is like: smoothness and complexity, overall and per region.

Source: ``textscf.md`` section 9. Fields are ``(ndim, *S)`` float32 voxels, lengths are in mm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmreg.errors import DataError
from mmreg.evaluation.functional import digital, field_error, jacobian
from mmreg.spatial import spatial_gradient

#: Everything, as opposed to one region.
WHOLE = ''
Measures = dict[str, dict[str, float]]


def smoothness(displacement: Tensor, spacing: Sequence[float], labels: np.ndarray | None = None) -> Measures:
    """Regularity of a field, overall and per region.

    Args:
        displacement: ``(ndim, *S)`` voxels.
        spacing: Voxel size in mm.
        labels: ``(*S)`` regions, 0 is none of them.

    Returns:
        measure -> region ('' for the whole volume) -> value: ``sdlogj``, ``sdlogj_learn2reg``, ``folds_percent``,
        ``min_determinant``, ``gradient`` (mean Frobenius norm of du/dx, dimensionless), ``bending`` (mean square of
        all second derivatives, 1/mm^2), ``ndv_percent``.
    """
    determinants = jacobian.determinant_map(displacement, crop=0)
    first = _mm_gradient(displacement, spacing)
    gradient = first.square().sum((0, 1)).sqrt()
    bending = spatial_gradient(first.flatten(0, 1)[None], spacing=tuple(spacing)).square().sum((0, 1, 2))
    result: Measures = {}
    for region, mask in _regions(labels, determinants.shape):
        values = {
            'sdlogj': jacobian.sd_log_jacobian(determinants, mask),
            'sdlogj_learn2reg': jacobian.sd_log_jacobian(determinants, mask, 'learn2reg'),
            'folds_percent': jacobian.fold_percent(determinants, mask),
            'ndv_percent': digital.digital_diffeomorphism(displacement, mask).volume_percent,
            'min_determinant': float(determinants[mask].min()),
            'gradient': float(gradient[mask].double().mean()),
            'bending': float(bending[mask].double().mean()),
        }
        for name, value in values.items():
            result.setdefault(name, {})[region] = value
    return result


def complexity(displacement: Tensor, spacing: Sequence[float], foreground: Tensor | None = None) -> Measures:
    """How much of a field a simple motion explains, and how fine its structure is.

    Args:
        displacement: ``(ndim, *S)`` voxels.
        spacing: Voxel size in mm.
        foreground: ``(*S)`` true where to look; default everywhere.

    Returns:
        ``length_mean``, ``length_p95``, ``length_max`` (mm); ``affine_share``: share of the mean square displacement
        that the best affine motion explains, in [0, 1]; ``residual`` (mm): root mean square of the rest;
        ``wavelength`` (mm): reciprocal of the mean spatial frequency of the rest, weighted by power.
    """
    spatial = displacement.shape[1:]
    inside = torch.ones(spatial, dtype=torch.bool) if foreground is None else foreground.bool()
    if not bool(inside.any()):
        raise DataError('the foreground is empty, expected at least one voxel to analyse.')
    vectors = displacement.double() * torch.tensor(tuple(spacing), dtype=torch.float64).view(-1, *(1,) * len(spatial))
    rest, share = _without_affine(vectors, inside, spacing)
    size = vectors.norm(dim=0)[inside]
    values = {
        'length_mean': float(size.mean()),
        'length_p95': field_error.percentile(size, 95),
        'length_max': float(size.max()),
        'affine_share': share,
        'residual': field_error.root_mean_square(rest.norm(dim=0)[inside]),
        'wavelength': _wavelength(rest, spacing),
    }
    return {name: {WHOLE: value} for name, value in values.items()}


def _mm_gradient(displacement: Tensor, spacing: Sequence[float]) -> Tensor:
    """``(ndim, ndim, *S)``: derivative of component i (mm) along axis j (mm)."""
    vectors = displacement * torch.tensor(tuple(spacing)).to(displacement).view(-1, *(1,) * (displacement.dim() - 1))
    return spatial_gradient(vectors[None], spacing=tuple(spacing))[0]


def _regions(labels: np.ndarray | None, shape: Sequence[int]) -> list[tuple[str, Tensor]]:
    regions = [(WHOLE, torch.ones(tuple(shape), dtype=torch.bool))]
    if labels is not None:
        if labels.shape != tuple(shape):
            raise DataError(f'labels have the shape {labels.shape}, expected {tuple(shape)} as the field.')
        regions += [(str(value), torch.from_numpy(labels == value)) for value in np.unique(labels) if value]
    return regions


def _without_affine(vectors: Tensor, inside: Tensor, spacing: Sequence[float]) -> tuple[Tensor, float]:
    """What the least-squares affine motion leaves of a field in mm, and the share of power it takes."""
    axes = [torch.arange(n, dtype=torch.float64) * s for n, s in zip(inside.shape, spacing)]
    grid = torch.stack([*torch.meshgrid(*axes, indexing='ij'), torch.ones(inside.shape, dtype=torch.float64)])
    points, values = grid[:, inside].T, vectors[:, inside].T
    solution = torch.linalg.lstsq(points, values).solution
    rest = vectors - torch.einsum('k...,kc->c...', grid, solution)
    power = values.square().sum()
    left = (rest[:, inside]).square().sum()
    return rest * inside, float(1 - left / power) if power > 0 else math.nan


def _wavelength(vectors: Tensor, spacing: Sequence[float]) -> float:
    axes = tuple(range(1, vectors.dim()))
    power = torch.fft.fftn(vectors, dim=axes).abs().square().sum(0)
    frequencies = torch.meshgrid(
        *(torch.fft.fftfreq(n, d=s, dtype=torch.float64) for n, s in zip(vectors.shape[1:], spacing)), indexing='ij'
    )
    radius = torch.stack(frequencies).norm(dim=0)
    power[(0,) * power.dim()] = 0  # the mean has no wavelength
    mean = float((power * radius).sum() / power.sum()) if power.sum() > 0 else 0.0
    return 1.0 / mean if mean > 0 else math.nan
