"""Where the lungs are in a CT image: by a threshold and by components, without a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage

from mmreg.io import Geometry, Volume, resample_to
from mmreg.registration.alignment import grown
from mmreg.registration.optimisation.levels import Grid, on_grid
from mmreg.spatial import resize

#: Voxels of the copy that is looked at, mm.
_STEP = 2.5
#: Hounsfield units below which there is air, and below which it has no tissue in it.
_AIR, _PURE = -400.0, -975.0
#: Air without tissue that reaches the border, and a lung, have at least this volume, ml.
_OUTSIDE, _LUNG = 20.0, 50.0
#: The layer between air and body looks like lung, airways are thin, vessels are not: mm.
_LAYER, _AIRWAY, _VESSEL = 4.0, 3.0, 6.0
#: The mask reaches beyond the lungs by this, mm: their surface is the strongest edge that they have.
_RIM = 4.0


def lungs_on_grid(volume: Volume, grid: Geometry) -> np.ndarray:
    """Lungs and a rim of 4 mm, ``(*grid.shape)`` bool; everywhere where no lung is found.

    Args:
        volume: CT image in Hounsfield units; one of other intensities has no lungs.
        grid: Wanted grid, in the same world.
    """
    array = resample_to(volume, grid).channel_first()[0]
    full = Grid(tuple(grid.shape), tuple(grid.spacing))
    coarse = full.coarser(_STEP)
    copy = on_grid({'fixed': torch.from_numpy(np.ascontiguousarray(array, np.float32))[None, None]}, full, coarse)
    found = lungs_of(copy['fixed'][0, 0].numpy(), coarse.spacing)
    if not found.any():
        return np.ones(grid.shape, bool)
    found = grown(found, _margin(_RIM, coarse.spacing))
    whole = resize(torch.from_numpy(found.astype(np.float32))[None, None], size=list(grid.shape))
    return whole[0, 0].numpy() >= 0.5


def lungs_of(array: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Lungs with their vessels, ``(*S)`` bool; also lungs that the border cuts.

    Outside is air that has no tissue in it and reaches the border of the image.

    Args:
        array: ``(*S)``, Hounsfield units.
        spacing: Voxel size, mm.
    """
    array = ndimage.gaussian_filter(array, [0.5 * _STEP / step for step in spacing], mode='nearest')
    millilitres = float(np.prod(spacing)) / 1000
    outside = _parts(array < _PURE, _OUTSIDE / millilitres, at_border=True)
    air = (array < _AIR) & ~grown(outside, _margin(_LAYER, spacing))
    lungs = _parts(_opened(air, _margin(_AIRWAY, spacing)), _LUNG / millilitres)
    margin = _margin(_VESSEL, spacing)
    wide = np.pad(lungs, [(m, m) for m in margin])  # so that nothing is lost at the border
    closed = ~grown(~grown(wide, margin), margin)
    return closed[tuple(slice(m, m + n) for m, n in zip(margin, lungs.shape))] | lungs


def _parts(mask: np.ndarray, least: float, at_border: bool = False) -> np.ndarray:
    """The connected parts of a mask with at least so many voxels; only those that reach the border."""
    labels, count = ndimage.label(mask)
    kept = np.bincount(labels.ravel(), minlength=count + 1) >= least
    kept[0] = False
    if at_border:
        faces = [np.take(labels, end, axis).ravel() for axis in range(mask.ndim) for end in (0, -1)]
        kept &= np.isin(np.arange(count + 1), np.unique(np.concatenate(faces)))
    return kept[labels]


def _opened(mask: np.ndarray, margin: Sequence[int]) -> np.ndarray:
    """Without what is thinner than the margin on both sides."""
    return grown(~grown(~mask, margin), margin) & mask


def _margin(length: float, spacing: Sequence[float]) -> list[int]:
    """A length in mm in voxels per axis, one at least."""
    return [max(1, round(length / step)) for step in spacing]
