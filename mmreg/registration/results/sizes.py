"""How large the files of a result become: for the docs, and for lists before they are begun."""

from __future__ import annotations

import math
from collections.abc import Collection

from mmreg.io import Geometry
from mmreg.registration.options import OUTPUT_NAMES

#: Output -> (bytes per voxel of the fixed image in 3-D, bytes whatever its size), compressed as they are written.
#: Measured on brains; images and fields of phantoms take less.
SIZES: dict[str, tuple[float, float]] = {
    'warped': (1.5, 2e3),
    'displacement': (10.5, 4e3),
    'transforms': (7.8, 40e3),
    'labels': (0.15, 1e3),
    'maps': (0.0, 0.0),
    'landmarks': (0.0, 2e3),
    'metrics': (0.0, 20e3),
    'rigidity': (0.0, 3e3),
    'overview': (0.0, 0.45e6),
    'report': (0.4, 2.4e6),
}
#: ``plan.json``, which is always there.
_PLAN = 20e3
#: The one file of a challenge layout, bytes per voxel.
_LAYOUT = 6.5


def result_bytes(geometry: Geometry, outputs: Collection[str] | None = None, layout: str = 'files') -> float:
    """Bytes that the result of a pair takes, roughly.

    Args:
        geometry: The fixed grid.
        outputs: Some of :data:`~mmreg.registration.options.OUTPUT_NAMES`; all by default.
        layout: ``'files'`` or that of a challenge.
    """
    voxels = math.prod(geometry.shape) * geometry.ndim / 3
    if layout != 'files':
        return _LAYOUT * voxels
    chosen = [SIZES[name] for name in (OUTPUT_NAMES if outputs is None else outputs)]
    return _PLAN + sum(each * voxels + fixed for each, fixed in chosen)


def in_words(count: float) -> str:
    """Bytes for a reader.

    Example:
        >>> in_words(2.27e7), in_words(3.4e11)
        ('23 MB', '340 GB')
    """
    for size, unit in ((1e12, 'TB'), (1e9, 'GB'), (1e6, 'MB')):
        if count >= size:
            value = count / size
            return f'{value:.0f} {unit}' if value >= 9.95 else f'{value:.1f} {unit}'
    return f'{max(count / 1e3, 1):.0f} kB'
