"""Whether an image looks like what published weights were trained on: what cannot be made right is said in words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mmreg.io import Volume

from .published import known

#: Litres above the background that a brain without skull does not reach and a head does.
_LARGEST_BRAIN = 2.3
#: Part of the range of intensities above which a voxel shows something.
_BACKGROUND = 0.05


def warnings_of_weights(name: object, images: Iterable[tuple[str, Volume]]) -> list[str]:
    """Sentences about images that do not suit the weights ``name``; none where the name is not known."""
    entry = known().get(name) if isinstance(name, str) else None
    if entry is None or not entry.needs.skull_stripped:
        return []
    found = []
    for title, volume in images:
        litres = shown_litres(volume)
        if volume.ndim == 3 and litres > _LARGEST_BRAIN:
            found.append(
                f'{title} shows {litres:.1f} litres above its background; {entry.name} was trained on '
                f'{entry.needs.sentence()} brains of 1 to 2 litres: remove the skull first.'
            )
    return found


def shown_litres(volume: Volume) -> float:
    """Volume of the voxels that are brighter than the background, in litres (for voxels in mm)."""
    array = volume.array
    low, high = float(array.min()), float(np.percentile(array, 99.5))
    shown = int((array > low + _BACKGROUND * (high - low)).sum())
    return shown * float(np.prod(volume.geometry.spacing)) / 1e6 / max(1, volume.channels)
