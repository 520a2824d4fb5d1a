"""Data sets of pairs, their transforms, samplers, and simulated subjects."""

from . import transforms
from .base import Index, PairDataset
from .camcan import CamCANDataset
from .cine import ACDCCineDataset, CineDataset, MMsDataset
from .heart import BeatingHearts
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
from .spine import SpineCTMRDataset
from .transforms import PackRegInputs

__all__ = [
    'ACDCCineDataset',
    'ACDCDataset',
    'AbdomenCTCTDataset',
    'ArticulatedSpinePhantom',
    'BeatingHearts',
    'CamCANDataset',
    'CineDataset',
    'IXIDataset',
    'Index',
    'LUMIRDataset',
    'Learn2RegDataset',
    'MMsDataset',
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
    'SpineCTMRDataset',
    'SyntheticShapes',
    'stable_seed',
    'transforms',
]
