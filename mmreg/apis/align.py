"""Bringing two images roughly together: not at all, by a given affine, between the centres, or by a search."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.engine.plan import plain
from mmreg.errors import DataError
from mmreg.io import read_transform

from .alignment import Alignment
from .pair import Pair
from .steps import checked_affine
from .watch import Watch, tell

#: What ``--affine`` understands besides a file. ``auto`` is what the preset says; the next four name the kind.
SEARCHED = ('auto', 'affine', 'similarity', 'rigid', 'translation')
WORDS = (*SEARCHED, 'centres', 'none')
#: Settings of the search where no config says otherwise: right for images of any contrast.
DEFAULT = {'transform': 'affine', 'similarity': 'mi'}

AffineLike = np.ndarray | str | Path | None


def read_affine(source: AffineLike) -> np.ndarray | str | None:
    """What a user gave as an affine: one of :data:`WORDS` or a matrix as it is, a file as its matrix.

    Raises:
        DataError: the file cannot be read, or holds a transform that is not linear.
    """
    if source is None or isinstance(source, np.ndarray) or (isinstance(source, str) and source in WORDS):
        return source
    path = Path(source)
    if not path.exists():
        raise DataError(f'affine: found no file {source}, expected one or {", ".join(WORDS)}')
    if path.suffix in ('.txt', '.csv'):
        with suppress(ValueError):  # an ITK transform, which may end in .txt, too
            return np.loadtxt(path, delimiter=',' if path.suffix == '.csv' else None, ndmin=2)
    matrix = read_transform(path).affine
    if matrix is None:
        raise DataError(f'{path}: found a transform that is not linear, expected an affine')
    return matrix


def align(
    pair: Pair,
    wanted: AffineLike,
    settings: Mapping[str, Any] | None,
    *,
    device: Any = 'cpu',
    seed: int = 0,
    watch: Watch = None,
) -> Alignment:
    """Bring the two images of a pair roughly together.

    Args:
        pair: The images; masks weight the similarity.
        wanted: One of :data:`WORDS`, a matrix, a file, or None for the headers alone. ``'auto'`` follows ``settings``.
        settings: Keyword arguments of :func:`mmreg.engine.affine.register_affine`; None: a preset that trusts headers.
        device: Where the search runs.
        seed: Of the search.
        watch: Called while the search runs.

    Raises:
        DataError: the matrix cannot be used.
    """
    wanted = read_affine(wanted)
    if wanted is None or (isinstance(wanted, str) and wanted == 'none'):
        return Alignment()
    if isinstance(wanted, str) and wanted in SEARCHED:
        if wanted == 'auto' and settings is None:
            return Alignment(record={'asked': 'auto', 'settings': None})
        return _searched(pair, wanted, dict(DEFAULT if settings is None else settings), device, seed, watch)
    matrix = checked_affine(wanted, pair.images)
    return Alignment(matrix, {'asked': wanted if isinstance(wanted, str) else 'given', 'matrix': plain(matrix)})


def _searched(pair: Pair, wanted: str, settings: dict[str, Any], device: Any, seed: int, watch: Watch) -> Alignment:
    from mmreg.engine.affine import register_affine

    if wanted != 'auto':
        settings['transform'] = wanted
    masks: dict[str, Any] = {f'{role}_mask': image.volume for role, image in pair.masks.items()}

    def told(stage: str, level: int, iteration: int, similarity: float) -> None:
        tell(watch, 'affine', f'{stage}, level {level}')

    found = register_affine(
        pair.fixed.volume, pair.moving.volume, **masks, device=str(device), seed=seed, progress=told, **settings
    )
    record = {
        'asked': wanted,
        'settings': plain(settings),
        **plain({key: value for key, value in asdict(found).items() if key not in ('curves', 'warnings')}),
    }
    return Alignment(found.matrix, record, found)
