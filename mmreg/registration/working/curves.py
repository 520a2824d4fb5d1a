"""Two images of different contrast, each shown with the brightness that the other has.

Where two images lie on each other about right, the mean brightness of one over that of the other is a curve. It turns
an image into one of the other's contrast with its own borders, so that both can be compared as scans of one contrast.

Source: the correction of intensities between modalities of Guimond et al., IEEE TMI 2001 (there with polynomials).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Places of a curve, and how much it is held straight where few voxels have a brightness, as a share of all voxels.
_KNOTS, _STRAIGHT = 16, 1e-3
#: Brightness, of 0 to 1, up to which a voxel shows nothing, such as air; it is no end of the curve, but a value apart.
_NOTHING = 0.02


@dataclass(frozen=True)
class Curve:
    """Piecewise linear from brightness in [0, 1] to the mean brightness of another image.

    Attributes:
        values: At evenly spaced places from 0 to 1.
        nothing: For what shows nothing.
        explained: Share of the other image's variance that it explains where both show something, 0 to 1.
    """

    values: np.ndarray
    nothing: float
    explained: float

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """An image in [0, 1] of any shape in the other contrast, float32."""
        return np.where(image > _NOTHING, _along(self.values, image), self.nothing).astype(np.float32)


def fit_curve(brightness: np.ndarray, wanted: np.ndarray) -> Curve:
    """The curve that explains most of ``wanted`` by ``brightness``, both in [0, 1], of the same voxels.

    Example:
        >>> values = np.linspace(0, 1, 101)
        >>> curve = fit_curve(values, 1 - values)
        >>> round(curve.explained, 3), np.round(curve(np.array([0.25, 0.75])), 3).tolist()
        (1.0, [0.75, 0.25])
    """
    brightness, wanted = (np.asarray(values, dtype=np.float64).ravel() for values in (brightness, wanted))
    something = brightness > _NOTHING
    nothing = float(wanted[~something].mean()) if not something.all() else 0.0
    brightness, wanted = brightness[something], wanted[something]
    values = _fitted(brightness, wanted)
    both = wanted > _NOTHING
    variance = float(wanted[both].var()) if both.any() else 0.0
    if not variance:
        return Curve(values, nothing, 0.0)
    missed = float(np.mean((wanted[both] - _along(values, brightness[both])) ** 2)) / variance
    return Curve(values, nothing, max(0.0, 1 - missed))


def _fitted(brightness: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values of the curve with the least squared distance, held straight where there is little to hold it."""
    if not len(wanted):
        return np.zeros(_KNOTS)
    place = brightness.clip(0, 1) * (_KNOTS - 1)
    low = np.minimum(place.astype(np.int64), _KNOTS - 2)
    right = place - low
    left = 1 - right

    def total(index: np.ndarray, value: np.ndarray) -> np.ndarray:
        return np.bincount(index, value, _KNOTS)

    beside = total(low, left * right)[:-1]
    matrix = np.diag(total(low, left**2) + total(low + 1, right**2)) + np.diag(beside, 1) + np.diag(beside, -1)
    bends = np.diff(np.eye(_KNOTS), 2, axis=0)
    matrix += _STRAIGHT * len(place) * bends.T @ bends
    return np.linalg.lstsq(matrix, total(low, left * wanted) + total(low + 1, right * wanted), rcond=None)[0]


def _along(values: np.ndarray, brightness: np.ndarray) -> np.ndarray:
    return np.interp(brightness, np.linspace(0, 1, len(values)), values)


def curves_of(fixed: np.ndarray, moved: np.ndarray, counted: np.ndarray) -> tuple[Curve, Curve]:
    """From the fixed image's brightness to the moving one's, and back.

    Args:
        fixed: ``(*S)`` in [0, 1].
        moved: ``(*S)`` in [0, 1], the moving image where it lies on the fixed one.
        counted: ``(*S)`` bool, what both show.
    """
    return fit_curve(fixed[counted], moved[counted]), fit_curve(moved[counted], fixed[counted])


def in_both_contrasts(
    fixed: np.ndarray, moving: np.ndarray, to_moving: Curve, to_fixed: Curve
) -> tuple[np.ndarray, np.ndarray]:
    """Fixed and moving image as three channels ``(3, *S)``, each of one contrast.

    The curve that explains more is better known: its contrast counts twice.
    """
    here, there = (fixed, to_fixed(moving)), (to_moving(fixed), moving)
    pairs = [here, there, here if to_fixed.explained >= to_moving.explained else there]
    first, second = (np.stack(images).astype(np.float32) for images in zip(*pairs))
    return first, second
