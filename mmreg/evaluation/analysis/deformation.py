"""What a deformation field is like: smoothness, complexity, and jumps across the borders of regions.

Source: ``textscf.md`` section 9. Fields are ``(ndim, *S)`` float32 voxels, lengths are in mm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
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


@dataclass(frozen=True)
class Jumps:
    """Jump of the displacement between neighbouring voxels, in mm; NaN where there are no such neighbours.

    ``border``: neighbours of different regions; ``interior``: of the same region; ``normal`` and ``tangential``: the
    parts of the border jump along and across the border's normal; ``ratio``: border / interior.
    """

    border: float
    interior: float
    normal: float
    tangential: float
    count: int

    @property
    def ratio(self) -> float:
        return self.border / self.interior if self.interior > 0 else math.nan


def border_jumps(
    displacement: np.ndarray, labels: np.ndarray, spacing: Sequence[float], sigma: float = 1.0
) -> dict[str, Jumps]:
    """Jumps overall ('') and per pair of regions that touch (``'2-5'``, background is 0).

    Args:
        displacement: ``(ndim, *S)`` voxels.
        labels: ``(*S)`` regions of the fixed image.
        spacing: Voxel size in mm.
        sigma: Of the Gaussian over each region, in voxels, whose gradient is the border's normal.

    Raises:
        DataError: the labels live on another grid.
    """
    if labels.shape != displacement.shape[1:]:
        raise DataError(f'labels have the shape {labels.shape}, expected {displacement.shape[1:]} as the field.')
    mm = np.asarray(spacing, np.float64)
    vectors = displacement * mm.reshape(-1, *(1,) * labels.ndim)
    inward = _inward(labels, mm, sigma)
    border, interior = [], []
    for axis in range(labels.ndim):
        here, there = _neighbours(labels.ndim, axis)
        jump = (vectors[(slice(None), *there)] - vectors[(slice(None), *here)]).astype(np.float64)
        a, b = labels[here], labels[there]
        same, different = (a == b) & (a > 0), a != b
        interior.append(np.linalg.norm(jump[:, same], axis=0))
        normal = inward[(slice(None), *there)][:, different] - inward[(slice(None), *here)][:, different]
        normal /= np.maximum(np.linalg.norm(normal, axis=0), 1e-12)
        parts = jump[:, different]
        along = np.abs((parts * normal).sum(0))
        length = np.linalg.norm(parts, axis=0)
        across = np.sqrt(np.maximum(length**2 - along**2, 0))
        pair = np.sort(np.stack([a[different], b[different]]), axis=0)
        border.append(np.concatenate([pair, [length, along, across]]))
    return _summaries(np.concatenate(border, axis=1), float(_mean(np.concatenate(interior))))


def jump_map(displacement: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """``(*S)`` largest jump in mm from a voxel to its next neighbour along any axis; 0 on the last voxel."""
    mm = np.asarray(spacing, np.float64)
    vectors = displacement * mm.reshape(-1, *(1,) * (displacement.ndim - 1))
    result = np.zeros(displacement.shape[1:])
    for axis in range(result.ndim):
        here, _ = _neighbours(result.ndim, axis)
        jump = np.linalg.norm(np.diff(vectors, axis=axis + 1), axis=0)
        result[here] = np.maximum(result[here], jump)
    return result


def _summaries(border: np.ndarray, interior: float) -> dict[str, Jumps]:
    """Rows of ``border``: both labels, length, normal and tangential part, one column per pair of neighbours."""
    length, along, across = (_mean(row) for row in border[2:])
    result = {WHOLE: Jumps(length, interior, along, across, border.shape[1])}
    for a, b in np.unique(border[:2], axis=1).T:
        chosen = border[2:, (border[0] == a) & (border[1] == b)]
        name = f'{int(a)}-{int(b)}'
        result[name] = Jumps(_mean(chosen[0]), interior, _mean(chosen[1]), _mean(chosen[2]), chosen.shape[1])
    return result


def _inward(labels: np.ndarray, mm: np.ndarray, sigma: float) -> np.ndarray:
    """``(ndim, *S)``: at each voxel the gradient of its own region's smoothed mask, which points into the region."""
    result = np.zeros((labels.ndim, *labels.shape), np.float32)
    for value in np.unique(labels):
        mask = labels == value
        box = ndimage.find_objects(mask.astype(np.uint8))[0]
        margin = int(4 * sigma) + 2
        wide = tuple(slice(max(0, s.start - margin), s.stop + margin) for s in box)
        # The edge of the image is no border of a region: repeat what is there.
        soft = ndimage.gaussian_filter(mask[wide].astype(np.float32), sigma, mode='nearest')
        gradient = [
            ndimage.correlate1d(soft, [-0.5, 0, 0.5], axis=k, mode='nearest') / mm[k] for k in range(labels.ndim)
        ]
        part = result[(slice(None), *wide)]
        np.copyto(part, np.stack(gradient), where=mask[wide])
    return result


def _neighbours(ndim: int, axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    here = tuple(slice(None, -1) if k == axis else slice(None) for k in range(ndim))
    there = tuple(slice(1, None) if k == axis else slice(None) for k in range(ndim))
    return here, there


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


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan
