"""Conditional LapIRN checkpoints, both channel layouts."""

from __future__ import annotations

from .base import Family
from .lapirn import configure, describe_displacement, rules

FAMILY = Family(
    'clapirn',
    rules(conditional=True),
    describe=describe_displacement,
    configure=configure,
    note='conditional LapIRN, full and lite',
)
