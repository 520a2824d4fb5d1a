"""Affine registration without training: initialisation, multi-start, and optimisation in world millimetres."""

from .register import register_affine
from .result import AffineResult, AffineStage
from .settings import AffineSettings

__all__ = ['AffineResult', 'AffineSettings', 'AffineStage', 'register_affine']
