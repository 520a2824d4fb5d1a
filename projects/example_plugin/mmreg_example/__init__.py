"""Example plugin: a backbone and a loss. Importing the package registers them."""

from .backbone import StridedPyramid
from .loss import LogCosh

__all__ = ['LogCosh', 'StridedPyramid']
