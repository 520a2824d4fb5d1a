"""What is in the folder of a data set: counts, sizes, labels, and whether a config's loaders can work with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import InputError
from mmreg.io import read_geometry
from mmreg.registry import DATASETS

STAGES = ('train', 'val', 'test')
_WITHOUT_HEADER = ('.pkl', '.npz', '.npy')
#: Headers of so many images are read for the table of sizes.
_MOST_HEADERS = 64


@dataclass(frozen=True)
class Inventory:
    """One loader's data set.

    Attributes:
        pairs: Pairs of an epoch.
        images: Different images.
        given: Kind of further file -> how many images have one.
        sizes: Shape and spacing in words -> how many of the images looked at.
        sample: Shape of the first pair as the network gets it, in words.
        problem: Why it cannot be used; empty where it can.
    """

    pairs: int = 0
    images: int = 0
    given: Mapping[str, int] | None = None
    sizes: Mapping[str, int] | None = None
    sample: str = ''
    problem: str = ''

    def words(self) -> str:
        """The counts in one line."""
        given = ', '.join(f'{count} with {kind}' for kind, count in (self.given or {}).items() if count)
        sizes = '; '.join(f'{size} ({count})' for size, count in (self.sizes or {}).items())
        parts = [f'{self.pairs} pairs of {self.images} images', given or 'no labels', sizes, self.sample]
        return ', '.join(part for part in parts if part)


def take_inventory(config: Mapping[str, Any], deep: bool = False) -> Inventory:
    """Build the data set of a loader's config, and load its first pair.

    Args:
        config: Config of the data set.
        deep: Decode every file instead of reading headers.
    """
    try:
        dataset = DATASETS.build({**config, 'cache': None, 'checks': 'volumes' if deep else 'headers'})
        sources = dataset.sources
        kinds = [key for key in ('labels', 'mask', 'landmarks', 'prompt') if any(key in source for source in sources)]
        given = {kind: sum(1 for source in sources if source.get(kind)) for kind in kinds}
        shape = np.asarray(dataset[0]['inputs']['fixed']).shape[1:]
    except InputError as error:
        return Inventory(problem=str(error))
    return Inventory(len(dataset), len(sources), given, _sizes(sources), f'the network sees {_times(shape)}')


def _sizes(sources: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    step = max(1, len(sources) // _MOST_HEADERS)
    found: Counter[str] = Counter()
    for source in sources[::step]:
        if Path(source['image']).suffix not in _WITHOUT_HEADER:
            grid = read_geometry(source['image'])
            found[f'{_times(grid.shape)} at {_times(f"{s:.4g}" for s in grid.spacing)} mm'] += 1
    return dict(found.most_common(4))


def _times(values: Any) -> str:
    return 'x'.join(str(value) for value in values)
