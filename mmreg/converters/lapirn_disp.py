"""LapIRN's displacement checkpoints: the same keys as the diffeomorphic ones."""

from __future__ import annotations

from .base import Family
from .lapirn import configure, describe_displacement, rules

FAMILY = Family(
    'lapirn_disp', rules(), describe=describe_displacement, configure=configure, note='LapIRN, displacement'
)
