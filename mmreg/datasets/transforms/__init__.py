"""Transforms of one image or of a pair: callables on a flat dict, registered in TRANSFORMS."""

from .affine import RandomAffine
from .grid import CenterCrop, CropForeground, PadTo, RandomFlip, Zoom
from .intensity import ClipWindow, DivideBy, ImageTransform, MinMax, PercentileWindow, RandomGamma, ZScore
from .labels import RemapLabels
from .loading import LoadVolumes
from .packing import PackRegInputs
from .prompt import SegmentPrompt
from .resample import Resample
from .stacks import CleanStackLabels, CropAroundLabels
from .vertebrae import CommonVertebrae, CropVertebrae, DropSmallVertebrae, RandomVertebraCrop
from .world import MatchFixedGrid, RandomRigid, ToSpacing

__all__ = [
    'CenterCrop',
    'CleanStackLabels',
    'ClipWindow',
    'CommonVertebrae',
    'CropAroundLabels',
    'CropForeground',
    'CropVertebrae',
    'DivideBy',
    'DropSmallVertebrae',
    'ImageTransform',
    'LoadVolumes',
    'MatchFixedGrid',
    'MinMax',
    'PackRegInputs',
    'PadTo',
    'PercentileWindow',
    'RandomAffine',
    'RandomFlip',
    'RandomGamma',
    'RandomRigid',
    'RandomVertebraCrop',
    'RemapLabels',
    'SegmentPrompt',
    'Resample',
    'ToSpacing',
    'ZScore',
    'Zoom',
]
