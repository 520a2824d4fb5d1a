"""Multi-resolution pyramids of both images: robustly scaled to [0, 1], pooled to a working spacing in millimetres."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.errors import DataError
from mmreg.io import Geometry, Volume, check_image
from mmreg.spatial import gaussian_filter

#: Voxels looked at for the range of intensities.
_LOOKED_AT = 200_000
#: Intensities outside these percentiles are clamped.
_RANGE = (0.1, 99.9)
#: Smoothing of a coarse level and of the finest, in working spacings. Blur lets edges move a little unnoticed.
_SIGMA, _SIGMA_FINEST = 0.7, 0.4
#: Bins of the histogram that is equalised, and the limits of the slope before it is made to end at 1.
_KNOTS, _SLOPES = 64, (0.2, 2.0)
_POOL = {2: F.avg_pool2d, 3: F.avg_pool3d}


@dataclass(frozen=True, eq=False)
class AffineLevel:
    """One image at one resolution.

    Attributes:
        image: ``(1, C, *S)`` float32 in [0, 1].
        weight: ``(1, 1, *S)`` mask in [0, 1], or None.
        affine: ``(ndim+1, ndim+1)`` float64, voxel -> world mm.
    """

    image: Tensor
    weight: Tensor | None
    affine: np.ndarray

    @property
    def size(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""
        return tuple(self.image.shape[2:])

    @property
    def spacing(self) -> np.ndarray:
        """mm along each axis."""
        return np.linalg.norm(self.affine[:-1, :-1], axis=0)


def working_spacings(fixed: Geometry, moving: Geometry, levels: int, finest: float | None) -> list[float]:
    """Working spacing of each level in mm, finest first.

    The finest is the mean voxel of the coarser image, but not less than 1/100 of the fixed image's longest edge; each
    further level doubles it, up to 1/16 of that edge.
    """
    extent = max(n * s for n, s in zip(fixed.shape, fixed.spacing))
    if finest is None:
        # The cube root of the voxel's volume would make thick slices coarse in plane; the mean of both does not.
        voxel = max(float(np.sort(g.spacing)[:2].mean()) for g in (fixed, moving))
        finest = max(voxel, extent / 100)
    spacings = [float(finest)]
    while len(spacings) < levels and spacings[-1] * 2 <= extent / 16:
        spacings.append(spacings[-1] * 2)
    return spacings


def make_levels(
    volume: Volume, mask: Volume | None, spacings: Sequence[float], device: str, name: str, equalise: bool = False
) -> list[AffineLevel]:
    """The image at each working spacing, finest first.

    An axis is pooled by the whole number of voxels that fits into the working spacing, then smoothed a little;
    ``equalise`` evens out the distribution of intensities.

    Raises:
        DataError: the image is constant or not finite, or the mask is on another grid or empty.
    """
    shown = None if mask is None else _mask(mask, volume, name)
    array = torch.from_numpy(_normalised(volume, shown, name)).to(device)[None]
    weight = None if shown is None else torch.from_numpy(shown).to(device)[None, None]
    levels: list[AffineLevel] = []
    affine = volume.geometry.affine.copy()
    for spacing in spacings:
        array, weight, affine = _pooled(array, weight, affine, spacing)
        if equalise and not levels:
            array = _equalised(array)
        sizes = np.linalg.norm(affine[:-1, :-1], axis=0)
        width = _SIGMA if levels else _SIGMA_FINEST
        sigma = [width * min(1.0, spacing / s) if n > 2 else 0.0 for s, n in zip(sizes, array.shape[2:])]
        smooth = _averaged(partial(gaussian_filter, sigma=sigma, padding='border'), array, weight)
        levels.append(AffineLevel(smooth, weight, affine))
    return levels


def _normalised(volume: Volume, shown: np.ndarray | None, name: str) -> np.ndarray:
    """``(C, *S)`` float32, percentiles (inside the mask) to [0, 1], channel by channel."""
    array = np.asarray(volume.channel_first(), dtype=np.float32)
    check_image(array, name)
    out = np.empty_like(array)
    for source, target in zip(array, out):
        flat = source.ravel() if shown is None else source[shown > 0]
        step = max(1, flat.size // _LOOKED_AT)
        low, high = np.percentile(flat[::step], _RANGE)
        if not high > low:
            low, high = float(source.min()), float(source.max())
        np.multiply(source, 1 / (high - low), out=target)
        target -= low / (high - low)
        np.clip(target, 0, 1, out=target)
    return out


def _equalised(array: Tensor) -> Tensor:
    """Contrast-limited equalisation of intensities in [0, 1], channel by channel.

    A few very bright voxels otherwise leave most of a joint histogram's bins empty. The slope of the mapping is
    limited, so that the noise of a large background does not fill them instead.
    """
    out = torch.empty_like(array)
    for source, target in zip(array[0], out[0]):
        flat = source.flatten().cpu().numpy()
        counts, edges = np.histogram(flat[:: max(1, flat.size // _LOOKED_AT)], _KNOTS, (0, 1))
        shares = counts / counts.mean()
        slopes = np.clip(shares, *_SLOPES)
        ranks = np.concatenate([[0], np.cumsum(slopes) / slopes.sum()])
        mapped = np.interp(flat, edges, ranks).astype(np.float32)
        target.copy_(torch.from_numpy(mapped).view(source.shape))
    return out


def _mask(mask: Volume, volume: Volume, name: str) -> np.ndarray:
    if mask.channels != 1 or not mask.geometry.same_grid(volume.geometry):
        raise DataError(
            f'{name}_mask: found a grid of {mask.geometry.shape} voxels and {mask.channels} channels, '
            f'expected that of the image, {volume.geometry.shape}, at the same place'
        )
    weights = (mask.channel_first()[0] > 0).astype(np.float32)
    if not weights.any():
        raise DataError(f'{name}_mask: found no voxel above zero, expected a mask of what the similarity looks at')
    return weights


def _pooled(
    array: Tensor, weight: Tensor | None, affine: np.ndarray, spacing: float
) -> tuple[Tensor, Tensor | None, np.ndarray]:
    ndim = array.dim() - 2
    sizes = np.linalg.norm(affine[:-1, :-1], axis=0)
    factors = [max(1, min(n // 2, math.floor(spacing / s + 0.05))) for s, n in zip(sizes, array.shape[2:])]
    if max(factors) == 1:
        return array, weight, affine
    pool = _POOL[ndim]
    coarse = affine.copy()
    coarse[:-1, :-1] = affine[:-1, :-1] * factors
    coarse[:-1, -1] = affine[:-1, -1] + affine[:-1, :-1] @ ((np.asarray(factors) - 1) / 2)
    average = partial(pool, kernel_size=factors)
    return _averaged(average, array, weight), None if weight is None else average(weight), coarse


def _averaged(average: Callable[[Tensor], Tensor], array: Tensor, weight: Tensor | None) -> Tensor:
    """A local average of what the mask shows: intensities behind it do not leak over its edge."""
    if weight is None:
        return average(array)
    shown = average(weight)
    return torch.where(shown > 1e-3, average(array * weight) / shown.clamp(min=1e-3), average(array))
