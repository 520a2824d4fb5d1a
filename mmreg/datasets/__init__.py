"""Data sets of pairs, their transforms, samplers, and simulated subjects."""

from . import transforms
from .base import Index, PairDataset
from .ixi import IXIDataset
from .learn2reg import Learn2RegDataset, LUMIRDataset
from .numbered import AbdomenCTCTDataset, ACDCDataset, NumberedDataset
from .oasis import OASISDataset
from .pairing import Pair
from .pairs import PairListDataset
from .phantom_spine import ArticulatedSpinePhantom
from .samplers import SeededEpochSampler, SeededInfiniteSampler
from .seeding import SeededDataset, stable_seed
from .simulated import SimulatedBrainDataset, SimulatedDataset, SyntheticShapes
from .transforms import PackRegInputs

__all__ = [
    'ACDCDataset',
    'AbdomenCTCTDataset',
    'ArticulatedSpinePhantom',
    'IXIDataset',
    'Index',
    'LUMIRDataset',
    'Learn2RegDataset',
    'NumberedDataset',
    'OASISDataset',
    'PackRegInputs',
    'Pair',
    'PairDataset',
    'PairListDataset',
    'SeededDataset',
    'SeededEpochSampler',
    'SeededInfiniteSampler',
    'SimulatedBrainDataset',
    'SimulatedDataset',
    'SyntheticShapes',
    'stable_seed',
    'transforms',
]
