"""Whether two images show tissue in the same contrast: how intensities of one go with those of the other, by tissue.

A correlation over a whole head does not tell: air, skin and bone make it high between any two contrasts. Looked at are
two things that have to be true of every tissue and every place: where the one image is brighter the other is on average
brighter too, over the whole range of intensities and both ways round; and where both change, they change together.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from mmreg.errors import InputError
from mmreg.io import affine_transform, resample_to

from .looks import Look

#: Settings of the quick rigid alignment before the comparison.
_SEARCH: dict[str, Any] = dict(
    transform='rigid', similarity='mi', search='moments', levels=1, samples=1500, iterations=20
)
#: Steps of intensity, each of as many voxels.
_STEPS = 12
#: What one contrast has at least: share of the dependence that is rising, brightness of the brightest step in the range
#: of all steps, mean local correlation; and at most: share of local changes in opposite directions. On 175 labelled
#: pairs (docs/methods/registration.md) two of 74 of one contrast fail, none of 94 of opposed contrasts passes.
RISING, TOP, LOCAL, OPPOSED = 0.95, 0.78, 0.4, 0.05
#: Standard deviation of the Gaussian window of the local correlation, voxels of the copy.
_WINDOW = 1.5
#: In a crop, whose copy has small voxels, two persons still differ by millimetres after a rigid alignment: the window
#: has this length, mm, where that is more, but at most so many voxels.
_APART, _WIDEST = 5.0, 5.0
#: Fewer voxels than these tell nothing.
_FEWEST = 200


@dataclass(frozen=True)
class Contrast:
    """Result of the test; where it cannot be made, ``same`` is False: a loss that knows no contrast is never wrong.

    Attributes:
        same: Whether bright is bright in both, everywhere.
        rising: Share of the dependence of one image's intensities on the other's that a rising curve explains, 0 to 1.
        top: Where the mean of the brightest step lies in the range of the means of all steps, 0 to 1.
        local: Mean of the local correlation where there is something to see, -1 to 1.
        opposed: Share of local changes that go in opposite directions, 0 to 1.
    """

    same: bool
    rising: float
    top: float
    local: float
    opposed: float

    def __str__(self) -> str:
        if self.same:
            return (
                f'the images show the same contrast (local correlation {self.local:.2f}; {100 * self.rising:.0f} % of '
                'what their intensities share rises)'
            )
        return (
            'the images show different contrasts, or it cannot be told that they are the same (local correlation '
            f'{self.local:.2f}, {100 * self.opposed:.0f} % of it opposed; {100 * self.rising:.0f} % of what their '
            'intensities share rises)'
        )


UNKNOWN = Contrast(False, 0.0, 0.0, 0.0, 1.0)


def compare(fixed: Look, moving: Look) -> Contrast:
    """Align two small copies roughly and compare their intensities."""
    first, second = fixed.copy.array.astype(np.float64), _aligned(fixed, moving)
    seen = np.isfinite(second)
    second = np.where(seen, second, 0.0)
    if not seen.any():
        return UNKNOWN
    both = _bright(first, seen) & _bright(second, seen)
    inner = ndimage.binary_erosion(both)
    places = inner if inner.sum() >= _FEWEST else both
    if places.sum() < _FEWEST:
        return UNKNOWN
    values = [_clipped(image[places]) for image in (first, second)]
    curves = [_curve(*values), _curve(*values[::-1])]
    rising, top = (min(found) for found in zip(*curves))
    local, opposed = _locally(first, second, places, _window(fixed))
    same = rising >= RISING and top >= TOP and local >= LOCAL and opposed <= OPPOSED
    return Contrast(same, rising, top, local, opposed)


def _window(fixed: Look) -> float:
    """Standard deviation of the local window, voxels of the copy; longer where tissue is cut off all around."""
    dark, faces = fixed.dark_faces
    if 2 * dark >= faces:
        return _WINDOW
    return float(np.clip(_APART / min(fixed.copy.geometry.spacing), _WINDOW, _WIDEST))


def _bright(image: np.ndarray, seen: np.ndarray) -> np.ndarray:
    low, high = np.percentile(image[seen], (1, 99))
    return seen & (image > low + 0.12 * (high - low))


def _clipped(values: np.ndarray) -> np.ndarray:
    return np.clip(values, *np.percentile(values, (1, 99)))


def _curve(by: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """How much of what steps of ``by`` explain of ``values`` a rising curve explains; how bright the last step is."""
    edges = np.quantile(by, np.linspace(0, 1, _STEPS + 1))
    step = np.clip(np.searchsorted(edges, by, side='right') - 1, 0, _STEPS - 1)
    counts = np.bincount(step, minlength=_STEPS)
    means = np.bincount(step, values, minlength=_STEPS)[counts > 0] / counts[counts > 0]
    counts = counts[counts > 0]
    if len(means) < 3 or means.max() - means.min() <= 1e-12:
        return 0.0, 0.0
    explained = (counts * (means - values.mean()) ** 2).sum()
    rises = (counts * (_rising(means, counts) - values.mean()) ** 2).sum()
    return float(rises / explained), float((means[-1] - means.min()) / (means.max() - means.min()))


def _rising(means: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The rising curve nearest to ``means``: neighbours that fall are pooled (Ayer et al. 1955)."""
    pools: list[list[float]] = []
    for mean, count in zip(means, counts):
        pools.append([float(mean), float(count), 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, n, k), (b, m, j) = pools[-2], pools[-1]
            pools[-2:] = [[(a * n + b * m) / (n + m), n + m, k + j]]
    return np.concatenate([np.full(int(k), mean) for mean, _, k in pools])


def _locally(first: np.ndarray, second: np.ndarray, places: np.ndarray, window: float) -> tuple[float, float]:
    """Mean local correlation and share of opposed changes among ``places``, weighted by how much changes."""
    weight = places.astype(np.float64)

    def mean(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values * weight, window) / total

    total = ndimage.gaussian_filter(weight, window) + 1e-6
    a, b = first - first[places].mean(), second - second[places].mean()
    m, n = mean(a), mean(b)
    cross = (mean(a * b) - m * n)[places]
    spread = np.sqrt(np.maximum(mean(a * a) - m * m, 0) * np.maximum(mean(b * b) - n * n, 0))[places]
    changes = np.abs(cross).sum()
    if spread.sum() <= 0 or changes <= 0:
        return 0.0, 1.0
    return float(cross.sum() / spread.sum()), float(np.maximum(-cross, 0).sum() / changes)


def _aligned(fixed: Look, moving: Look) -> np.ndarray:
    """The moving copy on the fixed copy's grid, NaN outside; by the headers where nothing better is found."""
    from mmreg.registration.affine import register_affine

    transform = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            found = register_affine(fixed.small, moving.small, seed=0, **_SEARCH)
        transform = affine_transform(found.matrix)
    except InputError:
        pass  # what is wrong is said by the search that counts
    return resample_to(moving.copy, fixed.copy.geometry, transform=transform, fill=float('nan')).array
