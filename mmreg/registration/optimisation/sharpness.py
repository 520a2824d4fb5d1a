"""How sharp two images are, axis by axis, and the sharper one blurred to the other's sharpness.

Where one image is blurred, local correlation is not highest where the anatomy agrees: curved edges of the blurred image
lie elsewhere, and the field follows them. Two images that are equally blurred do not have that. Between two persons the
detail that a blur takes away is worth more than that, so only images that are alike are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from mmreg.spatial import gaussian_filter

from .noise import QUIET, noise_of

#: Role -> standard deviation of the Gaussian along each axis, voxels of the level.
Blur = dict[str, list[float]]
#: A blur below this, voxels, changes nothing that is seen: two scans of one protocol differ by up to 0.45.
LEAST = 0.5
#: Longest blur, voxels.
_MOST = 3.0
#: Blurs that are tried, and how often all axes are looked at again: a blur along one takes detail along others.
_TRIED, _ROUNDS = 7, 2
#: Fewer voxels than these tell nothing; nor does a difference that is not the same, by this share, in all quarters.
_FEWEST, _QUARTERS, _EVEN = 10_000, 4, 0.4
#: Edge of the middle of the images that is looked at, voxels.
_LOOKED_AT = 80


@torch.no_grad()
def equally_sharp(data: Mapping[str, Any], alike: Sequence[bool]) -> tuple[dict[str, Any], list[Blur | None]]:
    """The images of a level, of pairs that are alike the sharper one blurred along each axis where it clearly is.

    Sharpness is the energy of differences over one voxel by that of differences over two, without what noise adds to
    both; pairs with much noise stay as they are.

    Args:
        data: ``fixed``, ``moving`` ``(N, C, *S)`` in [0, 1] and their masks ``(N, 1, *S)`` where there are any.
        alike: Of each pair, whether it is looked at.

    Returns:
        ``data``, with new images where some were blurred, and for each pair its :data:`Blur`; None where nothing was.
    """
    done: list[Blur | None] = [_blur_of(data, n) if yes else None for n, yes in enumerate(alike)]
    if not any(done):
        return dict(data), done
    result = dict(data)
    for role in ('fixed', 'moving'):
        sigmas = [None if blur is None else blur.get(role) for blur in done]
        parts = zip(data[role].split(1), sigmas)
        result[role] = torch.cat([p if s is None else gaussian_filter(p, sigma=s, padding='border') for p, s in parts])
    return result, done


def _blur_of(data: Mapping[str, Any], n: int) -> Blur | None:
    if data['fixed'].shape[1] != 1 or min(data['fixed'].shape[2:]) < 3:
        return None
    middle = (slice(n, n + 1), slice(None), *(_middle(size) for size in data['fixed'].shape[2:]))
    images = {role: data[role][middle] for role in ('fixed', 'moving')}
    noise = {role: noise_of(image)[0] for role, image in images.items()}
    if sum(value**2 for value in noise.values()) ** 0.5 > QUIET:
        return None
    parts = {role: image[0, 0].double().cpu().numpy() for role, image in images.items()}
    masks = [data[key][middle][0, 0].cpu().numpy() >= 0.5 for key in ('fixed_mask', 'moving_mask') if key in data]
    seen = np.logical_and.reduce(masks) if masks else np.ones_like(parts['fixed'], bool)
    if seen.sum() < _FEWEST:
        return None
    sure = [_everywhere(parts, axis, seen, noise) for axis in range(seen.ndim)]
    if not any(sure):
        return None
    blurs = _blurs(parts, seen, noise)
    found = {role: [s if yes else 0.0 for s, yes in zip(sigma, sure)] for role, sigma in blurs.items()}
    return {role: sigma for role, sigma in found.items() if max(sigma) > 0} or None


def _everywhere(parts: dict[str, np.ndarray], axis: int, seen: np.ndarray, noise: dict[str, float]) -> bool:
    """Whether the same image is sharper, by about as much, in every quarter: what was blurred is so all over."""
    longest = int(np.argmax(seen.shape))
    logs = []
    for quarter in _quarters(np.moveaxis(np.where(seen, parts['fixed'], 0), longest, 0)):
        own = (slice(None),) * longest + (quarter,)
        values = [_sharpness(parts[role][own], axis, seen[own], noise[role]) for role in ('fixed', 'moving')]
        if min(values) <= 0:
            return False
        logs.append(np.log(values[0] / values[1]))
    smallest, largest = sorted((min(logs), max(logs)), key=abs)
    return bool(smallest * largest > 0 and abs(smallest) >= _EVEN * abs(largest))


def _quarters(array: np.ndarray) -> list[slice]:
    """Parts of the first axis in which as much changes: empty ends tell nothing."""
    changes = np.square(np.diff(array, axis=1)).reshape(len(array), -1).sum(1).cumsum()
    cuts = np.searchsorted(changes, np.linspace(0, 1, _QUARTERS + 1)[1:-1] * changes[-1])
    edges = [0, *cuts.tolist(), len(array)]
    return [slice(a, max(b, a + 3)) for a, b in zip(edges, edges[1:])]


def _middle(n: int) -> slice:
    start = max(0, (n - _LOOKED_AT) // 2)
    return slice(start, min(n, start + _LOOKED_AT))


def _blurs(parts: dict[str, np.ndarray], seen: np.ndarray, noise: dict[str, float]) -> dict[str, list[float]]:
    """Role -> standard deviations per axis that make both equally sharp; 0 where the other one is the sharper."""
    ndim = seen.ndim
    sigmas = {role: [0.0] * ndim for role in parts}
    for again in range(_ROUNDS):
        start = {role: list(sigma) for role, sigma in sigmas.items()}
        for axis in range(ndim):
            # The own axis is looked at anew, with the others as blurred as they were found.
            rest = {
                role: [0.0 if k == axis else s for k, s in enumerate(sigma)] if again else [0.0] * ndim
                for role, sigma in start.items()
            }
            arrays = {role: _blurred(parts[role], rest[role]) for role in parts}
            quiet = {role: noise[role] * _left(rest[role]) for role in parts}
            values = {role: _sharpness(arrays[role], axis, seen, quiet[role]) for role in parts}
            sharper = max(values, key=lambda role: values[role])
            other = min(values, key=lambda role: values[role])
            found = _blur_to(arrays[sharper], axis, seen, quiet[sharper], values[sharper], values[other])
            sigmas[sharper][axis], sigmas[other][axis] = (found if found >= LEAST else 0.0), 0.0
        if all(max(sigma) == 0 for sigma in sigmas.values()):
            break
    return sigmas


def _blurred(array: np.ndarray, sigma: Sequence[float]) -> np.ndarray:
    return ndimage.gaussian_filter(array, sigma, mode='nearest') if max(sigma) > 0 else array


def _left(sigma: Sequence[float]) -> float:
    """What blurs along axes leave of the standard deviation of white noise."""
    return float(np.prod([min(1.0, (2 * np.pi**0.5 * s) ** -0.5) if s > 0 else 1.0 for s in sigma]))


def _sharpness(array: np.ndarray, axis: int, seen: np.ndarray, noise: float) -> float:
    """Energy of the differences over one voxel by that of those over two along an axis: about 0.25 to 0.5."""
    energies = []
    for step in (1, 2):
        there = (slice(None),) * axis + (slice(step, None),)
        here = (slice(None),) * axis + (slice(None, -step),)
        both = seen[there] & seen[here]
        if not both.any():
            return 0.0
        energies.append(max(float(np.square(array[there] - array[here])[both].mean()) - 2 * noise**2, 0.0))
    return energies[0] / energies[1] if energies[1] > 0 else 0.0


def _blur_to(array: np.ndarray, axis: int, seen: np.ndarray, noise: float, own: float, wanted: float) -> float:
    """The Gaussian along an axis that takes the sharpness of an array from ``own`` to ``wanted``."""
    if wanted <= 0 or own <= wanted:
        return 0.0
    widths, values = [0.0], [own]
    for width in np.geomspace(LEAST, _MOST, _TRIED):
        if values[-1] <= wanted:
            break
        sigma = [0.0] * array.ndim
        sigma[axis] = float(width)
        widths.append(float(width))
        values.append(_sharpness(_blurred(array, sigma), axis, seen, noise * _left(sigma)))
        if len(values) == 2 and values[-1] < wanted:
            return 0.0
    return float(np.interp(-wanted, -np.asarray(values), widths))
