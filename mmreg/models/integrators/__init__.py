"""Velocity -> displacement."""

from .identity import IdentityIntegrator
from .scaling_squaring import ScalingSquaring

__all__ = ['IdentityIntegrator', 'ScalingSquaring']
