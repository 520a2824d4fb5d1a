"""Jumps of the displacement across the borders of regions: discontinuity, split into gap and sliding.

Source: ``textscf.md`` section 9. Fields are ``(ndim, *S)`` voxels, jumps are in mm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mmreg.errors import DataError

#: All borders, as opposed to those of one pair of regions.
WHOLE = ''
Index = tuple[slice, ...]
EVERY: Index = (slice(None),)


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
        """Jump across borders over that inside regions; NaN where nothing moves inside."""
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
        jump = (vectors[EVERY + there] - vectors[EVERY + here]).astype(np.float64)
        a, b = labels[here], labels[there]
        same, different = (a == b) & (a > 0), a != b
        interior.append(np.linalg.norm(jump[:, same], axis=0))
        normal = inward[EVERY + there][:, different] - inward[EVERY + here][:, different]
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
        gradient = [ndimage.correlate1d(soft, [-0.5, 0, 0.5], axis=k, mode='nearest') / s for k, s in enumerate(mm)]
        part = result[EVERY + wide]
        np.copyto(part, np.stack(gradient), where=mask[wide])
    return result


def _neighbours(ndim: int, axis: int) -> tuple[Index, Index]:
    here = tuple(slice(None, -1) if k == axis else slice(None) for k in range(ndim))
    there = tuple(slice(1, None) if k == axis else slice(None) for k in range(ndim))
    return here, there


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan
