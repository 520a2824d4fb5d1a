"""Transforms of one image or of a pair: callables on a flat dict, registered in TRANSFORMS."""

from .grid import CenterCrop, CropForeground, PadTo, RandomFlip, Zoom
from .intensity import ClipWindow, DivideBy, ImageTransform, MinMax, PercentileWindow, RandomGamma, ZScore
from .labels import RemapLabels
from .loading import LoadVolumes
from .packing import PackRegInputs
from .vertebrae import CommonVertebrae, CropVertebrae, DropSmallVertebrae, RandomVertebraCrop

__all__ = [
    'CenterCrop',
    'ClipWindow',
    'CommonVertebrae',
    'CropForeground',
    'CropVertebrae',
    'DivideBy',
    'DropSmallVertebrae',
    'ImageTransform',
    'LoadVolumes',
    'MinMax',
    'PackRegInputs',
    'PadTo',
    'PercentileWindow',
    'RandomFlip',
    'RandomGamma',
    'RandomVertebraCrop',
    'RemapLabels',
    'ZScore',
    'Zoom',
]
