"""Colours that mean something in figures and pages; pairs that must be told apart are so by colour-blind people too."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps

#: Outlines of the labels of the fixed image, and of whichever image is compared with it: RGB, 0 to 255.
OUTLINES = ((58, 160, 255), (255, 176, 0))
#: The fixed image and the other one where both are shown in colours; together they are grey.
OVERLAY = ((0, 255, 0), (255, 0, 255))
#: Folded voxels (Jacobian determinant not positive), in [0, 1]: no colour of the determinants is near it.
FOLD_COLOUR = (1.0, 1.0, 0.0)
#: Range of the Jacobian determinant in every picture; outside of it colours no longer change.
JACOBIAN_RANGE = (0.5, 2.0)
_MAP = 'RdBu'


def jacobian_colours(values: np.ndarray) -> np.ndarray:
    """RGB in [0, 1] of determinants, by their logarithm over :data:`JACOBIAN_RANGE`; 1 is white, folds stand out."""
    low, high = np.log(JACOBIAN_RANGE)
    place = (np.log(np.maximum(values, JACOBIAN_RANGE[0] / 2)) - low) / (high - low)
    colours = colormaps[_MAP](np.clip(place, 0, 1))[..., :3]
    colours[values <= 0] = FOLD_COLOUR
    return colours


def beyond_percent(determinants: np.ndarray) -> tuple[float, float]:
    """Percentages of voxels below and above :data:`JACOBIAN_RANGE`, where the colours are saturated; folds count."""
    low, high = JACOBIAN_RANGE
    return 100.0 * float((determinants < low).mean()), 100.0 * float((determinants > high).mean())


def saturation_ticks(determinants: np.ndarray | None = None) -> list[str]:
    """Texts of the ends and the middle of the Jacobian's colour bar: what lies beyond, and how much of the voxels."""
    low, high = JACOBIAN_RANGE
    texts = [f'\u2264 {low:g}', '1', f'\u2265 {high:g}']
    if determinants is not None:
        for place, share in zip((0, 2), beyond_percent(determinants)):
            texts[place] += f' ({percent(share)})'
    return texts


def percent(value: float) -> str:
    """A percentage with the digits that a reader needs."""
    if value == 0 or value >= 100:
        return f'{value:.0f} %'
    return '< 0.01 %' if value < 0.01 else f'{value:.2g} %' if value < 10 else f'{value:.0f} %'
