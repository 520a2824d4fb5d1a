"""Fields whose numbers look like something else than displacements in voxels."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

#: Along each axis so many planes are looked at.
_PLANES = 24
#: Correlation with the position above which a field is one of positions.
_ALIKE = 0.95


class UnitWatch:
    """Looks at every field of a submission and says at the end what is doubtful; it refuses nothing.

    A map of positions correlates with the positions themselves. Normalised displacements (-1 to 1 across the image) are
    nowhere longer than a voxel or two, in all pairs. Millimetres of a far frame are longer than the image.
    """

    def __init__(self) -> None:
        self._maps: dict[str, list[str]] = defaultdict(list)
        self._largest: dict[str, float] = {}

    def look(self, name: str, displacement: np.ndarray) -> None:
        """Take note of a field.

        Args:
            name: Of the pair.
            displacement: ``(ndim, *S)``, taken to be voxels.
        """
        shape = displacement.shape[1:]
        steps = tuple(slice(None, None, max(1, n // _PLANES)) for n in shape)
        planes = (slice(None), *steps)
        sampled = displacement[planes].astype(np.float64)
        self._largest[name] = float(np.abs(displacement).max())
        positions = np.meshgrid(*(np.arange(n)[step] for n, step in zip(shape, steps)), indexing='ij')
        if all(_correlation(u, x) > _ALIKE for u, x in zip(sampled, positions)):
            self._maps['positions'].append(name)
        elif all(_correlation(u, x) > _ALIKE for u, x in zip(sampled, positions[::-1])):
            self._maps['positions with the axes reversed'].append(name)
        elif self._largest[name] > max(shape):
            self._maps['larger than the image'].append(name)

    def warnings(self) -> list[str]:
        """Sentences about the fields seen so far."""
        found = []
        for what, names in self._maps.items():
            kind = 'displacements' if what.startswith('larger') else 'displacements that are'
            found.append(f'{_count(names, self._largest)} hold {kind} {what}, expected displacements in voxels.')
        largest = max(self._largest.values(), default=0.0)
        if 0 < largest <= 1.0 and not self._maps:
            found.append(
                f'no displacement of any of the {len(self._largest)} fields is longer than {largest:.3g} voxels, as if '
                f'they were normalised to -1..1, expected displacements in voxels.'
            )
        return found


def _count(names: list[str], all_names: dict[str, float]) -> str:
    return f'{len(names)} of {len(all_names)} fields ({names[0]}{", ..." if len(names) > 1 else ""})'


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    a, b = first - first.mean(), second - second.mean()
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale > 0 else 0.0
