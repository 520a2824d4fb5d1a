"""LapIRN: the networks of its levels, and their coarse-to-fine run."""

from .level import LevelNetwork, Widths
from .pyramid import LaplacianPyramid, LevelRun

__all__ = ['LaplacianPyramid', 'LevelNetwork', 'LevelRun', 'Widths']
