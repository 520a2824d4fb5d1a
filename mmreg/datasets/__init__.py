"""Data sets of pairs, their transforms, samplers, and simulated subjects.

Every module of this package is imported and registers its parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmreg.registry import DATA_SAMPLERS, DATASETS
from mmreg.utils.discovery import find_parts

from . import transforms
from .base import Index, PairDataset
from .numbered import NumberedDataset
from .pairing import IndexPair
from .seeding import stable_seed
from .simulated import SimulatedDataset
from .transforms import PackRegInputs

_PARTS = find_parts(__name__, __path__, DATASETS, DATA_SAMPLERS)
globals().update(_PARTS)
#: Its name before 0.2.
Pair = IndexPair
__all__ = [
    'Index',
    'NumberedDataset',
    'PackRegInputs',
    'IndexPair',
    'Pair',
    'PairDataset',
    'SimulatedDataset',
    'stable_seed',
    'transforms',
    *_PARTS,
]

if TYPE_CHECKING:  # the parts are found when the package is imported

    def __getattr__(name: str) -> Any: ...
